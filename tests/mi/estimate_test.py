"""`estimate` against known truths, and its parts against their formulas."""

import json

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from infomin_jax import cli
from infomin_jax.errors import UserError
from infomin_jax.mi import (
  classes,
  cross_fit,
  estimate,
  estimate_paired,
  interval,
  row_order,
  warnings,
)
from infomin_jax.mi.classes import count_classes
from infomin_jax.mi.columns import columns, quantiles, uniform_ranks
from infomin_jax.mi.critics import models
from infomin_jax.mi.critics.copula import Copula, Form
from infomin_jax.mi.critics.forms import fit_copula
from infomin_jax.mi.critics.networks import Joined, Parametric, Warped
from infomin_jax.mi.held import Held, log_partition
from infomin_jax.mi.inputs.samples import as_paired, read_paired
from infomin_jax.mi.partition import carried, exponentials
from infomin_jax.mi.tasks.beyond_normal import TASKS

pytestmark = pytest.mark.usefixtures("optimized")


def gaussian_pairs(n, rho, seed=0, dim=1):
  x, noise = np.random.default_rng(seed).normal(size=(2, n, dim))
  return x, rho * x + np.sqrt(1 - rho**2) * noise


def test_ranks_are_those_of_the_fitted_sample():
  fitted = np.array([[1.0], [2.0], [2.0], [5.0]])
  got = uniform_ranks(fitted, np.array([[0.0], [1.0], [2.0], [3.5], [9.0]]))
  # Ties share the mean of 0.375 and 0.625; 3.5 lies halfway to 0.875.
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
  copula = Copula(Form(nu=nu), u, v, rho)
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
  rows = np.arange(6)
  np.testing.assert_allclose(copula.pairs(rows), truth)
  np.testing.assert_allclose(np.diag(copula.matrix(rows)), truth)
  # As critics read it, in float32.
  critic = Parametric((3, 2), nu)
  sides = copula.sides()
  got = critic.apply({}, *sides, method="pairs")
  np.testing.assert_allclose(got, truth, rtol=1e-3, atol=1e-4)
  matrix = critic.apply({}, *sides)
  np.testing.assert_allclose(matrix, copula.matrix(rows), rtol=1e-3, atol=1e-4)


def copula_of(x, y, fitted):
  rows = np.arange(len(x))
  return fit_copula(columns(x), columns(y), rows[:fitted], rows[fitted:])


def test_held_out_pairs_choose_tails_and_rank():
  x, y = TASKS["student_2v2_df1"].sample(2000, 0)
  assert copula_of(x, y, 1500).form.nu == 1
  x, y = TASKS["sparse_5v5"].sample(2000, 0)
  copula = copula_of(x, y, 1500)
  assert copula.form.nu >= 15
  assert 2 <= len(copula.rho) <= 3
  np.testing.assert_allclose(copula.rho[:2], 0.8, atol=0.05)


@pytest.mark.parametrize("make", [Warped, Joined])
def test_networks_start_at_the_copula_and_pairs_are_the_diagonal(make):
  x, y = gaussian_pairs(60, 0.8, dim=2)
  copula = copula_of(x, y, 40)
  sides = copula.sides()
  start = Parametric((2, 2), copula.form.nu)
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
  fit = cross_fit.cross_fit(x, y, critic="copula")
  rows = np.concatenate([fold.rows for fold in fit.held])
  assert sorted(rows) == list(range(203))
  assert all(len(fold.rows) == len(fold.pairs) for fold in fit.held)


def test_a_pair_is_not_seen_by_its_critic():
  x, y = gaussian_pairs(200, 0.9)
  before = cross_fit.cross_fit(x, y, critic="copula").held[2]
  # Other partners for the fold's own pairs: its critic must be the same.
  y = y.copy()
  y[before.rows] = y[before.rows[::-1]]
  after = cross_fit.cross_fit(x, y, critic="copula").held[2]
  assert after.fitted_nats == before.fitted_nats
  assert np.mean(after.pairs) < np.mean(before.pairs)


def fold(pairs, matrix, normalized=False):
  return Held(np.arange(len(pairs)), pairs, matrix, 0.0, normalized)


