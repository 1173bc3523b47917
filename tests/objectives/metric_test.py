"""Metric learning's losses: the identity with InfoNCE, and written as loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.errors import UserError
from infomin_jax.estimators import infonce
from infomin_jax.objectives.metric import (
  kpair,
  kpair_multiclass,
  squared_distances,
  triplet,
  triplet_semihard,
)

SCORES = jnp.float32([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2.0]])
LOSSES = (kpair, kpair_multiclass, triplet, triplet_semihard)


def random_scores(rows, columns, scale, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.float32(rng.normal(scale=scale, size=(rows, columns)))


@pytest.mark.parametrize("scale", [0.01, 1, 30])
@pytest.mark.parametrize("columns", [6, 9])
def test_multiclass_kpair_is_infonce(scale, columns):
  scores = random_scores(6, columns, scale)
  want = np.log(columns) - infonce(scores)
  np.testing.assert_allclose(kpair_multiclass(scores), want, rtol=1e-5)
  loss, bound = jax.jit(jax.grad(kpair_multiclass)), jax.jit(jax.grad(infonce))
  np.testing.assert_allclose(loss(scores), -bound(scores), atol=1e-6)


def test_published_example():
  assert float(kpair_multiclass(SCORES)) == pytest.approx(0.419278360)


def test_losses_are_what_loops_give():
  scores = np.asarray(random_scores(5, 7, 1.0), np.float64)
  scores[0, 0] = 5  # nothing is farther away than this positive
  one, many, hard, mined = [], [], [], []
  for i in range(5):
    others = [j for j in range(7) if j != i]
    over = scores[i, others] - scores[i, i]
    one.append(np.sum(np.log1p(np.exp(over))))
    many.append(np.log1p(np.sum(np.exp(over))))
    hard += [max(0, scores[i, i] - scores[i, j] + 0.2) for j in others]
    farther = [scores[i, j] for j in others if scores[i, j] > scores[i, i]]
    negative = min(farther) if farther else max(scores[i, others])
    mined.append(max(0, scores[i, i] - negative + 0.2))
  assert any(value > 0.2 for value in mined), "an anchor without semi-hard ones"
  assert any(0 < value < 0.2 for value in mined)
  for loss, want in zip(LOSSES, (one, many, hard, mined), strict=True):
    assert float(loss(jnp.float32(scores))) == pytest.approx(
      np.mean(want), rel=1e-5
    )


def test_distances_are_of_directions():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
  unit_x = x / np.linalg.norm(x, axis=1, keepdims=True)
  unit_y = y / np.linalg.norm(y, axis=1, keepdims=True)
  want = ((unit_x[:, None] - unit_y[None]) ** 2).sum(-1)
  got = squared_distances(jnp.float32(7 * x), jnp.float32(y))
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4])
def test_gradients_stay_finite(loss, value):
  scores = jnp.where(jnp.eye(4, dtype=bool), value, jnp.zeros((4, 4)))
  assert np.all(np.isfinite(jax.jit(jax.grad(loss))(scores)))


@pytest.mark.parametrize("loss", LOSSES)
def test_swapped_scores_are_refused(loss):
  with pytest.raises(UserError, match="swapped"):
    loss(jnp.zeros((4, 3)))
