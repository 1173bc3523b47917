"""Estimates without a critic: closed forms, exact tables, bad data."""

import numpy as np
import pytest
from scipy import stats

from infomin_jax.errors import UserError
from infomin_jax.estimators import NONNEURAL
from infomin_jax.estimators.nonneural import (
  canonical_correlations,
  gaussian,
  ksg,
  mixed_ksg,
  plug_in,
  table_information,
)


def gaussians(rho, size, seed, dim=1):
  x, noise = np.random.default_rng(seed).normal(size=(2, size, dim))
  return x, rho * x + np.sqrt(1 - rho**2) * noise


def mean_and_error(estimate, draw, repeats):
  values = [estimate(*draw(seed)) for seed in range(repeats)]
  return np.mean(values), np.std(values, ddof=1) / np.sqrt(repeats)


CONTINUOUS = {
  "ksg": ksg,
  "ksg of rectangles": lambda x, y: ksg(x, y, variant=2),
  "mixed_ksg": mixed_ksg,
  "gaussian, corrected": lambda x, y: gaussian(x, y, correct=True),
}


@pytest.mark.parametrize("rho, dim", [(0.0, 1), (0.5, 1), (0.9, 1), (0.5, 2)])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_gaussian_mi_is_recovered(name, rho, dim):
  mean, error = mean_and_error(
    CONTINUOUS[name], lambda seed: gaussians(rho, 500, seed, dim), 20
  )
  truth = -0.5 * dim * np.log(1 - rho**2)
  # In two dimensions 500 samples leave the neighbors' methods a known bias.
  bias = 0.03 if dim == 2 and "gaussian" not in name else 0.0
  assert abs(mean - truth) < 3 * error + bias


def test_ksg_does_not_see_scale_and_shift():
  x, y = gaussians(0.5, 200, 0)
  # The noise against ties is drawn for the scaled columns.
  np.testing.assert_allclose(ksg(1e3 * x + 7, y), ksg(x, y), rtol=1e-6)


def test_ksg_is_its_definition():
  x, y = gaussians(0.5, 40, 0)
  scaled = x[:, 0] / x.std(), y[:, 0] / y.std()
  distance = np.max([abs(v[:, None] - v) for v in scaled], axis=0)
  terms, boxes = [], []
  for i in range(40):
    nearest = np.argsort(distance[i])[1:4]
    counts, rectangle = [], []
    for v in scaled:
      apart = np.delete(abs(v - v[i]), i)
      counts.append(np.sum(apart < distance[i, nearest[-1]]))
      rectangle.append(np.sum(apart <= np.max(abs(v[nearest] - v[i]))))
    terms.append(np.sum(stats_digamma(np.array(counts) + 1)))
    boxes.append(np.sum(stats_digamma(np.array(rectangle))))
  want = stats_digamma(3) + stats_digamma(40)
  got = ksg(x, y, noise=0)
  np.testing.assert_allclose(got, want - np.mean(terms), rtol=1e-10)
  got = ksg(x, y, variant=2, noise=0)
  np.testing.assert_allclose(got, want - 1 / 3 - np.mean(boxes), rtol=1e-10)


def stats_digamma(n):
  """digamma of whole numbers, from harmonic ones."""
  n = np.atleast_1d(n)
  return np.array([np.sum(1 / np.arange(1, m)) for m in n]) - np.euler_gamma


def test_ksg_survives_ties():
  x = np.repeat(np.arange(10.0), 20)
  assert np.isfinite(ksg(x, x))
  assert ksg(x, x) == ksg(x, x)


def uniform_shift(seed):
  """x of 5 equal values, y uniform in [x, x + 2]."""
  rng = np.random.default_rng(seed)
  x = rng.integers(0, 5, 1000)
  return x, x + 2 * rng.uniform(size=1000)


def rare_counts(seed):
  """x exponential, y a Poisson count of it that is lost 3 times in 20."""
  rng = np.random.default_rng(seed)
  x = rng.exponential(size=1000)
  return x, rng.poisson(x) * (rng.uniform(size=1000) > 0.15)


def rare_counts_information():
  """By the integral, sum over y, of p(x, y) log p(y|x)/p(y)."""
  x = np.linspace(0, 40, 200_001)[:, None]
  y = np.arange(100)
  given = 0.85 * stats.poisson.pmf(y, x) + 0.15 * (y == 0)
  marginal = 0.85 * 0.5 ** (y + 1.0) + 0.15 * (y == 0)
  terms = stats.expon.pdf(x) * given * np.log(np.maximum(given, 1e-300))
  terms -= stats.expon.pdf(x) * given * np.log(marginal)
  return np.trapezoid(terms.sum(axis=1), x[:, 0])


