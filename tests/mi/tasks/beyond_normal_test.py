"""The suite's MI against integrals and exact log-ratios; maps undone."""

import functools
import itertools
import pickle

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from infomin_jax.errors import UserError
from infomin_jax.mi.tasks import distortions, distributions
from infomin_jax.mi.tasks.beyond_normal import (
  PUBLISHED,
  TASKS,
  correlated_gaussian,
  gaussian,
  gaussian_stairs,
)


def test_the_published_tasks_are_there():
  assert len(PUBLISHED) == len(set(PUBLISHED)) == 40
  assert set(PUBLISHED) < set(TASKS)
  assert all(name == task.name for name, task in TASKS.items())
  assert round(TASKS["student_2v2_df1"].mi, 3) == 0.432
  assert round(TASKS["sparse_5v5"].mi, 3) == 1.022


@pytest.mark.parametrize("name", TASKS)
def test_samples(name):
  task = TASKS[name]
  x, y = task.sample(50, 3)
  assert x.shape == (50, task.dim_x) and y.shape == (50, task.dim_y)
  assert x.dtype == y.dtype == np.float64
  assert np.isfinite(x).all() and np.isfinite(y).all()
  assert len(np.unique(x, axis=0)) == len(np.unique(y, axis=0)) == 50
  again = pickle.loads(pickle.dumps(task)).sample(50, 3)
  np.testing.assert_array_equal(x, again[0])
  np.testing.assert_array_equal(y, again[1])
  assert not np.any(task.sample(50, 4)[0] == x)
  assert task.about and "closed form" in task.mi_source


# --- truth ------------------------------------------------------------------


def midpoints(limit, cells):
  """Centres of equal cells of (-limit, limit), and their width."""
  width = 2 * limit / cells
  return -limit + width * (np.arange(cells) + 0.5), width


def grid_mi(p, width):
  """MI in nats of a density `[n, n]` on a grid of square cells."""
  p_x = p.sum(axis=1, keepdims=True) * width
  p_y = p.sum(axis=0, keepdims=True) * width
  return np.sum(p * np.log(p / (p_x * p_y))) * width**2


def test_normal_mi_is_its_integral():
  x, width = midpoints(7, 400)
  points = np.stack(np.meshgrid(x, x, indexing="ij"), -1)
  joint = stats.multivariate_normal(cov=np.array([[1, 0.75], [0.75, 1]]))
  mi = grid_mi(joint.pdf(points), width)
  np.testing.assert_allclose(TASKS["normal_1v1"].mi, mi, atol=1e-8)


@pytest.mark.parametrize("df, atol", [(1, 2e-3), (2, 2e-4), (5, 1e-5)])
def test_student_mi_is_its_integral(df, atol):
  # On t = atan(x / sqrt(df)), which is bounded and has the same MI.
  t, width = midpoints(np.pi / 2, 800)
  x, slope = np.sqrt(df) * np.tan(t), np.sqrt(df) / np.cos(t) ** 2
  points = np.stack(np.meshgrid(x, x, indexing="ij"), -1)
  joint = stats.multivariate_t(shape=np.eye(2), df=df)
  mi = grid_mi(joint.pdf(points) * slope[:, None] * slope, width)
  task = distributions.student("t", np.eye(2), 1, df)
  np.testing.assert_allclose(task.mi, mi, atol=atol)
  if df == 1:
    np.testing.assert_allclose(task.mi, np.log(8 * np.pi) - 3, rtol=1e-9)
    assert TASKS["student_1v1_df1"].mi == task.mi


@pytest.mark.parametrize("noise", [0.1, 0.5, 0.75, 2.0])
def test_additive_noise_mi_is_its_integral(noise):
  # y's density: how much of (y - noise, y + noise) lies in (0, 1).
  def density(y):
    overlap = min(1, y + noise) - max(0, y - noise)
    return overlap / (2 * noise)

  corners = sorted({-noise, noise, 1 - noise, 1 + noise})
  entropy = sum(
    integrate.quad(lambda y: float(special.entr(density(y))), a, b)[0]
    for a, b in itertools.pairwise(corners)
  )
  mi = distributions.additive_noise("a", noise).mi
  np.testing.assert_allclose(mi, entropy - np.log(2 * noise), atol=1e-7)
  x, y = distributions.additive_noise("a", noise).sample(4000, 0)
  assert 0 < x.min() and x.max() < 1
  assert 0.99 * noise < np.abs(y - x).max() < noise


def log_ratios(task, covariance, df, n=20_000, seed=5):
  """log p(x, y) / p(x) p(y) on fresh samples, by SciPy's densities."""
  x, y = task.sample(n, seed)
  d = task.dim_x
  blocks = covariance, covariance[:d, :d], covariance[d:, d:]
  xy = np.concatenate([x, y], axis=1)
  joint, first, second = (
    stats.multivariate_normal(cov=b).logpdf(v)
    if df is None
    else stats.multivariate_t(shape=b, df=df).logpdf(v)
    for b, v in zip(blocks, (xy, x, y), strict=True)
  )
  return joint - first - second