class Fixed:
  """A critic with given scores."""

  def __init__(self, matrix, normalized):
    self.normalized = normalized
    self._matrix = matrix

  def pairs(self, rows):
    return np.diagonal(self._matrix)[rows]

  def matrix(self, rows):
    return self._matrix[np.ix_(rows, rows)]


@pytest.mark.parametrize("shift", [0.0, -500.0])
def test_one_pair_in_the_far_tail_does_not_decide_the_mean(shift):
  matrix = np.random.default_rng(0).normal(size=(50, 50)) + shift
  matrix[7, 7] = -1e6
  pairs, scored = models.score(Fixed(matrix, normalized=False), np.arange(50))
  assert pairs[7] == scored[7, 7] == pytest.approx(shift - 9.5, abs=0.2)
  rest = np.delete(np.arange(50), 7)
  np.testing.assert_array_equal(pairs[rest], np.diagonal(matrix)[rest])


def test_negatives_far_below_do_not_seem_to_carry_the_partition():
  matrix = np.full((50, 50), -1000.0)
  np.fill_diagonal(matrix, 40)
  matrix[3, 4] = -60  # the only negative that counts
  _, scored = models.score(Fixed(matrix, normalized=False), np.arange(50))
  assert carried(exponentials(scored)[0]) == pytest.approx(1)


def test_a_thin_partition_is_one_only_for_a_ratio_of_densities():
  # One of 9,900 negatives carries all of the partition.
  matrix = np.full((100, 100), -20.0)
  matrix[0, 1] = 0.0
  measured = -np.log(9900)
  free, carriers = log_partition(fold(np.zeros(100), matrix))
  np.testing.assert_allclose((free, carriers), (measured, 1.0), rtol=1e-3)
  density = log_partition(fold(np.zeros(100), matrix, True))[0]
  assert density == 0.0


class Scores:
  """A critic of these scores, whatever the rows."""

  def __init__(self, pairs, matrix, normalized=False):
    self.normalized = normalized
    self.pairs = lambda rows: pairs[rows]
    self.matrix = lambda rows: matrix[rows][:, rows]


# Of 9,900 negatives, some have 9.2 nats. 42 carry the partition of 40 of these;
# its log is 3.7, with a doubt of 0.5. 4 carry that of one: nothing follows.
@pytest.mark.parametrize(
  "pairs, high, best",
  [
    (1.5, 0, "warped"),
    (4.0, 40, "copula"),
    (5.0, 40, "warped"),
    (9.0, 1, "copula"),
  ],
)
def test_a_network_must_show_more_than_its_partition_is_in_doubt(
  pairs, high, best
):
  rows = models.Rows(*[np.arange(100)] * 3)
  zeros = np.zeros((100, 100))
  matrix = zeros.copy()
  matrix[0, 1 : high + 1] = 9.2
  network = Scores(np.full(100, pairs), matrix)
  copula = Scores(np.zeros(100), zeros, normalized=True)
  names, _ = cross_fit._best(
    {"copula": copula, "warped": network}, rows, "auto"
  )
  assert names == [best]
  # Where no copula fits, there is nothing else.
  names, _ = cross_fit._best(
    {"copula": models.Nothing(), "warped": network}, rows, "auto"
  )
  assert names == ["warped"]


def test_a_sum_that_fails_in_other_folds_falls_back_to_the_copula():
  rows = [models.Rows(*[np.arange(100)] * 3) for _ in range(2)]
  zeros = np.zeros((100, 100))
  copula = Scores(np.full(100, 0.5), zeros, normalized=True)
  good, bad = (Scores(np.full(100, value), zeros) for value in (1.0, -9.0))
  for second, best in ((good, "warped"), (bad, "copula")):
    fitted = [
      {"copula": copula, "warped": good},
      {"copula": copula, "warped": second},
    ]
    names, held = cross_fit._kept(fitted, ["warped"], rows, "auto")
    assert names == [best]
    assert [fold.normalized for fold in held] == [best == "copula"] * 2
    names, _ = cross_fit._kept(fitted, ["warped"], rows, "warped")
    assert names == ["warped"]  # whoever names a critic gets it


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
  nats, carried = log_partition(fold(np.zeros(6), matrix))
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
  bent=False,
  constant=0,
  duplicates=0.0,
)


