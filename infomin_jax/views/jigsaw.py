"""PIRL's view: patches of an image, which are encoded separately."""

import functools

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.views import image_ops


def jigsaw(
  cells: int = 3,
  size: int = 255,
  patch: int = 64,
  scale: tuple[float, float] = (0.6, 1.0),
  host_crops: bool = False,
):
  """Makes `view(key, batch)`: random patches, one from each cell of a grid.

  The image is cropped, flipped with probability 1/2 and cut into a grid of
  cells. Colors are unchanged. The patches are in the order of the grid; the
  objective shuffles their features.

  Args:
    cells: number of cells along each side of the grid.
    size: side of the crop in pixels, a multiple of `cells`.
    patch: side of a patch in pixels, at most the side of a cell.
    scale: fraction of the image's area in the crop, lowest and highest.
    host_crops: the host has cut the crop: it is `batch["jigsaw"]`,
      `[b, size, size, c]`.

  Returns:
    `view(key, batch) -> [b, cells^2, patch, patch, c]`, float32 in [0, 1].

  Raises:
    UserError: sizes that do not fit together.

  References:
    Misra, van der Maaten, `Self-Supervised Learning of Pretext-Invariant
    Representations <https://arxiv.org/abs/1912.01991>`_, 2020. The sizes are
    from the code of Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020.
  """
  if cells < 2 or size % cells:
    raise UserError(
      f"config.views.jigsaw.size is {size}: expected a multiple of cells, "
      f"{cells}, which is at least 2."
    )
  if not 1 <= patch <= size // cells:
    raise UserError(
      f"config.views.jigsaw.patch is {patch}: expected 1 to {size // cells}, "
      "the side of a cell."
    )
  one = functools.partial(
    _pieces, cells=cells, size=size, patch=patch, scale=scale, cut=host_crops
  )

  def view(key, batch):
    images = batch["jigsaw" if host_crops else "image"]
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
    return jax.vmap(one)(keys, images)

  return view


def _pieces(key, image, cells, size, patch, scale, cut) -> jax.Array:
  """Cuts the patches of one image, `[cells^2, patch, patch, c]`."""
  crop_key, flip_key, place_key = jax.random.split(key, 3)
  image = image_ops.to_float(image)
  if not cut:
    image = image_ops.random_resized_crop(crop_key, image, size, scale)
  image = image_ops.random_flip(flip_key, image, 0.5)
  cell = size // cells
  spare = jax.random.randint(place_key, (cells, cells, 2), 0, cell - patch + 1)
  corners = cell * jnp.stack(
    jnp.meshgrid(jnp.arange(cells), jnp.arange(cells), indexing="ij"), -1
  )
  starts = (corners + spare).reshape(-1, 2)

  def piece(corner):
    start = (corner[0], corner[1], 0)
    return jax.lax.dynamic_slice(image, start, (patch, patch, image.shape[-1]))

  return jax.vmap(piece)(starts)
