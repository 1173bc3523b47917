"""The second look of `estimate`: what neighbors see that critics miss."""

import numpy as np
import pytest
from scipy import special, stats

from infomin_jax import estimate
from infomin_jax.estimators import nonneural
from infomin_jax.estimators.nonneural import ksg, mixed_ksg
from infomin_jax.mi import local_fits, neighbors
from infomin_jax.mi.cross_fit import CrossFit, Held
from infomin_jax.mi.tasks import SUITES
from infomin_jax.mi.tasks.ladder import rung
from infomin_jax.mi.value import above_zero, second_look

RHO, N = 0.8, 1500
TRUTH = -0.5 * np.log(1 - RHO**2)
# What `second_look` reads of a critic that can be trusted.
SURE = {"model_based": False, "thin_partition": False, "ceiling": 12.0}


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
    held.append(Held(rows, pairs, matrix, 0.0, False))
  return CrossFit(("copula",), "t copula", held, {}, {})


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


@pytest.mark.parametrize("step", [None, 0.5])
def test_neighbors_on_a_line_are_counted_by_their_distance(step):
  values = np.random.default_rng(0).normal(size=(300, 1)) * 1e3
  values = values if step is None else np.round(values / step) * step
  apart = np.abs(values - values.T)
  # Distances to a neighbor are where sums would round.
  for within in (np.sort(apart, axis=1)[:, 7], np.zeros(300)):
    for radius in (within, np.maximum(np.nextafter(within, 0), 0)):
      expected = np.sum(apart <= radius[:, None], axis=1)
      found = nonneural._count(values, radius)
      np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
  "family", ["corr_normal", "smoothed_uniform", "student_df1"]
)
@pytest.mark.parametrize("nats", [7, 10])
def test_many_nats_are_seen(family, nats):
  look = neighbors.look(*rung(family, nats, 1).sample(4000, 1), 0)
  assert look.how == neighbors.FITTED
  assert -0.15 < look.nats - nats < 0.03 + 0.01 * nats
  low, high = look.interval()
  assert high - low < 0.6 and abs(look.chance) < 0.1


def test_a_bent_line_is_seen_from_either_side():
  rng = np.random.default_rng(5)
  x = rng.uniform(-1, 1, size=(4000, 1))
  y = x**2 + 1e-4 * rng.uniform(size=x.shape)
  # Up to the ends, y has the density 1 / (2 sqrt(y)) of mean log log 2 - 1.
  truth = np.log(2) - 1 - np.log(1e-4)
  for pair in ((x, y), (y, x)):
    assert neighbors.look(*pair, 0).nats == pytest.approx(truth, abs=0.1)


def test_copies_end_at_the_ceiling():
  x = np.random.default_rng(0).normal(size=(1000, 1))
  look = neighbors.look(x, x, 0)
  assert look.ceiling == pytest.approx(np.log(50 * 1000))
  assert look.nats == pytest.approx(look.ceiling, abs=0.5)


@pytest.mark.parametrize("degree", [1, 3])
def test_a_row_is_left_out_of_its_fit(degree):
  x, y = np.random.default_rng(0).normal(size=(2, 32))
  residual, width = local_fits._residuals(x, y, 32, degree)
  for i in (0, 5, 31):
    other = np.arange(32) != i
    fit = np.polyfit(x[other], y[other], degree)
    left = y - np.polyval(fit, x)
    assert residual[i] == pytest.approx(left[i], rel=1e-6)
    free = 31 - degree - 1
    spread = np.sqrt(np.sum(left[other] ** 2) / free)
    assert width[i] == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_does_not_matter(scale):
  x, y = rung("corr_normal", 7, 1).sample(500, 0)
  expected = neighbors.look(x, y, 0).nats
  assert neighbors.look(scale * x, y, 0).nats == pytest.approx(expected)


