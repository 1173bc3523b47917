"""Estimators against closed forms, published vectors and their ceilings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from infomin_jax.errors import UserError
from infomin_jax.estimators import ESTIMATORS, infonce_ceiling

# The matrix and values of float64 reference formulas (rows are x).
MATRIX = [[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2.0]]
VECTORS = {
  "infonce": 0.679333929,
  "nwj": 1.087496405,
  "dv": 1.385510359,
  "jsd": -0.957601016 + np.log(4),
}

# rdevon/DIM's losses on sin and cos ramps, exact exclusion, as losses.
LOCAL = {
  "infonce": np.log(1 + 3 * 2) - 1.935935,
  "dv": -0.208554,
  "jsd": -0.111957,
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_matrix(name):
  got = ESTIMATORS[name](jnp.array(MATRIX))
  np.testing.assert_allclose(got, VECTORS[name], atol=1e-6)


@pytest.mark.parametrize("name", LOCAL)
def test_published_local_scores(name):
  local = np.sin(np.arange(24)).reshape(4, 3, 2)
  summary = np.cos(np.arange(12)).reshape(4, 3)
  scores = np.einsum("au,bui->abi", summary, local)
  got = ESTIMATORS[name](jnp.asarray(scores, jnp.float32))
  np.testing.assert_allclose(got, LOCAL[name], atol=2e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_one_location_is_the_plain_matrix(name):
  scores = jax.random.normal(jax.random.key(0), (5, 9))
  got = ESTIMATORS[name](scores[..., None])
  np.testing.assert_allclose(got, ESTIMATORS[name](scores), rtol=1e-6)


def gaussian_log_ratio(key, rho, n):
  x, noise = jax.random.normal(key, (2, n))
  y = rho * x + np.sqrt(1 - rho**2) * noise
  error = (y[None, :] - rho * x[:, None]) ** 2 / (1 - rho**2)
  return -0.5 * (np.log(1 - rho**2) + error - y[None, :] ** 2)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", ["infonce", "nwj", "dv"])
def test_the_optimal_critic_recovers_gaussian_mi(name, rho):
  truth = -0.5 * np.log(1 - rho**2)
  shift = 1.0 if name == "nwj" else 0.0
  keys = jax.random.split(jax.random.key(1), 20)
  values = np.array(
    [ESTIMATORS[name](gaussian_log_ratio(k, rho, 1024) + shift) for k in keys]
  )
  error = 3 * values.std(ddof=1) / np.sqrt(len(values))
  # InfoNCE and DV are biased by about exp(2 I) / 2n, 0.013 nats at most here.
  assert abs(values.mean() - truth) < error + 0.013


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_jsd_of_the_optimal_critic_is_the_divergence(rho):
  # Twice the Jensen-Shannon divergence, by its definition on a large sample.
  ratio = np.asarray(gaussian_log_ratio(jax.random.key(2), rho, 2048))
  joint = np.diag(ratio)
  apart = ratio[~np.eye(len(ratio), dtype=bool)]
  half = np.mean(joint - np.logaddexp(joint, 0)) + np.log(2)
  other = np.mean(-np.logaddexp(apart, 0)) + np.log(2)
  got = ESTIMATORS["jsd"](jnp.asarray(ratio))
  np.testing.assert_allclose(got, half + other, atol=1e-5)
  assert (abs(got) < 1e-5) == (rho == 0)


@pytest.mark.parametrize("shape", [(4, 4), (4, 100), (4, 6, 3)])
def test_ceilings_hold_for_a_perfect_critic(shape):
  scores = jnp.zeros(shape) - 1e4
  rows = jnp.arange(shape[0])
  scores = scores.at[rows, rows].set(1e4)
  ceiling = infonce_ceiling(shape)
  np.testing.assert_allclose(ESTIMATORS["infonce"](scores), ceiling, rtol=1e-6)
  np.testing.assert_allclose(ESTIMATORS["jsd"](scores), np.log(4), rtol=1e-6)


def test_infonce_against_a_loop():
  scores = np.random.default_rng(0).normal(size=(3, 5, 2))
  terms = []
  for a in range(3):
    others = [scores[a, b, j] for b in range(5) if b != a for j in range(2)]
    for i in range(2):
      candidates = [scores[a, a, i], *others]
      terms.append(scores[a, a, i] - np.log(np.mean(np.exp(candidates))))
  got = ESTIMATORS["infonce"](jnp.asarray(scores))
  np.testing.assert_allclose(got, np.mean(terms), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ["infonce", "jsd", "dv"])
def test_gradients_stay_finite_for_huge_scores(name, dtype):
  scores = 1e4 * jax.random.normal(jax.random.key(3), (8, 12))
  grads = jax.grad(lambda s: ESTIMATORS[name](s))(scores.astype(dtype))
  assert bool(jnp.all(jnp.isfinite(grads)))
  assert ESTIMATORS[name](scores.astype(dtype)).dtype == jnp.float32


@pytest.mark.parametrize("name", ESTIMATORS)
def test_sharding_the_batch_changes_nothing(name):
  x = jax.random.normal(jax.random.key(1), (16, 3))

  def estimate(x, y):
    return ESTIMATORS[name](x @ y.T)

  mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
  with jax.set_mesh(mesh):
    sharded = jax.device_put(x, jax.P("data"))
    got = jax.jit(estimate)(sharded, sharded)
  np.testing.assert_allclose(got, estimate(x, x), rtol=1e-5)


def test_swapped_scores_are_refused():
  for name in ESTIMATORS:
    with pytest.raises(UserError, match="swapped"):
      ESTIMATORS[name](jnp.zeros((4, 3)))