@pytest.mark.parametrize(
  "flag,change",
  [
    ("same_column", dict(same_column="x equals y")),
    ("row_order", dict(row_order="x and y")),
    ("constant", dict(constant=2)),
    ("reduced", dict(reduced="The 900 columns of x")),
    ("many_classes", dict(chance=0.3)),
    ("duplicates", dict(duplicates=0.3)),
    ("few_samples", dict(samples=60)),
    ("near_ceiling", dict(ceiling=1.2)),
    ("wide_interval", dict(interval=(-0.5, 1.5))),
    ("bounds_apart", dict(apart=0.8)),
    ("model_based", dict(model_based=True)),
    ("thin_partition", dict(thin_partition=True)),
    ("overfitted", dict(optimism=0.4)),
    ("still_rising", dict(rise=0.1)),
    ("bent", dict(bent=True, columns=40)),
    ("bent", dict(bent=True, columns=6, samples=1000)),
    ("critic_short", dict(critic_short=0.4)),
    ("below_zero", dict(below_zero=-0.1)),
    ("independent", dict(p_value=0.4)),
  ],
)
def test_each_flag_is_raised_by_its_cause_alone(flag, change):
  assert warnings.flags(FIGURES) == ()
  figures = FIGURES | change
  assert warnings.flags(figures) == (flag,)
  (sentence,) = warnings.words((flag,), figures)
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
def test_dependence_that_no_copula_has_is_found():
  x = np.random.default_rng(0).normal(size=2000)
  y = np.abs(x) + 0.1 * np.random.default_rng(1).normal(size=2000)
  assert estimate(x, y, critic="copula").nats < 0.3
  by_network = estimate(x, y, critic="joined")
  assert "network" in by_network.estimator
  assert by_network.nats > 0.8
  found = estimate(x, y)
  # h(|x|) - h(noise), but for what the noise adds near 0.
  truth = 0.5 * np.log(np.pi * np.e / 2 / (2 * np.pi * np.e * 0.01))
  assert abs(found.nats - truth) < 0.12
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
def test_classes_count_as_one_column_of_the_data():
  rng = np.random.default_rng(0)
  classes = rng.integers(0, 30, 600)
  values = np.sin(classes) + 0.3 * rng.normal(size=600)
  found = estimate(classes, values)
  assert "network" in found.estimator  # else no critic is said to be short
  assert "bent" not in found.flags


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


# --- columns that strangers bring -------------------------------------------

IDS = np.arange(200)
NOISE = np.random.default_rng(0).normal(size=(2, 200))


@pytest.mark.parametrize(
  "x,y,words",
  [
    (NOISE[0], NOISE[0], ("x equals y", "")),
    (NOISE[0], np.exp(-NOISE[0]), ("x is a monotone function of y", "")),
    (
      np.stack([IDS, NOISE[0]], axis=1),
      np.stack([NOISE[1], IDS + 7.5], axis=1),
      ("column 0 of x is a monotone function of column 1 of y", ""),
    ),
    (IDS + NOISE[0] / 9, np.sort(NOISE[1]).round(1), ("", "x and y")),
    (IDS * 1.0, np.repeat([2, 0, 1], [90, 60, 50]), ("", "x and y")),
    (NOISE[0], np.repeat([2, 0, 1], [90, 60, 50]), ("", "")),
    (NOISE[0], NOISE[0] + NOISE[1] / 99, ("", "")),
    (IDS * 1.0, IDS == 199, ("", "")),
  ],
)
def test_columns_of_the_same_order_are_named(x, y, words):
  assert row_order.shared(as_paired(x, y)) == words


def test_row_numbers_are_named_by_the_columns_of_a_table(tmp_path, capsys):
  rows = [f"{i},{a},{b}" for i, (a, b) in enumerate(NOISE.T)]
  for name in ("x", "y"):
    path = tmp_path / f"{name}.csv"
    path.write_text("\n".join(["id,p,q", *rows]))
  paths = [str(tmp_path / f"{name}.csv") for name in ("x", "y")]
  columns = ["--x_columns=id,p", "--y_columns=id,q"]
  cli.main(["estimate", *paths, *columns, "--critic=copula"])
  assert "column 'id' of x equals column 'id' of y" in capsys.readouterr().out


