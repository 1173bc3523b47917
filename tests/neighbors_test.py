"""The second look of `estimate`: what neighbors see that critics miss."""

import numpy as np
import pytest
from scipy import special, stats

from infomin_jax import estimate
from infomin_jax.estimation import neighbors
from infomin_jax.estimation.crossfit import CrossFit, Held
from infomin_jax.estimation.estimate import _above_zero, _second_look
from infomin_jax.estimators.nonneural import ksg, mixed_ksg
from infomin_jax.mi.tasks import SUITES

RHO, N = 0.8, 1500
TRUTH = -0.5 * np.log(1 - RHO**2)


def normal(seed=0, n=N):
  x, noise = np.random.default_rng(seed).normal(size=(2, n, 1))
  return x, RHO * x + np.sqrt(1 - RHO**2) * noise


def log_ratio(x, y):
  form = (x - RHO * y) ** 2 / (1 - RHO**2) - x**2
  return TRUTH - 0.5 * form


def fit(x, y, score):
  """Two folds that were scored by `score(x, y)`."""
  held = []
  for rows in np.array_split(np.arange(len(x)), 2):
    matrix = score(x[rows[:300]], y[rows[:300]].T)
    pairs = score(x[rows], y[rows])[:, 0]
    held.append(Held(rows, pairs, matrix, 0.0, None, False))
  return CrossFit("copula", held, {}, {})


def test_a_look_is_ksg_of_normal_scores():
  x, y = normal()
  look = neighbors.look(np.exp(x), y**3, seed=3)
  scores = [
    special.ndtri((stats.rankdata(v[look.rows, 0]) - 0.5) / N) for v in (x, y)
  ]
  assert look.nats == pytest.approx(ksg(*scores), abs=2e-3)
  low, high = look.interval()
  assert low < TRUTH < high and high - low < 0.3
  assert abs(look.chance) < 0.05


def test_ties_are_counted():
  x, y = np.random.default_rng(0).integers(4, size=(2, 800, 1)).astype(float)
  look = neighbors.look(x, x + y, seed=0)
  both = [v[look.rows] for v in (x, x + y)]
  assert look.nats == pytest.approx(mixed_ksg(*both, k=3), abs=1e-9)


def test_the_higher_is_taken():
  x, y = normal()
  found = {"nats": 0.0, "interval": (0.0, 0.01)}
  change = _second_look(x, y, fit(x, y, lambda x, y: 0 * (x + y)), found, 0)
  assert change["critic_short"] == 0.0
  assert change["nats"] == pytest.approx(TRUTH, abs=0.08)
  assert change["interval"][0] < TRUTH < change["interval"][1]


def test_a_good_critic_stays():
  x, y = normal()
  found = {"nats": TRUTH, "interval": (TRUTH - 0.02, TRUTH + 0.02)}
  change = _second_look(x, y, fit(x, y, log_ratio), found, 0)
  assert set(change) == {"interval"}
  assert change["interval"][0] == TRUTH - 0.02
  assert change["interval"][1] >= TRUTH + 0.02


def test_chance_is_not_taken_for_dependence():
  # Neighbors show 0.06 nats of independent integers of many values.
  task = next(t for t in SUITES["mixed"]() if t.name == "integers_256")
  x, y = (v[:, None].astype(float) for v in task.sample(2000, 0))
  assert neighbors.look(x, y, 0).nats > 0.03
  found = {"nats": 0.0, "interval": (0.0, 0.01)}
  change = _second_look(x, y, fit(x, y, lambda x, y: 0 * (x + y)), found, 0)
  assert "nats" not in change


def test_below_zero_it_is_zero_and_the_interval_says_why():
  found = {"nats": -7.1, "interval": (-7.5, -4.5), "optimism": 8.5}
  change = _above_zero(found)
  assert change["nats"] == 0.0 and change["below_zero"] == -7.1
  assert change["interval"] == pytest.approx((0.0, 1.4))
  above = {"nats": 0.1, "interval": (-0.1, 0.3), "optimism": 0.0}
  assert _above_zero(above) == {"interval": (0.0, 0.3)}


@pytest.mark.slow
def test_a_parabola_is_seen(optimized):
  task = next(t for t in SUITES["functions"]() if t.name == "square")
  found = estimate(*task.sample(1000, 1), seed=1)
  assert abs(found.nats - task.mi) < 0.15
  assert found.interval[0] < task.mi < found.interval[1]
