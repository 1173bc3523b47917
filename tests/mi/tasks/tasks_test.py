"""Truths of the public suites: against integrals, densities and neighbors."""

import pickle

import numpy as np
import pytest
from scipy import integrate, special, stats

from infomin_jax.estimators.nonneural import ksg
from infomin_jax.mi.tasks import (
  SUITES,
  functions,
  ladder,
  latent,
  mixed,
  mixtures,
  small,
  vce,
)


def by_name(tasks):
  return {task.name: task for task in tasks}


MIXED, FUNCTIONS = by_name(mixed.tasks()), by_name(functions.tasks())
MIXTURES = by_name(mixtures.tasks())
EACH = {name: by_name(make()) for name, make in SUITES.items()}


@pytest.mark.parametrize("suite", EACH)
def test_samples(suite):
  assert len(EACH[suite]) == len(SUITES[suite]())
  for task in EACH[suite].values():
    x, y = task.sample(12, 3)
    assert x.shape[0] == y.shape[0] == 12
    assert (x.reshape(12, -1).shape[1], y.reshape(12, -1).shape[1]) == (
      task.dim_x,
      task.dim_y,
    ), task.name
    assert np.isfinite(x).all() and np.isfinite(y).all(), task.name
    again = pickle.loads(pickle.dumps(task)).sample(12, 3)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])
    assert np.isfinite(task.mi) and task.mi >= 0
    assert task.about and task.samples >= 40


def test_sizes_of_small_samples():
  sizes = [task.samples for task in small.tasks()]
  assert min(sizes) >= 40 and max(sizes) <= 500
  assert len(EACH["small"]) == 5 * len((*small.INSIDE, *small.OUTSIDE))


@pytest.mark.parametrize(
  "task",
  [
    *(task for name, task in FUNCTIONS.items() if name != "nearly_same"),
    *(MIXTURES[name] for name in ("x", "ai", "galaxy")),
    *(MIXED[name] for name in ("level_noise_5", "both_zero_0.3", "censored")),
    *(task for task in ladder.tasks((1,)) if task.mi <= 3),
    *(task for task in latent.tasks() if task.name == "grid_10_1_2"),
  ],
  ids=lambda task: task.name,
)
def test_neighbors_see_what_is_said(task):
  # They know nothing of the distribution: rough, but independent. Of many
  # columns they get the one that is shared.
  x, y = (v[:, :2] if task.dim_x > 2 else v for v in task.sample(4000, 5))
  x, y = (v[:, :1] if task.dim_x > 2 else v for v in (x, y))
  rank = [stats.rankdata(v, axis=0) / 4001 for v in (x, y)]
  found = ksg(*map(special.ndtri, rank))
  assert abs(found - task.mi) < 0.05 + 0.02 * task.mi


# --- mixtures ---------------------------------------------------------------


def test_density_ratio_of_a_mixture():
  mixture = mixtures.letters()
  x, y = mixture.draw(50, np.random.default_rng(0))
  joint, x_only, y_only = 0.0, 0.0, 0.0
  for mean, covariance in zip(mixture.means, mixture.covariances, strict=True):
    both = stats.multivariate_normal(mean, covariance)
    joint = joint + both.pdf(np.hstack([x, y])) / 6
    x_only += stats.norm(mean[0], covariance[0, 0] ** 0.5).pdf(x[:, 0]) / 6
    y_only += stats.norm(mean[1], covariance[1, 1] ** 0.5).pdf(y[:, 0]) / 6
  expected = np.log(joint / (x_only * y_only))
  np.testing.assert_allclose(mixture.log_ratio(x, y), expected, rtol=1e-8)


@pytest.mark.parametrize("name", mixtures.TRUTHS)
def test_truths_of_mixtures(name):
  if name.startswith("mixture"):
    mixture = mixtures.vector_copula(int(name.rpartition("v")[2]))
  else:
    mixture = mixtures._TABLE[name][0]
  nats, error = mixtures.TRUTHS[name]
  found, own_error = mixtures.mixture_mi(mixture, 20_000, seed=9)
  assert abs(found - nats) < 4 * np.hypot(error, own_error)
  assert error < 0.002 * max(nats, 0.5)


def test_published_mixtures():
  # Of 60,000 draws, by the authors of the anchors; their own error is 0.004.
  for name, nats in {
    "x": 0.409,
    "ai": 0.778,
    "galaxy": 0.494,
    "waves": 1.307,
    "concentric_25v1_5": 1.188,
    "inliers_5v5_0.2": 0.642,
    "mixture_4v4": 0.576,
    "mixture_32v32": 6.87,
  }.items():
    assert abs(mixtures.TRUTHS[name][0] - nats) < 0.05 * nats


