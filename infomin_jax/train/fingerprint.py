"""Numbers of a state that show whether any bit of it changed."""

from typing import Any

import jax
import jax.numpy as jnp


@jax.jit
def fingerprint(state: Any) -> jax.Array:
  """One number per array, uint32 `[k]`, in the order of `jax.tree.leaves`."""
  return jnp.stack([array_fingerprint(x, jnp) for x in jax.tree.leaves(state)])


def array_fingerprint(x: Any, xp: Any) -> Any:
  """The number of one array; `xp` is its library, numpy or jax.numpy."""
  unsigned = {1: xp.uint8, 2: xp.uint16, 4: xp.uint32, 8: xp.uint64}
  if x.dtype == bool:
    x = x.astype(xp.uint8)
  bits = x.view(unsigned[x.dtype.itemsize]).astype(xp.uint32).ravel()
  # Odd weights, so that places matter and no changed bit is multiplied away.
  weights = 2 * xp.arange(bits.size, dtype=xp.uint32) + 1
  return xp.sum(bits * weights, dtype=xp.uint32)