def test_odd_columns_have_a_value():
  rng = np.random.default_rng(0)
  heavy = np.exp(200 * rng.normal(size=(40, 1)))
  half = np.where(rng.random((40, 1)) < 0.6, 0.0, heavy)
  for x in (heavy, half, np.ones((40, 1)), np.arange(40.0)[:, None] // 8):
    for y in (x, heavy**-1.5, np.hstack([x, heavy])):
      look = neighbors.look(x, y, 0)
      assert np.isfinite([look.nats, look.chance, *look.interval()]).all()


def test_nats_of_independent_columns_add_up():
  task = rung("smoothed_uniform", 5, 4)
  x, y = task.sample(4000, 0)
  look = neighbors.look(x, y[:, ::-1], 0)
  assert "summed over 4 pairs" in look.how
  assert -0.2 < look.nats - task.mi < 0.08
  low, high = look.interval()
  assert low < look.nats < high < task.mi + 0.4
  assert abs(look.chance) < 0.2


def test_columns_of_one_number_add_up():
  # Of y = mean of independent x, each column shows a part.
  rng = np.random.default_rng(0)
  x = rng.normal(size=(4000, 5))
  y = x @ np.array([2.0, 1, 0, 0, 0])[:, None] + rng.normal(size=(4000, 1))
  look = neighbors.look(x, y, 0)
  parts = -0.5 * np.log(1 - np.array([4, 1]) / 6)
  assert "summed over 2 pairs" in look.how
  assert look.nats == pytest.approx(parts.sum(), abs=0.06)
  assert look.nats < 0.5 * np.log(6)


def _parity(rng, n):
  z = rng.normal(size=(n, 3))
  z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
  return z


def _modulo(rng, n):
  u = rng.uniform(size=(n, 3))
  u[:, 2] = (u[:, 0] + u[:, 1]) % 1
  return u


def _circles(rng, n):
  angle = rng.uniform(0, 2 * np.pi, size=(n, 2))
  return np.hstack([np.cos(angle), np.sin(angle)])


def _scaled_together(rng, n):
  return rng.normal(size=(n, 3)) / np.sqrt(rng.chisquare(2, size=(n, 1)))


@pytest.mark.parametrize("draw", [_parity, _modulo, _circles, _scaled_together])
def test_dependent_columns_are_not_added(draw):
  rng = np.random.default_rng(0)
  x = draw(rng, 2000)
  assert neighbors.look(x, x + 0.05 * rng.normal(size=x.shape), 0) is None


def test_columns_that_share_nothing_are_not_looked_at():
  x, y = np.random.default_rng(0).normal(size=(2, 1000, 8))
  assert neighbors.look(x, y, 0) is None
  x[:, 0] = y[:, 3]
  x[:, 7] = x[:, 6]  # dependent, but no part of the sum
  assert neighbors.look(x, y, 0).how.endswith("of one pair of columns")


def test_the_higher_is_taken():
  x, y = normal()
  found = SURE | {"nats": 0.0, "interval": (0.0, 0.01)}
  change = second_look(x, y, fit(x, y, lambda x, y: 0 * (x + y)), found, 0)
  assert change["critic_short"] == 0.0
  assert change["nats"] == pytest.approx(TRUTH, abs=0.08)
  assert change["interval"][0] < TRUTH < change["interval"][1]


def test_fits_take_the_place_of_a_critic_that_few_negatives_carry():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(1000, 1))
  y = x + 1e-3 * rng.normal(size=x.shape)
  found = SURE | {"nats": 9.0, "interval": (8.9, 9.1)}
  high = fit(x, y, lambda x, y: 9.0 + 0 * (x + y))
  assert "nats" not in second_look(x, y, high, found, 0)
  for doubt in ({"model_based": True}, {"ceiling": 9.2}):
    change = second_look(x, y, high, found | doubt, 0)
    assert change["nats"] == pytest.approx(np.log(1e3), abs=0.15)
    assert change["interval"][1] < 7.5


def test_a_good_critic_stays():
  x, y = normal()
  found = SURE | {"nats": TRUTH, "interval": (TRUTH - 0.02, TRUTH + 0.02)}
  change = second_look(x, y, fit(x, y, log_ratio), found, 0)
  assert set(change) == {"interval"}
  assert change["interval"][0] == TRUTH - 0.02
  assert change["interval"][1] >= TRUTH + 0.02


def test_chance_is_not_taken_for_dependence():
  # Neighbors show 0.06 nats of independent integers of many values.
  task = next(t for t in SUITES["mixed"]() if t.name == "integers_256")
  x, y = (v[:, None].astype(float) for v in task.sample(2000, 0))
  assert neighbors.look(x, y, 0).nats > 0.03
  found = SURE | {"nats": 0.0, "interval": (0.0, 0.01)}
  change = second_look(x, y, fit(x, y, lambda x, y: 0 * (x + y)), found, 0)
  assert "nats" not in change


def test_below_zero_it_is_zero_and_the_interval_says_why():
  found = {"nats": -7.1, "interval": (-7.5, -4.5), "optimism": 8.5}
  change = above_zero(found)
  assert change["nats"] == 0.0 and change["below_zero"] == -7.1
  assert change["interval"] == pytest.approx((0.0, 1.4))
  above = {"nats": 0.1, "interval": (-0.1, 0.3), "optimism": 0.0}
  assert above_zero(above) == {"interval": (0.0, 0.3)}


@pytest.mark.slow
def test_a_parabola_is_seen(optimized):
  task = next(t for t in SUITES["functions"]() if t.name == "square")
  found = estimate(*task.sample(1000, 1), seed=1)
  assert abs(found.nats - task.mi) < 0.15
  assert found.interval[0] < task.mi < found.interval[1]
