"""Views that split an image into parts instead of augmenting it.

`PARTS` holds functions that make a split `images [b, h, w, c] -> two arrays`. A
split is a pure function of the image, which an encoder can apply to any view.
The parts may differ in shape. `SPLITS` holds functions that make
`views(key, batch)`, as in `augment`; their views have one shape, so that one
encoder can take all of them.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError, lookup
from infomin_jax.views import augment, image_ops
from infomin_jax.views.color_spaces import SPACES

Parts = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


def first_and_rest(images: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Splits the channels into the first and the rest.

  Returns:
    `[..., 1]` and `[..., c - 1]`.
  """
  return images[..., :1], images[..., 1:]


def color_parts(space: str) -> Parts:
  """Makes the split of a color space into channel 1 and channels 2 and 3.

  Args:
    space: a name in `color_spaces.SPACES`.

  Returns:
    `images -> [b, h, w, 1], [b, h, w, 2]` for images `[b, h, w, 3]` in
    [0, 1]. The channels are centered and scaled by the space's mean and std.

  References:
    Tian et al., `Contrastive Multiview Coding
    <https://arxiv.org/abs/1906.05849>`_, 2019, section 4.1. For other spaces,
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 3.
  """
  normalize = lookup("space of a color split", space, SPACES).normalize

  def parts(images):
    check_rgb(images, f"the color split {space}")
    return first_and_rest(normalize(images))

  return parts


def frequency_parts(sigma: float) -> Parts:
  """Makes the split into low frequencies (a blur) and high ones (the rest).

  The Gaussian kernel is cut at 4 sigma, or at the image's side - 1.

  Args:
    sigma: standard deviation of the blur in pixels, above 0.

  Returns:
    `images -> low, high`, both `[b, h, w, c]`; their sum is the images.

  Raises:
    UserError: sigma is not above 0.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 3.
  """
  if not sigma > 0:
    raise UserError(
      f"sigma of the frequency split is {sigma}: give pixels above 0."
    )
  blur = functools.partial(
    image_ops.gaussian_blur, sigma=sigma, radius=math.ceil(4 * sigma)
  )

  def parts(images):
    low = jax.vmap(blur)(images)
    return low, images - low

  return parts


def halves_parts() -> Parts:
  """Makes the split into top and bottom half, `[b, h / 2, w, c]`; h is even."""

  def parts(images):
    height = images.shape[1]
    if height < 2 or height % 2:
      raise UserError(
        f"Halves need an even height, the images have {height} rows: set "
        "config.views.size to an even number."
      )
    return images[:, : height // 2], images[:, height // 2 :]

  return parts


def check_rgb(images: jax.Array, what: str) -> None:
  """Raises UserError if images `[b, h, w, c]` do not have 3 channels."""
  if images.shape[-1] != 3:
    raise UserError(
      f"{what} needs images of 3 channels (RGB), got {images.shape[-1]}. The "
      "parts frequency and halves take any number."
    )


def halves(image_shape, size: int):
  """Makes views: the top and bottom half of the image's middle square.

  Args:
    image_shape: `(h, w, c)` of the source.
    size: side of the square in pixels, even; the image must be at least that
      large.

  Returns:
    `views(key, batch) -> 2 arrays [b, size / 2, size, c]`; the key is unused.

  References:
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2019, section 3.
  """
  middle = _middle(image_shape, size, "halves")
  if size < 2 or size % 2:
    raise UserError(f"config.views.size is {size}: halves need an even size.")
  parts = halves_parts()
  return lambda key, batch: parts(middle(batch))


def frequency(image_shape, size: int, sigma: float):
  """Makes views: low and high frequencies of the image's middle square.

  High frequencies are halved and increased by 0.5, from [-1, 1] to [0, 1].

  Args:
    image_shape: `(h, w, c)` of the source.
    size: side of the views in pixels; the image must be at least that large.
    sigma: standard deviation of the blur in pixels.

  Returns:
    `views(key, batch) -> 2 arrays [b, size, size, c]`; the key is unused.
  """
  middle = _middle(image_shape, size, "frequency")
  parts = frequency_parts(sigma)

  def views(key, batch):
    low, high = parts(middle(batch))
    return low, high / 2 + 0.5

  return views


def patches(image_shape, size: int, distance: int, host_crops: bool = False):
  """Makes views: two patches of an image at a fixed diagonal distance.

  The first patch is at `(y, x)`, the second at `(y + distance, x + distance)`.
  All positions where both fit are equally likely.

  Args:
    image_shape: `(h, w, c)` of the source; height and width are at least
      `size + distance`. Use much larger images, or the patches are always at
      the borders.
    size: side of a patch in pixels.
    distance: offset between the patches along both axes, in pixels.
    host_crops: the host has cut a random square of side `size + distance`,
      whose first and last corner are the pair. Needed if image sizes vary.

  Returns:
    `views(key, batch) -> 2 arrays [b, size, size, c]` in [0, 1]. Both depend
    only on the key and their own record.

  Raises:
    UserError: sizes out of range, or images that are too small or vary in size.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 3.
  """
  if size < 1 or distance < 0:
    raise UserError(
      f"config.views.size is {size}, distance {distance}: give a size of 1 or "
      "more and a distance of 0 or more."
    )
  if host_crops:
    return functools.partial(_corners, size)
  if image_shape is None:
    raise UserError(
      "The images vary in size, and patches of them make no batch: set "
      "config.data.host_crops."
    )
  height, width, channels = image_shape
  if min(height, width) < size + distance:
    raise UserError(
      f"Two patches of config.views.size {size} at config.views.distance "
      f"{distance} need images of {size + distance} x {size + distance} or "
      f"more, these are {height} x {width}: make one of the two smaller."
    )
  last = jnp.array([height - size - distance, width - size - distance])

  def one(key, image):
    corner = jax.random.randint(key, (2,), 0, last + 1)

    def cut(corner):
      return jax.lax.dynamic_slice(image, (*corner, 0), (size, size, channels))

    return cut(corner), cut(corner + distance)

  def views(key, batch):
    # Keyed by the record's index: random draws do not depend on its batch.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
    pair = jax.vmap(one)(keys, batch["image"])
    return tuple(image_ops.to_float(x) for x in pair)

  return views


def _corners(size: int, key, batch):
  """Cuts the first and the last corner of squares `[b, 1, s, s, c]`."""
  del key
  images = batch["image"][:, 0]
  first, last = images[:, :size, :size], images[:, -size:, -size:]
  return image_ops.to_float(first), image_ops.to_float(last)


def _middle(image_shape, size: int, name: str) -> Callable:
  """Makes `batch -> [b, size, size, c]` in [0, 1], each image's middle."""
  augment.check_size(image_shape, size, name)

  def middle(batch):
    cut = jax.vmap(lambda x: image_ops.center_crop(x, size))(batch["image"])
    return image_ops.to_float(cut)

  return middle


PARTS: dict[str, Callable[..., Parts]] = {
  "colour": color_parts,
  "frequency": frequency_parts,
  "halves": halves_parts,
}
SPLITS = {"frequency": frequency, "halves": halves, "patches": patches}
