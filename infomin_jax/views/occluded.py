"""Views for Deep InfoMax's occlusion: an image, and it partly covered."""

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.views import image_ops


def occluded(size: int, block: int = 10, fill: float = 0.5):
  """Makes `views(key, batch)`: the image, and the image with a patch covered.

  The sides of the patch are uniform between `block` and `size - block`. A strip
  of at least `block` pixels stays free on at least one side. So at least one
  square of `block` x `block` pixels is covered, and at least one is not.

  Differs from the paper: the paper states only these two conditions; the
  distribution of the patches is ours.

  Args:
    size: side of the views in pixels. Larger or smaller images are resized by
      their shorter side, and the middle is cut out.
    block: receptive field of one local feature in pixels; 10 for basic32x32.
    fill: value of covered pixels, 0 to 1; 0.5 becomes zero with the default of
      `config.normalize`.

  Returns:
    `views(key, batch) -> 2 arrays [b, size, size, c]` in [0, 1].

  Raises:
    UserError: `block` or `fill` is out of range.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    section 4.3.
  """
  if not 1 <= block or size < 2 * block:
    raise UserError(
      f"config.views.block is {block}: expected 1 to {size // 2}, half of "
      f"config.views.size {size}."
    )
  if not 0 <= fill <= 1:
    raise UserError(f"config.views.fill is {fill}: give 0 to 1.")

  def views(key, batch):
    whole = image_ops.resize_center(batch["image"], 0, size)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
    covered = jax.vmap(lambda k: patch(k, size, block))(keys)
    return whole, jnp.where(covered[..., None], fill, whole)

  return views


def patch(key, size: int, block: int) -> jax.Array:
  """Draws a patch as a mask, bool `[size, size]`, True where it covers."""
  side_key, place_key, edge_key = jax.random.split(key, 3)
  height, width = jax.random.randint(side_key, (2,), block, size - block + 1)
  share = jax.random.uniform(place_key, (2,))
  top = jnp.floor(share[0] * (size - height + 1)).astype(jnp.int32)
  left = jnp.floor(share[1] * (size - width + 1)).astype(jnp.int32)
  below, right = size - height - top, size - width - left
  free = jnp.maximum(jnp.maximum(top, below), jnp.maximum(left, right))
  # If no free strip is `block` wide, the patch is moved to the top or bottom.
  # Its height is at most size - block, so the strip on the other side is wide
  # enough.
  edge = jnp.where(jax.random.bernoulli(edge_key), 0, size - height)
  top = jnp.where(free >= block, top, edge)
  rows, cols = jnp.arange(size)[:, None], jnp.arange(size)[None]
  inside = (rows >= top) & (rows < top + height)
  return inside & (cols >= left) & (cols < left + width)