def check_mean(ratios, mi):
  error = ratios.std() / np.sqrt(len(ratios))
  assert abs(ratios.mean() - mi) < 3 * error, (ratios.mean(), mi, error)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("d", [2, 3, 5, 25, 50])
def test_normal_mi_is_the_mean_log_ratio(kind, d):
  task = TASKS[f"{kind}_{d}v{d}"]
  off = np.eye(2 * d)
  if kind == "dense":
    off = np.full((2 * d, 2 * d), 0.5) + 0.5 * np.eye(2 * d)
  else:
    for i in range(2):
      off[i, d + i] = off[d + i, i] = 0.8
    np.testing.assert_allclose(task.mi, -np.log(0.36), rtol=1e-12)
  check_mean(log_ratios(task, off, None), task.mi)


@pytest.mark.parametrize(
  "name", [n for n in TASKS if n.startswith("student") and "1v1" not in n]
)
def test_student_mi_is_the_mean_log_ratio(name):
  task = TASKS[name]
  d, df = task.dim_x, int(name.rsplit("df")[-1])
  shape = np.eye(2 * d)
  if "sparse" in name:
    for i in range(2):
      shape[i, d + i] = shape[d + i, i] = 0.8
  check_mean(log_ratios(task, shape, df), task.mi)


def test_sizes_of_x_and_y_may_differ():
  covariance = stats.wishart(8, np.eye(5)).rvs(random_state=0) / 8
  task = gaussian("g", covariance, 2)
  assert (task.dim_x, task.dim_y) == (2, 3)
  check_mean(log_ratios(task, covariance, None), task.mi)
  heavy = distributions.student("s", covariance, 2, 3)
  check_mean(log_ratios(heavy, covariance, 3), heavy.mi)


def test_samples_have_the_covariance():
  for name, expected in (
    ("dense_3v3", distributions.dense(3, 3)),
    ("sparse_5v5", distributions.sparse(5, 5)),
    ("student_sparse_3v3_df5", distributions.sparse(3, 3) * 5 / 3),
  ):
    xy = np.concatenate(TASKS[name].sample(200_000, 0), axis=1)
    np.testing.assert_allclose(np.cov(xy.T), expected, atol=0.05)


def test_the_hard_gaussian():
  task = TASKS["gaussian_128v128_rho0.5"]
  np.testing.assert_allclose(task.mi, -64 * np.log(0.75), rtol=1e-9)
  np.testing.assert_allclose(task.mi, 18.41, atol=0.005)
  x, y = task.sample(20_000, 0)
  cross = (x.T @ y) / len(x)
  np.testing.assert_allclose(cross, np.eye(128) / 2, atol=0.05)
  assert correlated_gaussian(3, 0.0).mi == 0


def test_stairs_climb():
  tasks = gaussian_stairs(20, (0, 2, 4, 10))
  np.testing.assert_allclose([t.mi for t in tasks], [0, 2, 4, 10], atol=1e-9)
  assert {t.dim_x for t in tasks} == {20}


# --- distortions ------------------------------------------------------------

POINTS = np.random.default_rng(0).normal(size=(300, 4)) * 2


def test_by_coordinate_maps_rise():
  grid = np.linspace(-7, 7, 20_001)[:, None]
  bimodal = functools.partial(
    distortions.mixture, weights=(0.3, 0.7), means=(0, 5)
  )
  for map_, least in (
    (distortions.wiggly_x, 0.16),
    (distortions.wiggly_y, 0.53),
    (distortions.half_cube, 0.0),
    (np.arcsinh, 0.1),
    (distortions.normal_cdf, 0.0),
    (bimodal, 0.1),
  ):
    slopes = np.diff(map_(grid)[:, 0]) / np.diff(grid[:, 0])
    assert slopes.min() > least, map_


def test_half_cube_and_cdf_are_undone():
  cubed = distortions.half_cube(POINTS)
  back = np.sign(cubed) * np.abs(cubed) ** (2 / 3)
  np.testing.assert_allclose(back, POINTS, rtol=1e-12)
  back = special.ndtri(distortions.normal_cdf(POINTS))
  np.testing.assert_allclose(back, POINTS, atol=1e-6)


def test_wiggly_is_undone():
  for map_ in (distortions.wiggly_x, distortions.wiggly_y):
    for point in POINTS[:20, 0]:
      image = map_(np.array(point))
      gap = lambda t, f=map_, i=image: float(f(np.array(t)) - i)  # noqa: E731
      back = optimize.brentq(gap, point - 9, point + 9, xtol=1e-12)
      np.testing.assert_allclose(back, point, atol=1e-10)


@pytest.mark.parametrize(
  "weights, means", [((0.3, 0.7), (0, 5)), ((0.5, 0.5), (-1, 3))]
)
def test_mixture_has_the_quantiles_also_in_the_tails(weights, means):
  z = np.concatenate([POINTS.ravel(), [-12.0, 12.0, 0.0]])
  got = distortions.mixture(z, weights, means)
  sides = np.where(z > 0, -1, 1)
  tail = sum(
    w * stats.norm.cdf(sides * (got - m))
    for w, m in zip(weights, means, strict=True)
  )
  back = sides * stats.norm.ppf(tail)
  np.testing.assert_allclose(back, z, atol=1e-9)


