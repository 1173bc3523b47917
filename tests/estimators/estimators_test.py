"""Estimators against closed forms, published vectors and their ceilings."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from infomin_jax.errors import UserError
from infomin_jax.estimators import (
  ESTIMATORS,
  barber_agakov,
  i_alpha,
  infonce,
  infonce_ceiling,
  js_nwj,
  jsd,
  leave_one_out,
  mine,
  smile,
  tuba,
  variational_upper,
)

# The matrix and values of float64 reference formulas, rows x and columns y.
MATRIX = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2.0]])
BASELINE = jnp.array([0.1, -0.2, 0.3])
VECTORS = {
  "infonce": 0.679333929,
  "infonce_columns": 0.681061702,
  "infonce_symmetric": 0.680197816,
  "nwj": 1.087496405,
  "tuba": 1.378698974,
  "dv": 1.385510359,
  "jsd": -0.957601016 + np.log(4),
  "gan": -0.957601016,
  "js_nwj": 1.378698974,
}
# Published with rows y and columns x: the transposed matrix is ours.
TRANSPOSED = {
  "tuba": (lambda s: tuba(s, BASELINE), 1.341000128),
  "leave_one_out": (leave_one_out, 1.392310776),
  "smile": (lambda s: smile(s, tau=0.25), 1.421164783),
  "js_nwj as published": (lambda s: js_nwj(s, published=True), 1.087496405),
  "i_alpha -50": (lambda s: i_alpha(s, -50.0, BASELINE), 1.341000128),
  "i_alpha -5": (lambda s: i_alpha(s, -5.0, BASELINE), 1.330656320),
  "i_alpha 0": (lambda s: i_alpha(s, 0.0, BASELINE), 0.802775344),
  "i_alpha 5": (lambda s: i_alpha(s, 5.0, BASELINE), 0.465044897),
  "i_alpha 50": (lambda s: i_alpha(s, 50.0, BASELINE), 0.461025313),
}
# rdevon/DIM's losses on sin and cos ramps, exact exclusion, as losses.
LOCAL = {
  "infonce": np.log(1 + 3 * 2) - 1.935935,
  "dv": -0.208554,
  "jsd": -0.111957,
  "gan": -1.498251,
  "nwj": -0.402219,
  "reverse_kl": -0.264003,
  "hellinger": -0.640109,
  "wasserstein": 0.115634,
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_matrix(name):
  np.testing.assert_allclose(ESTIMATORS[name](MATRIX), VECTORS[name], atol=1e-6)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_published_transposed_matrix(name):
  estimate, value = TRANSPOSED[name]
  np.testing.assert_allclose(jax.jit(estimate)(MATRIX.T), value, atol=1e-6)


@pytest.mark.parametrize("name", LOCAL)
def test_published_local_scores(name):
  local = np.sin(np.arange(24)).reshape(4, 3, 2)
  summary = np.cos(np.arange(12)).reshape(4, 3)
  scores = np.einsum("au,bui->abi", summary, local)
  got = ESTIMATORS[name](jnp.asarray(scores, jnp.float32))
  np.testing.assert_allclose(got, LOCAL[name], atol=2e-6)


@functools.cache
def log_ratios(batches, size, nats, dim):
  """The exact log ratio of correlated Gaussians, `[batches, size, size]`."""
  rho = np.sqrt(1 - np.exp(-2 * nats / dim))
  x, noise = np.random.default_rng(0).normal(size=(2, batches, size, dim))
  y = rho * x + np.sqrt(1 - rho**2) * noise
  squares = np.sum(x**2, -1)[:, :, None] + np.sum(y**2, -1)[:, None]
  cross = x @ y.transpose(0, 2, 1)
  error = (rho**2 * squares - 2 * rho * cross) / (2 * (1 - rho**2))
  return jnp.asarray(nats - error, jnp.float32)


def mean_and_error(estimate, scores):
  values = np.asarray(jax.jit(jax.vmap(estimate))(scores))
  return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize(
  "nats, dim", [(0.05, 1), (0.144, 1), (0.7, 2), (2, 20)]
)
@pytest.mark.parametrize("name", ["nwj", "tuba", "js_nwj"])
def test_unbiased_bounds_recover_gaussian_mi(name, nats, dim):
  scores = log_ratios(400, 64, nats, dim) + ESTIMATORS[name].shift
  mean, error = mean_and_error(ESTIMATORS[name], scores)
  assert abs(mean - nats) < 3 * error
  assert error < 0.02


# (infonce, dv, smile(5), leave_one_out, I_.5, I_.01) of 64 samples: their
# mean and standard deviation over batches, from another implementation.
TABLE = {
  2: [(1.82, 0.2), (2.02, 0.26), (2.04, 0.25), (2.17, 0.26), (1.94, 0.22)],
  6: [(3.74, 0.12), (6.22, 0.67), (6.71, 0.46), (7.83, 0.5), (4.57, 0.19)],
  10: [(4.12, 0.04), (11.2, 1.4), (12.0, 0.7), (16.2, 0.9), (5.56, 0.09)],
}
I_HUNDREDTH = {2: (2.01, 0.25), 6: (5.77, 0.49), 10: (8.33, 0.49)}


@pytest.mark.parametrize("nats", TABLE)
def test_biased_estimates_have_their_known_bias(nats):
  scores = log_ratios(300, 64, nats, 20)
  logit = float(np.log(0.01 / 0.99))
  estimates = {
    **{name: ESTIMATORS[name] for name in ("infonce", "dv", "smile")},
    **{name: ESTIMATORS[name] for name in ("leave_one_out", "i_alpha")},
    "I_.01": lambda s: i_alpha(s, logit),
  }
  means = {}
  rows = zip(estimates.items(), [*TABLE[nats], I_HUNDREDTH[nats]], strict=True)
  for (name, estimate), (value, deviation) in rows:
    means[name], error = mean_and_error(estimate, scores)
    error = np.hypot(error, deviation / np.sqrt(300))
    assert abs(means[name] - value) < 3 * error + 0.005, name
  assert means["infonce"] < means["i_alpha"] < means["I_.01"] < nats + 0.1
  assert means["leave_one_out"] > nats


RHO = 0.3
CLOSED = {
  "club": RHO**2 / (1 - RHO**2),
  "wasserstein": RHO**2 / (1 - RHO**2),
  "reverse_kl": RHO**2 / (1 - RHO**2) + 0.5 * np.log(1 - RHO**2),
  "hellinger": 2 - 2 * (1 - RHO**2) ** 0.25 / (1 - RHO**2 / 4) ** 0.5,
  "chi_squared": 1 / (1 - RHO**2) - 1,
}


@pytest.mark.parametrize("name", CLOSED)
def test_divergences_of_gaussians(name):
  ratio = log_ratios(500, 128, -0.5 * np.log(1 - RHO**2), 1)
  best = {"hellinger": ratio / 2, "chi_squared": 2 * (jnp.exp(ratio) - 1)}
  mean, error = mean_and_error(ESTIMATORS[name], best.get(name, ratio))
  assert abs(mean - CLOSED[name]) < 3 * error
  assert error < 0.005


@pytest.mark.parametrize("nats", [0.0, 0.83])
def test_jsd_of_the_optimal_critic_is_the_divergence(nats):
  # Twice the Jensen-Shannon divergence, by its definition on a large sample.
  ratio = np.asarray(log_ratios(1, 1024, nats, 1)[0])
  joint = np.diag(ratio)
  apart = ratio[~np.eye(len(ratio), dtype=bool)]
  half = np.mean(joint - np.logaddexp(joint, 0)) + np.log(2)
  other = np.mean(-np.logaddexp(apart, 0)) + np.log(2)
  got = ESTIMATORS["jsd"](jnp.asarray(ratio))
  np.testing.assert_allclose(got, half + other, atol=1e-5)
  assert (abs(got) < 1e-5) == (nats == 0)


def test_estimates_from_densities_recover_gaussian_mi():
  rng = np.random.default_rng(1)
  x, noise = rng.normal(size=(2, 20_000))
  y = jnp.asarray(0.8 * x + 0.6 * noise)
  truth = -0.5 * np.log(1 - 0.8**2)
  conditional = -0.5 * (jnp.square((y - 0.8 * x) / 0.6) + np.log(2 * np.pi))
  conditional = conditional - np.log(0.6)
  marginal = -0.5 * (y**2 + np.log(2 * np.pi))
  wide = -0.5 * (y**2 / 4 + np.log(2 * np.pi * 4))
  got = barber_agakov(conditional, 0.5 * np.log(2 * np.pi * np.e))
  np.testing.assert_allclose(got, truth, atol=3 * np.sqrt(0.5 / 20_000))
  got = variational_upper(conditional, marginal)
  np.testing.assert_allclose(got, truth, atol=3 * np.sqrt(0.64 / 20_000))
  divergence = np.log(2) + 0.5 / 4 - 0.5  # KL(N(0, 1) || N(0, 4))
  got = variational_upper(conditional, wide)
  np.testing.assert_allclose(got, truth + divergence, atol=0.02)


CEILINGS = {
  "infonce": lambda b, n: np.log(n),
  "infonce_columns": lambda b, n: np.log(b),
  "infonce_symmetric": lambda b, n: (np.log(b) + np.log(n)) / 2,
  "tnce": lambda b, n: np.log(b),
  "i_alpha": lambda b, n: 1 + np.log(2 * (b - 1)),
  "jsd": lambda b, n: np.log(4),
  "gan": lambda b, n: 0,
  "hellinger": lambda b, n: 2,
}


@pytest.mark.parametrize("name", CEILINGS)
def test_ceilings_hold_for_adversarial_scores(name):
  b, n = 4, 6
  noise = jax.random.normal(jax.random.key(0), (b, n))
  perfect = jnp.full((b, n), -1e4) + 2e4 * jnp.eye(b, n)
  estimate, ceiling = jax.jit(ESTIMATORS[name]), CEILINGS[name](b, n)
  rounding = 1e-3  # of float32 at 1e4
  for scores in (1e4 * noise, 10 * noise + 9 * jnp.eye(b, n)):
    assert estimate(scores) <= ceiling + rounding
  np.testing.assert_allclose(estimate(perfect), ceiling, atol=rounding)


@pytest.mark.parametrize("anchors", ["rows", "columns", "both"])
def test_infonce_ceiling_is_reached_with_locations(anchors):
  shape = (4, 6, 3)
  scores = jnp.zeros(shape).at[jnp.arange(4), jnp.arange(4)].set(1e4)
  value = {"rows": np.log(1 + 5 * 3), "columns": np.log(4)}
  value["both"] = (value["rows"] + value["columns"]) / 2
  ceiling = infonce_ceiling(shape, anchors)
  np.testing.assert_allclose(ceiling, value[anchors], rtol=1e-6)
  np.testing.assert_allclose(infonce(scores, anchors), ceiling, rtol=1e-6)


def test_infonce_against_a_loop():
  scores = np.random.default_rng(0).normal(size=(3, 5, 2))
  rows, columns = [], []
  for a in range(3):
    others = [scores[a, b, j] for b in range(5) if b != a for j in range(2)]
    for i in range(2):
      own = scores[a, a, i]
      rows.append(own - np.log(np.mean(np.exp([own, *others]))))
      columns.append(own - np.log(np.mean(np.exp(scores[:, a, i]))))
  for anchors, terms in {"rows": rows, "columns": columns}.items():
    got = infonce(jnp.asarray(scores), anchors)
    np.testing.assert_allclose(got, np.mean(terms), rtol=1e-5)


def i_alpha_by_loops(scores, alpha, log_baseline):
  """The definition, in float64; columns past b as its docstring says."""
  b, n = scores.shape
  pairs, apart = [], []

  def baseline(j, rows):
    m = np.logaddexp.reduce(scores[rows, j]) - np.log(len(rows))
    return np.logaddexp(np.log(alpha) + m, np.log1p(-alpha) + log_baseline[j])

  for j in range(n):
    others = [k for k in range(b) if k != j]
    apart += [scores[k, j] - baseline(j, others) for k in others]
    for k in others if j < b else ():
      rows = [r for r in range(b) if r != k]
      pairs.append(scores[j, j] - baseline(j, rows))
  return 1 + np.mean(pairs) - np.mean(np.exp(apart))


@pytest.mark.parametrize("scale", [1.0, 30.0, 3000.0])
def test_i_alpha_against_a_loop(scale):
  rng = np.random.default_rng(2)
  scores = np.float32(scale * rng.normal(size=(4, 7)))
  scores[:2, 1] = 3 * scale  # two entries that share their column
  scores[3, 5] = 9 * scale  # one that has it alone
  baseline = np.float32(rng.normal(size=7))
  got = jax.jit(i_alpha)(scores, 1.0, baseline)
  alpha = 1 / (1 + np.exp(-1.0))
  want = i_alpha_by_loops(scores.astype(float), alpha, baseline.astype(float))
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_mine_divides_its_gradient_by_the_moving_average():
  negatives = ~np.eye(3, dtype=bool)
  partition = np.mean(np.exp(MATRIX[negatives]))
  own = np.eye(3) / 3
  slope = np.where(negatives, np.exp(MATRIX), 0) / 6
  value, average = mine(MATRIX)
  np.testing.assert_allclose(value, VECTORS["dv"], atol=1e-6)
  np.testing.assert_allclose(np.exp(average), partition, rtol=1e-6)
  got = jax.jit(jax.grad(lambda s: mine(s)[0]))(MATRIX)
  np.testing.assert_allclose(got, own - slope / partition, atol=1e-6)
  # From a far-off average; 0.9 of it stays.
  (value, average), got = jax.jit(
    jax.value_and_grad(lambda s: mine(s, jnp.log(40.0)), has_aux=True)
  )(MATRIX)
  np.testing.assert_allclose(value, VECTORS["dv"], atol=1e-6)
  moved = 0.9 * 40 + 0.1 * partition
  np.testing.assert_allclose(np.exp(average), moved, rtol=1e-5)
  np.testing.assert_allclose(got, own - slope / moved, atol=1e-6)


@pytest.mark.parametrize("estimate", [js_nwj, smile])
def test_hybrids_have_the_gradient_of_js(estimate):
  got, want = (
    jax.jit(jax.grad(estimate))(MATRIX),
    jax.jit(jax.grad(jsd))(MATRIX),
  )
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_learned_baseline_gets_a_gradient():
  # The best constant is the mean of exp(scores) over negatives: slope zero.
  best = jnp.log(jnp.mean(jnp.exp(MATRIX[~np.eye(3, dtype=bool)])))
  slopes = jax.jit(jax.grad(lambda a: tuba(MATRIX, jnp.full(3, 1.0) * a)))(best)
  np.testing.assert_allclose(slopes, 0, atol=1e-6)
  assert jax.jit(jax.grad(lambda a: tuba(MATRIX, a)))(best + 1) < -0.1


def test_sharding_the_batch_changes_nothing():
  x = jax.random.normal(jax.random.key(1), (16, 3))

  def estimate(x, y):
    return {name: f(x @ y.T) for name, f in ESTIMATORS.items()}

  mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
  with jax.set_mesh(mesh):
    sharded = jax.device_put(x, jax.P("data"))
    got = jax.jit(estimate)(sharded, sharded)
  for name, value in jax.jit(estimate)(x, x).items():
    np.testing.assert_allclose(got[name], value, rtol=1e-5, err_msg=name)


def test_every_estimator_stands_in_a_table_of_truths():
  tables = VECTORS | TRANSPOSED | LOCAL | CLOSED
  truths = {name.split()[0] for name in tables}  # of `i_alpha -50`
  compared = {bound for name, bound in ESTIMATORS.items() if name in truths}
  assert compared == set(ESTIMATORS.values())


def test_the_table_names_direction_and_paper():
  assert ESTIMATORS["tnce"] is ESTIMATORS["infonce_columns"]
  for name, bound in ESTIMATORS.items():
    assert bound.direction in ("lower", "upper", "neither"), name
    assert re.search(r"(19|20)\d\d", bound.reference), name
    assert bound.of_mi or bound.direction == "neither", name


def test_bad_scores_and_names_are_refused():
  for estimate in ESTIMATORS.values():
    with pytest.raises(UserError, match="swapped"):
      estimate(jnp.zeros((4, 3)))
  with pytest.raises(UserError, match=r"anchors 'row': did you mean rows"):
    infonce(MATRIX, "row")
