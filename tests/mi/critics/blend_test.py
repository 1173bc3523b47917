"""What `estimate` fits: sums of critics, columns, and forms of the copula."""

import numpy as np
import pytest

from infomin_jax.mi import estimate
from infomin_jax.mi.columns import columns, quantiles, uniform_ranks
from infomin_jax.mi.critics import blend
from infomin_jax.mi.critics.forms import fit_copula
from infomin_jax.mi.critics.models import Nothing
from infomin_jax.mi.held import Held, log_partition

pytestmark = pytest.mark.usefixtures("optimized")

RNG = np.random.default_rng(0)
X, NOISE = RNG.normal(size=(2, 600))
RHO = 0.8
Y = RHO * X + np.sqrt(1 - RHO**2) * NOISE


class Ratio:
  """The log ratio of a normal pair, with some noise on every score."""

  normalized = False

  def __init__(self, rho, noise=0.0, seed=0):
    more = np.random.default_rng(seed).normal(size=(600, 600))
    x, y = X[:, None], Y[None]
    form = (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (1 - rho**2)
    self.scores = noise * more - 0.5 * (form + np.log1p(-(rho**2)))

  def pairs(self, rows):
    return self.scores[rows, rows]

  def matrix(self, rows):
    return self.scores[np.ix_(rows, rows)]


def nats(critic, rows):
  matrix = critic.matrix(rows)
  apart = matrix[~np.eye(len(rows), dtype=bool)]
  return critic.pairs(rows).mean() - np.log(np.mean(np.exp(apart)))


def test_weights_are_those_that_show_most():
  rows = np.arange(400)
  critics = [Ratio(RHO, 1.0, 1), Ratio(RHO, 1.0, 2), Ratio(0.3)]
  found = blend.weights(critics, rows)
  best = nats(blend.Blend(critics, found), rows)
  steps = np.linspace(0, 1.2, 13)
  for a in steps:
    for b in steps:
      for c in (0.0, 0.2):
        assert nats(blend.Blend(critics, (a, b, c)), rows) < best + 1e-3
  new = np.arange(400, 600)
  assert nats(blend.Blend(critics, found), new) > nats(critics[0], new)


def test_weights_do_not_grow_without_a_bound():
  # No negative exceeds a pair: any scale would show more.
  sure = Nothing()
  sure.pairs = lambda rows: np.ones(len(rows))
  sure.matrix = lambda rows: np.zeros((len(rows), len(rows)))
  found = blend.weights([sure, sure], np.arange(50))
  assert sum(found) == pytest.approx(1.5)


def test_a_critic_of_noise_is_left_out():
  noise = Nothing()
  noise.pairs = lambda rows: np.random.default_rng(1).normal(size=len(rows))
  noise.matrix = lambda rows: np.random.default_rng(2).normal(
    size=(len(rows), len(rows))
  )
  found = blend.weights([Ratio(RHO), noise], np.arange(500))
  assert found[1] == 0
  assert found[0] == pytest.approx(1, abs=0.15)


def test_columns_of_one_order_are_one():
  values = np.stack([X, np.exp(X), -(X**3), NOISE, np.ones(600)], axis=1)
  found = columns(values)
  assert found.ranks.shape == (600, 3)
  np.testing.assert_array_equal(
    found.ranks[:, 1],
    uniform_ranks(np.sort(NOISE)[:, None], NOISE[:, None])[:, 0],
  )
  assert np.median(found.values[:, 0]) == pytest.approx(0, abs=1e-9)


def form(x, y):
  rows = np.random.default_rng(1).permutation(len(x))
  cut = len(x) // 8
  return fit_copula(columns(x), columns(y), rows[cut:], rows[:cut])


def test_of_many_columns_those_that_correlate_are_taken():
  rng = np.random.default_rng(3)
  x, y = rng.normal(size=(2, 1200, 150))
  y[:, 7] = RHO * x[:, 11] + np.sqrt(1 - RHO**2) * y[:, 7]
  found = form(x, y)
  assert found.form.base == "correlated"
  assert found.rho[0] == pytest.approx(RHO, abs=0.06) and len(found.rho) == 1


def test_what_all_columns_share_is_a_component():
  rng = np.random.default_rng(4)
  shared = rng.normal(size=(300, 1))
  x, y = shared + rng.normal(size=(2, 300, 24))
  found = form(x, y)
  assert isinstance(found.form.base, int) and found.form.base <= 4
  truth = 0.96**2  # of the means: 24 / 25 is what is shared
  assert found.rho[0] ** 2 == pytest.approx(truth, abs=0.03)


def test_ranks_of_turned_columns_are_noise_and_values_are_not():
  rng = np.random.default_rng(5)
  z = rng.normal(size=(4000, 2))
  turn = [[0.8, -0.6], [0.6, 0.8]]
  found = form(z, (z + 1e-2 * rng.normal(size=(4000, 2))) @ turn)
  assert found.form.values
  # 2 log(100) nats.
  assert found.pairs(np.arange(4000)).mean() == pytest.approx(9.2, abs=0.3)


def test_monotone_columns_keep_their_ranks():
  found = form(np.exp(3 * X)[:, None], (Y**3)[:, None])
  assert not found.form.values
  scores = quantiles(uniform_ranks(np.sort(X)[:, None], X[:, None]), np.inf)
  assert abs(np.corrcoef(found.u[:, 0], scores[:, 0])[0, 1]) > 0.99


def held(matrix, normalized):
  rows = np.arange(len(matrix))
  return Held(rows, np.zeros(len(matrix)), matrix, 0.0, normalized)


def test_a_ratio_of_densities_has_no_partition_below_one():
  low, high = np.full((50, 50), -0.5), np.full((50, 50), 0.5)
  assert log_partition(held(low, True))[0] == 0
  assert log_partition(held(low, False))[0] == pytest.approx(-0.5)
  # A model whose marginals misfit shows more than chance gives.
  assert log_partition(held(high, True))[0] == pytest.approx(0.5)


def test_few_pairs_in_many_columns_are_near_the_truth():
  rng = np.random.default_rng(6)
  x, y = rng.normal(size=(2, 400, 40))
  x[:, :3] = RHO * y[:, :3] + 0.6 * x[:, :3]
  found = estimate(x, y)
  truth = -1.5 * np.log(1 - RHO**2)
  low, high = found.interval
  assert low < truth < high
  assert abs(found.nats - truth) < 0.25
