"""Encoders of "On MI maximization": sizes, inverses, how they start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.encoders.layernorm_convnet import ImageNorm, LayerNormConvNet
from infomin_jax.encoders.mlp import SkipMLP
from infomin_jax.encoders.realnvp import RealNVP
from infomin_jax.errors import UserError
from infomin_jax.studies.limits.measures import (
  jacobians,
  log_condition_numbers,
)

VIEW = (14, 28, 1)


def count(encoder, view=VIEW):
  shapes = jax.eval_shape(
    lambda key: encoder.init(key, jnp.zeros((1, *view)), False),
    jax.random.key(0),
  )
  return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize(
  "encoder,view,parameters",
  [
    (RealNVP(), VIEW, 13_922_040),
    (RealNVP(couplings=1), VIEW, 464_068),
    (RealNVP(affine=True), VIEW, 16_938_480),
    (SkipMLP(), VIEW, 770_280),
    (LayerNormConvNet(), VIEW, 219_748),
    (LayerNormConvNet(), (16, 32, 3), 222_948),
  ],
)
def test_published_parameter_counts(encoder, view, parameters):
  assert count(encoder, view) == parameters


def trained_like(affine, size=9, scale=0.25):
  """A small network with weights far from zero, and some rows."""
  model = RealNVP(size, couplings=5, width=16, affine=affine, seed=3)
  x = np.random.default_rng(0).normal(size=(7, size)).astype(np.float32)
  params = model.init(jax.random.key(0), x, method="forward")
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda p: jnp.float32(rng.normal(scale=scale, size=p.shape)), params
  )
  return model, params, x


@pytest.mark.parametrize("affine", [False, True])
def test_inverse_and_volume(affine):
  model, params, x = trained_like(affine)
  z, log_det = model.apply(params, x, method="forward")
  assert float(jnp.max(jnp.abs(z - x))) > 0.3
  back = model.apply(params, z, method="inverse")
  np.testing.assert_allclose(back, x, atol=1e-4)

  def one(row):
    return model.apply(params, row[None], method="forward")[0][0]

  for row, got in zip(x, log_det, strict=True):
    want = np.linalg.slogdet(np.asarray(jax.jacobian(one)(row)))[1]
    assert got == pytest.approx(want, abs=1e-3)
    if not affine:
      assert want == pytest.approx(0, abs=1e-3)


def test_shift_only_starts_as_a_permutation():
  model = RealNVP(couplings=4, width=32)
  x = np.random.default_rng(0).uniform(size=(2, *VIEW)).astype(np.float32)
  features, _ = model.init_with_output(jax.random.key(0), x, False)
  got = np.sort(np.asarray(features.global_), axis=1)
  np.testing.assert_allclose(got, np.sort(x.reshape(2, -1)), atol=1e-6)


def test_couplings_have_different_orders_and_seeds_other_ones():
  first = RealNVP(12, couplings=2).bind({})
  other = RealNVP(12, couplings=2, seed=1).bind({})
  assert not np.array_equal(first.orders[0], first.orders[1])
  assert not np.array_equal(first.orders[0], other.orders[0])


def test_another_size_is_refused():
  with pytest.raises(UserError, match=r"expected images of 392 numbers"):
    RealNVP().init(jax.random.key(0), np.zeros((1, 28, 28, 1), "f"), False)


def test_skip_mlp_starts_with_the_published_condition_number():
  model = SkipMLP()
  x = np.random.default_rng(0).uniform(size=(3, *VIEW)).astype(np.float32)
  params = model.init(jax.random.key(0), x, False)
  found = jacobians(lambda x: model.apply(params, x, False).global_, x)
  logs = log_condition_numbers(np.asarray(found))
  np.testing.assert_allclose(logs, 0.0085, atol=0.0005)


def test_image_norm_adds_epsilon_to_the_deviation_and_sees_one_image():
  x = np.random.default_rng(0).normal(2, 3, (4, 3, 5, 2)).astype(np.float32)
  norm = ImageNorm()
  variables = {"params": {"scale": jnp.float32([2, 3]), "bias": jnp.ones(2)}}
  got = norm.apply(variables, x)
  for image, out in zip(x.astype(np.float64), got, strict=True):
    want = (image - image.mean()) / (image.std() + 1e-6) * [2, 3] + 1
    np.testing.assert_allclose(out, want, atol=1e-5)
  blank = jnp.zeros((1, 3, 5, 2))
  slope = jax.jit(jax.grad(lambda v: jnp.sum(norm.apply(variables, v))))(blank)
  assert np.all(np.isfinite(slope))
