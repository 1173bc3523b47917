"""States what results rest on in JAX, Flax, Optax and NumPy.

All of it holds with jax 0.10.2, flax 0.12.8 and numpy 2.4 (the newest for
Python 3.11) and with jax 0.12.0.1, flax 0.12.12 and numpy 2.5, so a seed draws
the same with both. What fails with a newer version says that seeds, settings or
checkpoints mean something else there, of which nothing else warns.
"""

import os

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from numpy.random import Philox, default_rng

from infomin_jax.train import mesh as meshes

ROW = jnp.array([3.0, 1.0, 3.0])
BYTES = jnp.array([0, 51, 255], jnp.uint8)
HALF, COUNTS = ROW.astype(jnp.bfloat16), jnp.arange(3)

# What a function of the key of seed 0 gives: numbers, or of which type.
FACTS = {
  "bits": (lambda k: random.bits(k, (2,)), [4070199207, 4202968722]),
  "uniform": (lambda k: random.uniform(k, (2,)), [0.947667003, 0.978579879]),
  "normal": (lambda k: random.normal(k, (2,)), [1.62264216, 2.02526474]),
  "integers": (lambda k: random.randint(k, (4,), 0, 100), [89, 0, 12, 73]),
  "order": (lambda k: random.permutation(k, 6), [0, 1, 5, 4, 3, 2]),
  "split": (lambda k: random.bits(random.split(k)[1]), 31327077),
  "fold_in": (lambda k: random.bits(random.fold_in(k, 7)), 2040308410),
  "host's bits": (lambda _: Philox(key=[1, 2]).random_raw() % 1000, 377),
  "host's normal": (lambda _: default_rng(0).normal(size=1), [0.12573022]),
  "host's uniform": (lambda _: default_rng(0).uniform(1, 3), 2.27392337),
  "host's integers": (lambda _: default_rng(0).integers((5, 99)), [4, 63]),
  "host's order": (lambda _: default_rng(0).permutation(5), [2, 4, 3, 0, 1]),
  "host's weights": (lambda _: default_rng(0).exponential(), 0.6799319),
  "byte / 255": (lambda _: BYTES / 255, "float32"),
  "byte - 1": (lambda _: BYTES - 1, "uint8"),
  "byte + int": (lambda _: BYTES + COUNTS, "int32"),
  "sum of bytes": (lambda _: BYTES.sum(), "uint32"),
  "int * float32": (lambda _: COUNTS * ROW, "float32"),
  "bfloat16 * number": (lambda _: HALF * 0.5, "bfloat16"),
  "bfloat16 * float32": (lambda _: HALF * ROW, "float32"),
  "host's float64": (lambda _: jnp.asarray(np.ones(2)), "float32"),
  "host's int64": (lambda _: jnp.asarray(np.arange(2)), "int32"),
  "host's byte / 255": (lambda _: np.uint8([1]) / 255, "float64"),
  "clip by numbers": (lambda _: jnp.clip(ROW, 0, 2), [2, 1, 2]),
  "clip by arrays": (lambda _: jnp.clip(ROW, -ROW, ROW - 1), [2, 0, 2]),
  "clip from above": (lambda _: jnp.clip(ROW, None, 2), [2, 1, 2]),
  "clip from below": (lambda _: jnp.clip(ROW, 2, None), [3, 2, 3]),
  "argmax takes the first": (lambda _: jnp.argmax(ROW), 0),
  "top_k takes the first": (lambda _: jax.lax.top_k(ROW, 2)[1], [0, 2]),
  "max shares its slope": (lambda _: jax.grad(jnp.max)(ROW), [0.5, 0, 0.5]),
  "max tells of NaN": (lambda _: jnp.max(ROW.at[0].set(jnp.nan)), np.nan),
  "relu is flat at 0": (lambda _: jax.grad(nn.relu)(0.0), 0),
  "halves round to even": (lambda _: jnp.round(ROW / 2), [2, 0, 2]),
  "std divides by n": (lambda _: jnp.std(ROW), 8**0.5 / 3),
  "no such class": (lambda _: jax.nn.one_hot(BYTES[:1] + 2, 2), [[0, 0]]),
  "gelu is of tanh": (lambda _: nn.gelu(1.0), 0.841192),
}