def test_bimodal_margins():
  x, y = TASKS["bimodal_1v1"].sample(20_000, 0)
  for v, weights, means in (
    (x, (0.3, 0.7), (0, 5)),
    (y, (0.5, 0.5), (-1, 3)),
  ):
    cdf = lambda t, w=weights, m=means: (  # noqa: E731
      w[0] * stats.norm.cdf(t - m[0]) + w[1] * stats.norm.cdf(t - m[1])
    )
    assert stats.kstest(v[:, 0], cdf).pvalue > 1e-3


def test_swiss_roll_is_undone():
  u = np.linspace(0, 1, 1001)[:, None]
  roll = distortions.swiss_roll(u)
  assert roll.shape == (1001, 2)
  # The radius grows along the roll, so it tells where on it we are.
  t = np.linalg.norm(roll, axis=1) * 21
  np.testing.assert_allclose((t / (1.5 * np.pi) - 1) / 2, u[:, 0], atol=1e-12)


def test_spirals_turn_and_are_undone():
  turned = distortions.spiral(POINTS, (1, 2), 0.3)
  norms = np.linalg.norm(POINTS, axis=1)
  np.testing.assert_allclose(np.linalg.norm(turned, axis=1), norms)
  np.testing.assert_array_equal(turned[:, [0, 3]], POINTS[:, [0, 3]])
  assert np.abs(turned - POINTS).max() > 1
  back = distortions.spiral(turned, (1, 2), -0.3)
  np.testing.assert_allclose(back, POINTS, atol=1e-12)
  # A quarter turn where the angle is pi / 2.
  one = distortions.spiral(np.array([[1.0, 0.0]]), (0, 1), np.pi / 2)
  np.testing.assert_allclose(one, [[0, 1]], atol=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_rotations_keep_the_mi(seed):
  q = distortions.rotation(4, seed)
  np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
  back = distortions.rotate(POINTS, seed) @ q.T
  np.testing.assert_allclose(back, POINTS, atol=1e-12)
  if seed:
    assert np.abs(q - distortions.rotation(4, 0)).max() > 0.1
  covariance = distributions.sparse(4, 4)
  both = np.zeros((8, 8))
  both[:4, :4], both[4:, 4:] = q, distortions.rotation(4, seed + 9)
  turned = gaussian("turned", both.T @ covariance @ both, 4)
  np.testing.assert_allclose(turned.mi, TASKS["sparse_5v5"].mi, rtol=1e-12)


def test_rotations_are_uniform():
  # A QR whose signs are left alone favors one side of the diagonal.
  many = np.array([distortions.rotation(3, s) for s in range(2000)])
  np.testing.assert_allclose(many.mean(axis=0), 0, atol=0.05)
  np.testing.assert_allclose((many**2).mean(axis=0), 1 / 3, atol=0.04)


def test_distorted_tasks_are_their_maps_of_the_base():
  x, y = TASKS["sparse_3v3"].sample(40, 1)
  u, v = TASKS["spiral_normal_cdf_sparse_3v3"].sample(40, 1)
  expected = distortions.spiral(stats.norm.cdf(x), (0, 1), 1 / 3)
  np.testing.assert_allclose(u, expected, rtol=1e-9)
  expected = distortions.spiral(stats.norm.cdf(y), (1, 2), 1 / 3)
  np.testing.assert_allclose(v, expected, rtol=1e-9)
  u, v = TASKS["rotated_sparse_3v3"].sample(40, 1)
  np.testing.assert_allclose(u @ u.T, x @ x.T, atol=1e-9)
  assert np.abs(u - x).max() > 0.1 and np.abs(v - y).max() > 0.1
  assert TASKS["rotated_sparse_3v3"].mi == TASKS["sparse_3v3"].mi


# --- mistakes ---------------------------------------------------------------


@pytest.mark.parametrize(
  "call, message",
  [
    (lambda: TASKS["normal_1v1"].sample(0, 0), "at least one sample"),
    (lambda: correlated_gaussian(2, 1.0), "between -1 and 1.*rho=1.0"),
    (lambda: correlated_gaussian(0, 0.5), "dim >= 1.*dim=0"),
    (lambda: gaussian_stairs(2, (1, -1)), "nats >= 0"),
    (lambda: gaussian("g", np.eye(3), 3), "0 < dim_x < dim.*dim_x=3"),
    (lambda: gaussian("g", np.ones((2, 3)), 1), r"shape \[2, 3\]"),
    (lambda: gaussian("g", np.ones((2, 2)), 1), "2 x 2 .*not symmetric"),
    (lambda: gaussian("g", np.triu(np.ones((2, 2))), 1), "not symmetric"),
    (lambda: distributions.student("s", np.eye(2), 1, 0), "df > 0"),
    (lambda: distributions.additive_noise("a", 0), "must be > 0"),
  ],
)
def test_mistakes_are_refused_in_one_line(call, message):
  with pytest.raises(UserError, match=message) as caught:
    call()
  assert "\n" not in str(caught.value)
