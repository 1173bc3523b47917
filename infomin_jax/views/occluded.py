"""An image and the same image partly covered (Deep InfoMax's occlusion)."""

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.views import image_ops


def occluded(size: int, block: int = 10, fill: float = 0.5):
  """Makes `views(key, batch)`: the image, and it with a patch covered.

  The patch's sides are drawn between `block` and `size - block`, and it leaves
  a strip of `block` pixels free on at least one side: one square of `block`
  pixels is covered, and one is not.

  Differs from the paper: how it draws patches is not published beyond these
  two conditions.

  Args:
    size: side of the views; the shorter side of other images is brought to it
      and the middle cut out.
    block: pixels that one local feature sees; 10 for basic32x32.
    fill: what covers, 0 to 1; 0.5 is zero after `config.normalize`'s default.

  Returns:
    `views(key, batch) -> 2 arrays [b, size, size, c]`.

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
  """Draws where a patch covers an image, bool `[size, size]`."""
  side_key, place_key, edge_key = jax.random.split(key, 3)
  height, width = jax.random.randint(side_key, (2,), block, size - block + 1)
  share = jax.random.uniform(place_key, (2,))
  top = jnp.floor(share[0] * (size - height + 1)).astype(jnp.int32)
  left = jnp.floor(share[1] * (size - width + 1)).astype(jnp.int32)
  below, right = size - height - top, size - width - left
  free = jnp.maximum(jnp.maximum(top, below), jnp.maximum(left, right))
  edge = jnp.where(jax.random.bernoulli(edge_key), 0, size - height)
  top = jnp.where(free >= block, top, edge)
  rows, cols = jnp.arange(size)[:, None], jnp.arange(size)[None]
  inside = (rows >= top) & (rows < top + height)
  return inside & (cols >= left) & (cols < left + width)