def check(got, expected):
  """Compares types, integers exactly, or floats to 2e-5 of them."""
  if isinstance(expected, str):
    assert got.dtype == expected
  else:
    exact = np.asarray(got).dtype.kind in "biu"
    np.testing.assert_allclose(got, expected, rtol=0 if exact else 2e-5)


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
  """Draws, promotes types, and settles ties and edges as results need it."""
  make, expected = FACTS[name]
  check(make(random.key(0)), expected)


def test_draws_do_not_hang_on_devices():
  """Draws on one device and on all."""
  assert random.key_impl(random.key(0)) == "threefry2x32"
  assert jax.config.jax_threefry_partitionable
  rows = meshes.by_row(meshes.make_mesh())
  draw = jax.jit(lambda k: random.normal(k, (16, 3)), out_shardings=rows)
  spread = draw(random.key(1))
  assert len(spread.sharding.device_set) == jax.device_count() > 1
  check(spread, random.normal(random.key(1), (16, 3)))


def test_a_product_can_be_had_in_full_precision():
  """Compares a float32 product with one in float64; neither is the default."""
  config = jax.config
  assert not (config.jax_enable_x64 or config.jax_default_matmul_precision)
  x, y = default_rng(0).uniform(size=(2, 64, 64)).astype(np.float32)
  found = jnp.matmul(x, y, precision="highest")
  np.testing.assert_allclose(found, x.astype(float) @ y, rtol=1e-6)


def test_a_mesh_is_automatic_and_set_for_a_while():
  """Multiplies sharded rows by sharded rows, and leaves the mesh."""
  mesh = meshes.make_mesh()
  assert mesh.axis_types == (jax.sharding.AxisType.Auto,)
  x = jax.device_put(jnp.eye(8), meshes.by_row(mesh))
  with jax.set_mesh(mesh):
    assert dict(jax.sharding.get_abstract_mesh().shape) == {"data": mesh.size}
    check(jax.jit(lambda x: x @ x.T)(x), np.eye(8))
  assert jax.sharding.get_abstract_mesh().empty


def test_settings_are_heard():
  """Donates an argument by name, and reads what the environment sets."""
  state = jnp.ones(5)
  jax.jit(lambda state: state + 1, donate_argnames="state")(state)
  assert state.is_deleted()
  folder = os.environ["JAX_COMPILATION_CACHE_DIR"]
  size = int(os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"])
  assert jax.config.jax_compilation_cache_dir == folder
  assert jax.config.jax_persistent_cache_min_entry_size_bytes == size


def test_optimizers_step_by_their_formulas():
  """Takes first steps: Adam's is the rate, whatever the slope."""
  params, slope = jnp.array([2.0]), jnp.array([-3.0])
  for tx, expected in (
    (optax.adam(0.1), 0.1),
    (optax.adamw(0.2, weight_decay=0.25), 0.2 - 0.2 * 0.25 * 2),
    (optax.sgd(0.1, 0.9, nesterov=True), 0.1 * 1.9 * 3),
    (optax.clip_by_global_norm(1.0), -1),
  ):
    check(tx.update(slope, tx.init(params), params)[0], [expected])
  check(optax.incremental_update(params, slope, 0.1), [0.1 * 2 - 0.9 * 3])


def test_layers_start_and_normalize_as_encoders_need_it():
  """Initializes a dense layer, and moves statistics a tenth of the way."""
  dense = nn.Dense(300).init(random.key(0), jnp.ones((1, 100)))["params"]
  assert not dense["bias"].any()
  check(dense["kernel"][0, :2], [0.008261660, -0.16494030])
  assert abs(np.std(dense["kernel"]) * 10 - 1) < 0.01  # LeCun's
  norm, x = nn.BatchNorm(False, momentum=0.9), jnp.arange(6.0).reshape(3, 2)
  state = norm.init(random.key(0), x)
  found, kept = norm.apply(state, x, mutable="batch_stats")
  check(kept["batch_stats"]["mean"], 0.1 * x.mean(0))
  check(kept["batch_stats"]["var"], 0.9 + 0.1 * x.var(0))
  check(found, (x - x.mean(0, keepdims=True)) / (8 / 3 + 1e-5) ** 0.5)
