"""`estimate` against known truths, and its parts against their formulas."""

import json

import jax
import numpy as np
import pytest
from scipy import stats

from infomin_jax import cli
from infomin_jax.data.synthetic import TASKS
from infomin_jax.errors import UserError
from infomin_jax.estimation import advice, crossfit, estimate, interval
from infomin_jax.estimation.copula import (
  Copula,
  fit_copula,
  quantiles,
  uniform_ranks,
)
from infomin_jax.estimation.crossfit import Held, cross_fit
from infomin_jax.estimation.networks import Joined, Parametric, Warped

pytestmark = pytest.mark.usefixtures("optimized")


def gaussian_pairs(n, rho, seed=0, dim=1):
  x, noise = np.random.default_rng(seed).normal(size=(2, n, dim))
  return x, rho * x + np.sqrt(1 - rho**2) * noise


def test_ranks_are_those_of_the_fitted_sample():
  fitted = np.array([[1.0], [2.0], [2.0], [5.0]])
  got = uniform_ranks(fitted, np.array([[0.0], [1.0], [2.0], [3.5], [9.0]]))
  # Ties share the mean of 0.375 and 0.625; 3.5 lies half-way to 0.875.
  np.testing.assert_allclose(got[:, 0], [0.125, 0.125, 0.5, 0.6875, 0.875])