def test_nuisance_changes_nothing():
  for share in ("0.2", "0.5"):
    few, many = (mixtures.TRUTHS[f"inliers_{d}v{d}_{share}"] for d in (5, 25))
    assert abs(few[0] - many[0]) < 3 * np.hypot(few[1], many[1])


# --- closed forms -----------------------------------------------------------


def test_published_values_of_mixed_variables():
  assert round(MIXED["half_signs"].mi, 4) == 1.2924
  assert round(MIXED["level_noise_5"].mi, 4) == 1.0549
  assert round(MIXED["level_noise_3"].mi, 4) == 0.6365
  assert round(MIXED["both_zero_0.01"].mi, 3) == 0.056
  assert abs(MIXED["censored"].mi - 0.425) < 1e-3
  # Without inflation the published formula is right.
  k = np.arange(1, 80)
  published = 2 * np.log(2) - np.euler_gamma - np.sum(np.log(k) / 2.0**k)
  assert abs(mixed.inflated_poisson_mi(0) - published) < 1e-4
  assert round(MIXED["inflated_poisson"].mi, 4) == 0.2298


def test_half_signs_by_its_parts():
  x, y = MIXED["half_signs"].sample(100_000, 0)
  sign = (np.abs(x) == 1) & (np.abs(y) == 1)
  assert abs(sign.mean() - 0.5) < 0.01
  assert abs((x == y)[sign].mean() - 0.9) < 0.01
  assert abs(np.corrcoef(x[~sign], y[~sign])[0, 1] - 0.9) < 0.01


@pytest.mark.parametrize("nats", [0.1, 0.5, 0.7, 2.0, 5.0])
def test_slope_of_the_smoothed_uniform(nats):
  # I = h(y) - h(noise); y is the sum of uniforms of widths s and 1.
  s = ladder.uniform_slope(nats)
  short, long = sorted((s, 1.0))

  def density(y):
    return np.interp(y, [0, short, long, s + 1], [0, 1, 1, 0]) / long

  points = [short, long]
  entropy, _ = integrate.quad(
    lambda y: float(special.entr(density(y))), 0, s + 1, points=points
  )
  assert abs(entropy - nats) < 1e-6


@pytest.mark.parametrize("nats", [0.0, 0.3, np.log(2), 1.0, np.log(7), 5.0])
def test_shares_of_levels(nats):
  shares = ladder.level_shares(nats)
  assert abs(shares.sum() - 1) < 1e-12 and shares.min() > 0
  assert abs(special.entr(shares).sum() - nats) < 1e-9


def test_functions_with_exact_values():
  # x uniform in (-1, 1): the noise is small, so h(y) is nearly that of x^2.
  assert abs(FUNCTIONS["square_uniform"].mi - 1.03) < 0.02
  # A wide step function: the entropy of the steps, less what noise mixes.
  shares = np.diff(stats.norm.cdf(np.arange(-8, 8.5, 0.5)))
  entropy = special.entr(shares).sum()
  assert 0 < entropy - FUNCTIONS["steps"].mi < 0.02
  assert FUNCTIONS["cauchy"].mi == np.log(11)


def test_wrapped_maps_can_be_undone():
  task = by_name(vce.tasks((4,)))["wrapped_4v4"]
  x, y = task.sample(20_000, 1)
  means = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
  x = np.arctanh(np.linalg.solve(means.T, x.T).T)
  y = np.log(np.linalg.solve(means.T, y.T).T)
  cross = x.T @ y / len(x)
  np.testing.assert_allclose(cross, 0.7 * np.eye(4), atol=0.03)
  assert abs(task.mi + 2 * np.log(0.51)) < 1e-12


# --- many columns, images ---------------------------------------------------


def test_grid_has_signals_copies_and_noise():
  x, y = latent.grid(11, 3, 2.0).sample(5000, 0)
  assert len(np.unique(x.round(12), axis=1).T) == 11 - 4
  rho = np.sqrt(1 - 2 ** (-4 / 3))
  cross = np.corrcoef(x[:, :3].T, y[:, :3].T)[:3, 3:]
  np.testing.assert_allclose(cross, rho * np.eye(3), atol=0.05)
  assert np.abs(np.corrcoef(x[:, 7:].T, y.T)[:4, 4:]).max() < 0.06


def test_places_can_be_read_from_images():
  blobs = by_name(latent.images())["blobs_16_5"]
  x, _ = blobs.sample(50, 0)
  t = np.linspace(0, 1, 16)
  # The log of a Gaussian is a parabola: its top is the place.
  bent = np.polyfit(t, np.log(x.max(axis=1).T), 2)
  place = -bent[1] / (2 * bent[0])
  expected = latent._places(5.0, 2, 50, np.random.default_rng(0))[0][:, 0]
  np.testing.assert_allclose(place, expected, atol=1e-3)