@pytest.mark.parametrize(
  "x",
  [
    np.eye(5)[np.arange(200) % 5],  # dummies that sum to one
    (NOISE[0][:, None] > np.linspace(1, 2.4, 20)) * 1.0,  # sparse counts
    np.repeat([0.0, 1.0], [199, 1])[:, None],  # one row differs
  ],
  ids=["dummies", "sparse", "one row"],
)
def test_nearly_constant_columns_share_nothing_with_noise(x):
  found = estimate(x, NOISE[1], critic="copula")
  assert abs(found.nats) < 0.05
  assert "independent" in found.flags


@pytest.mark.slow
def test_digits_share_most_of_their_class():
  images, digits = load_digits(return_X_y=True)
  found = estimate(images, digits)
  # A classifier with 98 % of them right has at least 2.2 of log 10 nats.
  assert 2.1 < found.nats < np.log(10)
  assert "still_rising" in found.flags


def test_a_class_that_occurs_once_is_compared_with_numbers():
  classes = np.repeat([0, 1, 2], [100, 99, 1])
  shift = np.where(classes == 1, 8.0, 0.0)
  found = estimate(classes, NOISE[0] + shift, critic="copula")
  assert 0.3 < found.nats < np.log(2) + 0.05  # 0.69 but for the copula
  assert estimate(np.zeros(200, int), NOISE[0]).nats == 0


def test_classes_stay_below_their_entropy():
  rng = np.random.default_rng(0)
  x = rng.integers(1500, size=2000)
  found = count_classes(x, x, 0)
  entropy = stats.entropy(np.bincount(x))
  assert found["nats"] == pytest.approx(entropy)
  assert found["interval"][1] <= entropy + 1e-9
  dealt = count_classes(x, rng.permutation(x), 0)
  # Most cells hold one pair: chance alone looks like dependence.
  assert dealt["p_value"] > 0.05
  assert dealt["chance"] == pytest.approx(dealt["nats"], rel=0.05)


def test_tables_are_drawn_as_permutations_have_them():
  x, y = np.random.default_rng(0).integers(3, size=(2, 300))
  sums = np.bincount(x), np.bincount(y)
  means = []
  for deal in (
    classes._tables(sums, np.random.default_rng(1)),
    classes._permuted(x, y, np.random.default_rng(2)),
  ):
    drawn = [classes._of_cells(deal(), sums)[0] for _ in range(300)]
    means.append(np.mean(drawn))
  np.testing.assert_allclose(means, 4 / 600, rtol=0.2)  # chi squared / 2n


def test_more_columns_than_rows_give_a_lower_bound():
  hidden = np.random.default_rng(0).normal(size=(2, 120))
  x = hidden[0][:, None] + 0.5 * np.random.default_rng(1).normal(
    size=(120, 300)
  )
  truth = -0.5 * np.log(1 - 0.8**2)
  y = 0.8 * hidden[0] + 0.6 * hidden[1]
  found = estimate(x, y, critic="copula")
  assert "reduced" in found.flags
  assert 0.1 < found.nats < truth + 0.2


def test_too_many_categories_are_refused_before_memory_is_taken(tmp_path):
  lines = [f"name{i},{i * 7919 % 1000}.5" for i in range(1000)]
  (tmp_path / "t.csv").write_text("\n".join(["x,y", *lines]))
  pairs = read_paired(str(tmp_path / "t.csv"))
  with pytest.raises(UserError, match="x is text of 1,000 categories"):
    estimate_paired(pairs)


@pytest.mark.slow
def test_the_figure_of_a_sorted_file_comes_after_its_number(
  tmp_path, capsys, monkeypatch
):
  x = np.repeat([0, 1], 100)
  np.savez(tmp_path / "f.npz", x=x, y=NOISE[0] + 3 * x)
  monkeypatch.setattr("infomin_jax.mi.compare.draw", lambda *_: 1 / 0)
  arguments = [f"{tmp_path}/f.npz", f"--figure={tmp_path}/f.png"]
  with pytest.raises(ZeroDivisionError):
    cli.main(["estimate", *arguments, "--critic=copula"])
  assert "I(X; Y) = 0." in capsys.readouterr().out
  with pytest.raises(SystemExit):
    cli.main(["estimate", *arguments[:1], f"--figure={tmp_path}/no/f.png"])
  said = capsys.readouterr()
  assert not said.out and "cannot be written" in said.err


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
    (["{x}", "{y}", "--estimators=infonse"], "did you mean infonce"),
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