@pytest.mark.parametrize("nu", [1.0, 5.0, np.inf])
def test_quantiles_are_those_of_the_t(nu):
  p = np.array([1e-4, 0.01, 0.3, 0.5, 0.9, 0.9999])
  exact = stats.norm.ppf(p) if np.isinf(nu) else stats.t.ppf(p, nu)
  np.testing.assert_allclose(quantiles(p, nu), exact, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("nu", [3.0, np.inf])
def test_the_copula_is_a_ratio_of_densities(nu):
  # Canonical already: unit scatter within, rho between the first coordinates.
  rho = np.array([0.7, 0.2])
  u, v = np.random.default_rng(0).normal(size=(2, 6, 3))
  v = v[:, :2]
  sorted_u, sorted_v = np.sort(u, 0), np.sort(v, 0)
  copula = Copula(sorted_u, sorted_v, nu, np.eye(3), np.eye(2), rho)
  u, v = (
    quantiles(uniform_ranks(sorted_u, u), nu),
    quantiles(uniform_ranks(sorted_v, v), nu),
  )
  scatter = np.eye(5)
  scatter[[0, 1], [3, 4]] = scatter[[3, 4], [0, 1]] = rho

  def log_density(z, scatter):
    mean = np.zeros(len(scatter))
    if np.isinf(nu):
      return stats.multivariate_normal(mean, scatter).logpdf(z)
    return stats.multivariate_t(mean, scatter, nu).logpdf(z)

  truth = (
    log_density(np.hstack([u, v]), scatter)
    - log_density(u, np.eye(3))
    - log_density(v, np.eye(2))
  )
  # `sides` takes values, here the sorted sample's own.
  order_u, order_v = np.random.default_rng(0).normal(size=(2, 6, 3))
  sides = copula.sides(order_u, order_v[:, :2])
  critic = Parametric((3, 2), nu)
  got = critic.apply({}, *sides, method="pairs")
  np.testing.assert_allclose(got, truth, rtol=1e-3, atol=1e-4)
  matrix = critic.apply({}, *sides)
  np.testing.assert_allclose(np.diag(matrix), got, rtol=1e-4, atol=1e-5)


def test_held_out_pairs_choose_tails_and_rank():
  x, y = TASKS["student_2v2_df1"].sample(2000, 0)
  assert fit_copula(x[:1500], y[:1500], x[1500:], y[1500:]).nu == 1
  x, y = TASKS["sparse_5v5"].sample(2000, 0)
  copula = fit_copula(x[:1500], y[:1500], x[1500:], y[1500:])
  assert copula.nu >= 15
  assert 2 <= len(copula.rho) <= 3
  np.testing.assert_allclose(copula.rho[:2], 0.8, atol=0.05)


@pytest.mark.parametrize("make", [Warped, Joined])
def test_networks_start_at_the_copula_and_pairs_are_the_diagonal(make):
  x, y = gaussian_pairs(60, 0.8, dim=2)
  copula = fit_copula(x[:40], y[:40], x[40:], y[40:])
  sides = copula.sides(x, y)
  start = Parametric((2, 2), copula.nu)
  critic = make(start)
  params = critic.init(jax.random.key(0), *sides)
  matrix = critic.apply(params, *sides)
  np.testing.assert_allclose(matrix, start.apply({}, *sides), atol=1e-4)
  moved = jax.tree.map(lambda p: p + 0.1, params)
  matrix = critic.apply(moved, *sides)
  assert np.abs(matrix - start.apply({}, *sides)).max() > 0.1
  pairs = critic.apply(moved, *sides, method="pairs")
  np.testing.assert_allclose(pairs, np.diag(matrix), rtol=1e-3, atol=1e-3)


def test_every_pair_is_scored_once():
  x, y = gaussian_pairs(203, 0.5)
  fit = cross_fit(x, y, critic="copula")
  rows = np.concatenate([fold.rows for fold in fit.held])
  assert sorted(rows) == list(range(203))
  assert all(len(fold.rows) == len(fold.pairs) for fold in fit.held)


def test_a_pair_is_not_seen_by_its_critic():
  x, y = gaussian_pairs(200, 0.9)
  before = cross_fit(x, y, critic="copula").held[2]
  # Other partners for the fold's own pairs: its critic must be the same.
  y = y.copy()
  y[before.rows] = y[before.rows[::-1]]
  after = cross_fit(x, y, critic="copula").held[2]
  assert after.copula is not None and before.copula is not None
  np.testing.assert_array_equal(after.copula.rho, before.copula.rho)
  assert np.mean(after.pairs) < np.mean(before.pairs)


def fold(pairs, matrix, normalised=False):
  return Held(np.arange(len(pairs)), pairs, matrix, 0.0, None, normalised)


def test_a_thin_partition_is_one_only_for_a_ratio_of_densities():
  # One of 9,900 negatives carries all of the partition.
  matrix = np.full((100, 100), -20.0)
  matrix[0, 1] = 0.0
  measured = -np.log(9900)
  free, carriers = interval.log_partition(fold(np.zeros(100), matrix))
  np.testing.assert_allclose((free, carriers), (measured, 1.0), rtol=1e-3)
  density = interval.log_partition(fold(np.zeros(100), matrix, True))[0]
  assert density == 0.0


def test_a_network_whose_partition_is_thin_is_not_taken():
  pairs = {"copula": np.zeros(100), "warped": np.ones(100)}
  one = np.full((100, 100), -20.0)
  one[0, 1] = 0.0
  scores = {"thin": one, "wide": np.zeros((100, 100))}
  for kind, best in {"thin": "copula", "wide": "warped"}.items():
    tried = {"copula": 0.0, "warped": 1.0}
    looks = {name: (x, scores[kind]) for name, x in pairs.items()}
    assert crossfit._best(looks, tried, "auto") == best


def test_bootstrap_spread_is_that_of_a_mean():
  rng = np.random.default_rng(0)
  pairs = rng.normal(size=2000)
  folds = [fold(pairs, np.zeros((50, 50))) for _ in range(4)]
  draws = interval.bootstrap(folds, 1000, 0)
  np.testing.assert_allclose(draws.std(), pairs.std() / 8000**0.5, rtol=0.1)
  np.testing.assert_allclose(draws.mean(), pairs.mean(), atol=0.002)


def test_log_partition_against_a_loop():
  matrix = np.random.default_rng(0).normal(size=(6, 6))
  total = [np.exp(matrix[i, j]) for i in range(6) for j in range(6) if i != j]
  nats, carried = interval.log_partition(fold(np.zeros(6), matrix))
  np.testing.assert_allclose(nats, np.log(np.mean(total)), rtol=1e-6)
  kish = np.sum(total) ** 2 / np.sum(np.square(total))
  np.testing.assert_allclose(carried, kish, rtol=1e-6)


def test_permutations_tell_dependence_from_its_absence():
  rng = np.random.default_rng(0)
  matrix = rng.normal(size=(200, 200))
  p = interval.permutation_p_value([fold(np.zeros(200), matrix)], 199, 0)
  assert 0.02 < p < 0.98
  matrix = matrix + 0.5 * np.eye(200)
  p = interval.permutation_p_value([fold(np.zeros(200), matrix)], 199, 0)
  assert p == 1 / 200


FIGURES = dict(
  nats=1.0,
  interval=(0.9, 1.1),
  ceiling=10.0,
  samples=10_000,
  p_value=0.001,
  optimism=0.01,
  apart=0.02,
  model_based=False,
  thin_partition=False,
  constant=0,
  duplicates=0.0,
)


@pytest.mark.parametrize(
  "flag,change",
  [
    ("constant", dict(constant=2)),
    ("duplicates", dict(duplicates=0.3)),
    ("few_samples", dict(samples=60)),
    ("near_ceiling", dict(ceiling=1.2)),
    ("wide_interval", dict(interval=(-0.5, 1.5))),
    ("bounds_apart", dict(apart=0.8)),
    ("model_based", dict(model_based=True)),
    ("thin_partition", dict(thin_partition=True)),
    ("overfitted", dict(optimism=0.4)),
    ("independent", dict(p_value=0.4)),
  ],
)
def test_each_flag_is_raised_by_its_cause_alone(flag, change):
  assert advice.flags(FIGURES) == ()
  figures = FIGURES | change
  assert advice.flags(figures) == (flag,)
  (sentence,) = advice.words((flag,), figures)
  assert "{" not in sentence


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_gaussian_truth_lies_in_the_interval(rho):
  x, y = gaussian_pairs(2000, rho)
  truth = -0.5 * np.log(1 - rho**2)
  found = estimate(x, y, critic="copula")
  low, high = found.interval
  assert low <= truth <= high
  assert abs(found.nats - truth) < 0.05
  assert ("independent" in found.flags) == (rho == 0)


def test_monotone_distortions_change_nothing():
  x, y = gaussian_pairs(500, 0.8)
  plain = estimate(x, y, critic="copula")
  bent = estimate(np.exp(3 * x), y**3, critic="copula")
  np.testing.assert_allclose(bent.nats, plain.nats, atol=2e-3)


@pytest.mark.slow
def test_dependence_that_no_copula_has_is_found_by_a_network():
  x = np.random.default_rng(0).normal(size=2000)
  y = np.abs(x) + 0.1 * np.random.default_rng(1).normal(size=2000)
  assert estimate(x, y, critic="copula").nats < 0.3
  found = estimate(x, y)
  assert "network" in found.estimator
  assert found.nats > 0.8
  again = estimate(x, y)
  assert again.nats == found.nats and again.interval == found.interval


@pytest.mark.slow
def test_classes_are_counted():
  rng = np.random.default_rng(0)
  x = rng.integers(4, size=3000)
  y = np.where(rng.random(3000) < 0.5, x, rng.integers(4, size=3000))
  table = np.full((4, 4), 0.125 / 4) + 0.5 * np.eye(4) / 4
  truth = np.sum(table * np.log(table * 16))
  found = estimate(x, y)
  low, high = found.interval
  assert low <= truth <= high
  assert found.ceiling == pytest.approx(np.log(4))
  assert found.p_value == 0.001
  independent = estimate(x, rng.integers(4, size=3000))
  assert "independent" in independent.flags


@pytest.mark.slow
def test_a_class_and_a_number():
  rng = np.random.default_rng(0)
  x = rng.integers(2, size=3000)
  y = 4.0 * x + rng.normal(size=3000)
  # Two well separated classes: nearly their entropy, by integration.
  grid = np.linspace(-8, 12, 20_001)
  p0, p1 = stats.norm.pdf(grid), stats.norm.pdf(grid - 4)
  mix = 0.5 * (p0 + p1)
  truth = np.trapezoid(0.5 * p0 * np.log(p0 / mix), grid) * 2
  found = estimate(x, y)
  assert abs(found.nats - truth) < 0.06


@pytest.mark.slow
def test_images_share_what_they_show():
  rng = np.random.default_rng(0)
  shown = rng.integers(2, size=600)
  x, y = rng.random((2, 600, 6, 6)).astype(np.float32)
  x[shown == 1, :3] *= 0.2
  y[shown == 1, :, 3:] *= 0.2
  found = estimate(x, y)
  assert 0.4 < found.nats < 0.8  # log 2 = 0.69
  assert found.p_value < 0.01


def test_what_never_varies_shares_nothing():
  found = estimate(np.ones(100), np.arange(100.0))
  assert found.nats == 0
  assert "constant" in found.flags and "independent" in found.flags


@pytest.mark.long
def test_a_hard_gaussian_is_within_a_tenth():
  task = TASKS["gaussian_128v128_rho0.5"]
  found = estimate(*task.sample(10_000, 0), critic="copula")
  assert abs(found.nats - task.mi) < 0.1 * task.mi
  assert "model_based" in found.flags


def test_too_few_samples_are_refused():
  with pytest.raises(UserError, match="at least 40 pairs"):
    estimate(np.arange(10.0), np.arange(10.0))


@pytest.fixture
def files(tmp_path):
  x, y = gaussian_pairs(400, 0.9)
  paths = tmp_path / "x.npy", tmp_path / "y.npy"
  for path, values in zip(paths, (x, y), strict=True):
    np.save(path, values)
  return list(map(str, paths))


def test_the_verb_prints_json(files, capsys, tmp_path):
  figure = tmp_path / "f.png"
  flags = ["--json", "--estimators=all", "--critic=copula"]
  cli.main(["estimate", *files, *flags, f"--figure={figure}"])
  found = json.loads(capsys.readouterr().out)
  keys = {"nats", "interval", "estimator", "ceiling", "flags", "samples"}
  assert keys | {"seconds", "p_value", "advice"} <= set(found)
  assert found["samples"] == 400
  rows = {row["estimator"]: row for row in found["estimators"]}
  assert rows["infonce"]["direction"] == "lower bound"
  assert rows["infonce"]["nats"] <= rows["infonce"]["ceiling"]
  assert abs(rows["ksg"]["nats"] - 0.83) < 0.15
  assert figure.stat().st_size > 10_000


def test_the_verb_prints_sentences(files, capsys):
  cli.main(["estimate", *files, "--critic=copula"])
  out = capsys.readouterr().out
  assert out.startswith("I(X; Y) = 0.")
  assert "nats, 95 % in [" in out


@pytest.mark.parametrize(
  "arguments,words",
  [
    ([], "expected one or two files"),
    (["no.npy", "no.npy"], "no.npy"),
    (["{x}", "{y}", "--critic=deep"], "Known:"),
    (["{x}", "{y}", "--estimators=some"], "best or all"),
    (["{x}", "{y}", "--figure=f.txt"], ".png"),
  ],
)
def test_a_wrong_call_gets_one_line(arguments, words, files, capsys):
  named = [a.format(x=files[0], y=files[1]) for a in arguments]
  with pytest.raises(SystemExit) as error:
    cli.main(["estimate", *named])
  assert error.value.code == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert words in line
