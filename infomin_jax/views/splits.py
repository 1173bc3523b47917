"""Views that split an image into parts instead of augmenting it.

`PARTS` holds makers of `images [b, h, w, c] -> tuple of arrays`, pure
functions of the image that an encoder can apply to any view; its results may
differ in shape. `SPLITS` holds makers of `views(key, batch)`, as in `augment`,
for those that one encoder can be trained on.
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
  """The first channel and the other ones, `[..., 1]` and `[..., c - 1]`."""
  return images[..., :1], images[..., 1:]


def color_parts(space: str) -> Parts:
  """The first channel of a color space, and the second and third.

  Args:
    space: a name in `color_spaces.SPACES`.

  Returns:
    `images -> [b, h, w, 1], [b, h, w, 2]` of images `[b, h, w, 3]` in [0, 1];
    the channels centered and scaled by the space's mean and std.

  References:
    Tian et al., `Contrastive Multiview Coding
    <https://arxiv.org/abs/1906.05849>`_, 2019, section 4.1; for many spaces
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 3.
  """
  normalize = lookup("space of a colour split", space, SPACES).normalize

  def parts(images):
    check_rgb(images, f"the colour split {space}")
    return first_and_rest(normalize(images))

  return parts


def frequency_parts(sigma: float) -> Parts:
  """Low and high frequencies: a Gaussian blur, and what it takes away.

  The blur reaches 4 sigma, or as far as one reflection goes.

  Args:
    sigma: of the blur, in pixels, above 0.

  Returns:
    `images -> low, high`, both `[b, h, w, c]`, adding up to the images.

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
  """Top and bottom half, `images -> 2 arrays [b, h / 2, w, c]`; h is even."""

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
  """UserError if images `[b, h, w, c]` are not RGB."""
  if images.shape[-1] != 3:
    raise UserError(
      f"{what} needs images of 3 channels (RGB), got {images.shape[-1]}. The "
      "parts frequency and halves take any number."
    )


def halves(image_shape, size: int):
  """Top and bottom half of the image's middle `size` x `size` pixels.

  Args:
    image_shape: `(h, w, c)` of the source.
    size: even; the image must be at least that large.

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
  """Low and high frequencies of the image's middle `size` x `size` pixels.

  High frequencies are halved and moved up by 0.5, from [-1, 1] to [0, 1].

  Args:
    image_shape: `(h, w, c)` of the source.
    size: side of the views; the image must be at least that large.
    sigma: of the blur that gives the low ones, in pixels.

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
  """Two patches of an image, one at a place, one further down to the right.

  The first is at `(y, x)`, the second at `(y + distance, x + distance)`, all
  places where both fit being as likely.

  Args:
    image_shape: `(h, w, c)` of the source, at least `size + distance` high
      and wide: much larger ones, so that patches are not always at the
      borders.
    size: side of a patch, in pixels.
    distance: from the one to the other along both axes, in pixels.
    host_crops: the host has cut a random square of side `size + distance`,
      whose corners are the pair; for images of varying size.

  Returns:
    `views(key, batch) -> 2 arrays [b, size, size, c]` in [0, 1]; both depend
    on the key and on their own record only.

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
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
    pair = jax.vmap(one)(keys, batch["image"])
    return tuple(image_ops.to_float(x) for x in pair)

  return views


def _corners(size: int, key, batch):
  """First and last corner of squares `[b, 1, s, s, c]`."""
  del key
  images = batch["image"][:, 0]
  first, last = images[:, :size, :size], images[:, -size:, -size:]
  return image_ops.to_float(first), image_ops.to_float(last)


def _middle(image_shape, size: int, name: str) -> Callable:
  """`batch -> [b, size, size, c]` in [0, 1], the middle of each image."""
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
