"""A checksum per array of a state, to detect damaged checkpoints."""

from typing import Any

import jax
import jax.numpy as jnp


@jax.jit
def fingerprint(state: Any) -> jax.Array:
  """Returns one checksum per array, uint32 `[k]`, in `tree.leaves` order."""
  return jnp.stack([array_fingerprint(x, jnp) for x in jax.tree.leaves(state)])


def array_fingerprint(x: Any, xp: Any) -> Any:
  """Returns the checksum of one array; `xp` is `numpy` or `jax.numpy`."""
  unsigned = {1: xp.uint8, 2: xp.uint16, 4: xp.uint32, 8: xp.uint64}
  if x.dtype == bool:
    x = x.astype(xp.uint8)
  bits = x.view(unsigned[x.dtype.itemsize]).astype(xp.uint32).ravel()
  # The weights differ, so that the order of the elements counts. They are odd,
  # so that no changed bit vanishes modulo 2^32.
  weights = 2 * xp.arange(bits.size, dtype=xp.uint32) + 1
  return xp.sum(bits * weights, dtype=xp.uint32)
