"""A changed bit, a swap of values and another order change the number."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from infomin_jax.train.fingerprint import array_fingerprint, fingerprint

KINDS = ("float32", "bfloat16", "int32", "uint8", "bool")


def some(kind):
  values = np.arange(24).reshape(4, 6) % 2 if kind == "bool" else np.arange(24)
  dtype = ml_dtypes.bfloat16 if kind == "bfloat16" else kind
  return np.asarray(values, dtype).reshape(4, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_host_and_device_agree(kind):
  x = some(kind)
  (on_device,) = fingerprint([jnp.asarray(x)])
  assert int(on_device) == int(array_fingerprint(x, np))


@pytest.mark.parametrize("kind", KINDS)
def test_places_matter(kind):
  x = some(kind)
  swapped = x.copy()
  swapped[0, 1], swapped[2, 2] = x[2, 2], x[0, 1]
  assert (swapped != x).any()
  assert array_fingerprint(swapped, np) != array_fingerprint(x, np)


@pytest.mark.parametrize("bit", [0, 9, 22, 31])
def test_one_bit_is_seen(bit):
  x = some("float32")
  changed = x.copy()
  changed.view(np.uint32)[3, 5] ^= np.uint32(1 << bit)
  assert array_fingerprint(changed, np) != array_fingerprint(x, np)