MIXED = {
  uniform_shift: np.log(5) - 4 * np.log(2) / 5,
  rare_counts: rare_counts_information(),
}


@pytest.mark.parametrize("draw", MIXED)
def test_mixed_ksg_on_the_paper_s_examples(draw):
  mean, error = mean_and_error(mixed_ksg, draw, 20)
  assert abs(mean - MIXED[draw]) < 3 * error + 0.01


def test_mixed_ksg_of_discrete_data_is_the_plug_in():
  x, y = (np.repeat(values, 100) for values in discrete())
  assert mixed_ksg(x, y) == pytest.approx(plug_in(x, y), abs=0.01)


TABLE = np.array([[4, 0, 1], [1, 2, 2]])


def discrete():
  """Samples with exactly the frequencies of the table."""
  x, y = np.nonzero(TABLE)
  times = TABLE[x, y]
  return np.repeat(x, times), np.repeat(y, times)


def test_discrete_tables_are_exact():
  assert table_information(np.ones((3, 4))) == pytest.approx(0, abs=1e-12)
  assert table_information(np.eye(4)) == pytest.approx(np.log(4))
  joint = TABLE / 10
  want = stats.entropy(joint.sum(0)) + stats.entropy(joint.sum(1))
  want -= stats.entropy(joint.ravel())
  assert table_information(TABLE) == pytest.approx(want)
  x, y = discrete()
  assert plug_in(x, y) == pytest.approx(want)
  # 5 cells, 2 rows and 3 columns are occupied.
  corrected = want - (5 - 2 - 3 + 1) / 20
  assert plug_in(x, y, correct=True) == pytest.approx(corrected)
  # Symbols of several columns; their names do not matter.
  wide = np.stack([x, 1 - x], axis=1)
  assert plug_in(wide, 7 * y + 0.5) == pytest.approx(want)


def test_the_correction_removes_the_bias_of_independent_symbols():
  def draw(seed):
    return np.random.default_rng(seed).integers(0, 5, (2, 400))

  plain, _ = mean_and_error(plug_in, draw, 100)
  mean, error = mean_and_error(lambda x, y: plug_in(x, y, True), draw, 100)
  assert plain == pytest.approx(16 / 800, rel=0.2)
  assert abs(mean) < 3 * error + 1e-3


def test_the_correction_of_the_gaussian_estimate_is_exact():
  # So few samples that the plain value is far off.
  def draw(seed):
    return gaussians(0.5, 12, seed, dim=3)

  truth = -1.5 * np.log(0.75)
  mean, error = mean_and_error(lambda x, y: gaussian(x, y, True), draw, 400)
  assert abs(mean - truth) < 3 * error
  plain, _ = mean_and_error(gaussian, draw, 400)
  assert plain > truth + 0.3


def test_canonical_correlations_do_not_see_linear_maps():
  x, y = gaussians(0.7, 50, 0, dim=3)
  mix = np.random.default_rng(1).normal(size=(3, 3))
  got = canonical_correlations(x @ mix, y[:, :2])
  np.testing.assert_allclose(got, canonical_correlations(x, y[:, :2]))
  one = canonical_correlations(x[:, 0], y[:, 0])
  want = abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1])
  np.testing.assert_allclose(one, [want])


@pytest.mark.parametrize("name", NONNEURAL)
def test_bad_samples_are_refused(name):
  x, y = gaussians(0.5, 20, 0)
  with pytest.raises(UserError, match="paired samples"):
    NONNEURAL[name](x, y[1:])
  with pytest.raises(UserError, match="y holds NaN"):
    NONNEURAL[name](x, np.where(y == y[3], np.nan, y))
  with pytest.raises(UserError, match="k=20 with 20 samples"):
    ksg(x, y, k=20)
  with pytest.raises(UserError, match="variant 1 or 2"):
    ksg(x, y, variant=3)
  with pytest.raises(UserError, match="more samples than"):
    gaussian(np.ones((20, 15)), np.ones((20, 5)))


def test_many_symbols_are_counted_without_a_table():
  # A dense table of these would take 80 GB.
  symbols = np.random.default_rng(0).permutation(100_000)
  assert plug_in(symbols, -symbols) == pytest.approx(np.log(100_000))
