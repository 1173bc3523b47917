"""Mixtures of normals: the log ratio of clusters, crosses and bends."""

import numpy as np
import pytest
from scipy import special

from infomin_jax.mi.critics.mixture import fit_mixture
from infomin_jax.mi.tasks import mixtures


def fit(x, y, seed=0):
  """Fits to three quarters of the rows, chooses by the others."""
  many = 3 * len(x) // 4
  return fit_mixture(x[:many], y[:many], x[many:], y[many:], seed)


def drawn(mixture, n=2000, seed=0):
  return mixture.draw(n, np.random.default_rng(seed))


@pytest.mark.parametrize(
  ("mixture", "error"),
  [
    (mixtures.cross(), 0.01),
    (mixtures.letters(), 0.03),
    (mixtures.concentric(3, 5), 0.05),
    (mixtures.inliers(5, 0.2), 0.03),
    (mixtures.inliers(25, 0.2), 0.08),
    (mixtures.vector_copula(8), 0.1),
  ],
)
def test_the_log_ratio_is_the_known_one(mixture, error):
  found = fit(*drawn(mixture))
  x, y = drawn(mixture, seed=1)
  truth, got = mixture.log_ratio(x, y), found.pairs(x, y)
  assert abs(np.mean(got - truth)) < error
  assert np.corrcoef(got, truth)[0, 1] > 0.9


def test_a_matrix_holds_the_pairs():
  mixture = mixtures.inliers(5, 0.2)
  found = fit(*drawn(mixture))
  x, y = drawn(mixture, 250, seed=1)
  matrix = found.matrix(x, y[:240])
  assert matrix.shape == (250, 240) and matrix.dtype == np.float64
  np.testing.assert_allclose(np.diag(matrix), found.pairs(x, y)[:240])
  rows = np.roll(x, -3, axis=0)[:240]
  known = found.pairs(rows, y[:240])[:200]
  np.testing.assert_allclose(matrix[np.arange(200) + 3, np.arange(200)], known)


def test_the_partition_is_about_one():
  mixture = mixtures.letters()
  found = fit(*drawn(mixture))
  matrix = found.matrix(*drawn(mixture, 500, seed=1))
  matrix = matrix[~np.eye(500, dtype=bool)]
  partition = special.logsumexp(matrix) - np.log(len(matrix))
  assert abs(partition) < 0.05


def test_of_other_scales_it_is_the_same():
  x, y = drawn(mixtures.cross(), 1000)
  found = fit(x, y).pairs(x, y)
  for scale in (1e-200, 1e200):
    other = fit(scale * x, y).pairs(scale * x, y)
    np.testing.assert_allclose(other, found, rtol=1e-3, atol=1e-3)


def test_one_normal_or_few_rows_are_none():
  rng = np.random.default_rng(0)
  x, noise = rng.normal(size=(2, 1000, 2))
  assert fit(x, 0.8 * x + 0.6 * noise) is None
  assert fit(*drawn(mixtures.cross(), 40)) is None
  assert fit(*rng.normal(size=(2, 400, 300))) is None


def strange():
  rng = np.random.default_rng(0)
  x, y = drawn(mixtures.cross(), 800)
  classes = rng.integers(3, size=(800, 1)).astype(float)
  rare = np.zeros((800, 1))
  rare[:3] = 1e6
  heavy = rng.standard_cauchy((800, 1)) ** 5
  return {
    "ties": (np.round(x), np.round(y)),
    "classes": (classes, classes),
    "class_and_number": (classes, classes + 1e-6 * y),
    "constant": (np.hstack([x, 0 * x]), np.hstack([y, 7 + 0 * y])),
    "all_constant": (0 * x, y),
    "copies": (np.hstack([x, x, x]), np.hstack([y, y])),
    "same": (x, x),
    "rare": (np.hstack([rare, x]), np.hstack([rare, y])),
    "heavy": (heavy * np.sign(x), heavy),
    "wide_range": (1e308 * np.tanh(x), y),
  }


@pytest.mark.parametrize("name", strange())
def test_strange_columns_give_finite_scores(name):
  x, y = strange()[name]
  found = fit(x, y)
  if found is not None:
    assert np.isfinite(found.pairs(x, y)).all()
    assert np.isfinite(found.matrix(x[:50] / 2, y[:50])).all()
    assert found.components > 1
