"""Fitted densities, and the estimates that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from infomin_jax.critics import ConditionalGaussian
from infomin_jax.errors import UserError
from infomin_jax.estimators import (
  club,
  difference_of_entropies,
  leave_one_out,
)
from infomin_jax.estimators.densities import (
  Flow,
  fit_flow,
  fit_linear_gaussian,
  maximize_likelihood,
)
from infomin_jax.estimators.scores import Factored, positives

RHO = 0.8
TRUTH = -np.log(1 - RHO**2)  # of two dimensions


def pairs(seed, size=4000):
  """x and y of two correlated dimensions, far from zero and not scaled."""
  x, noise = np.random.default_rng(seed).normal(size=(2, size, 2))
  y = RHO * x + np.sqrt(1 - RHO**2) * noise
  return jnp.asarray(3 * x - 5), jnp.asarray(0.2 * y + 4)


def test_linear_gaussian_is_the_normal_density():
  x, y = pairs(0, 300)
  joint = np.cov(np.hstack([x, y]).T, bias=True)
  marginal = stats.multivariate_normal(np.mean(y, 0), joint[2:, 2:])
  got = fit_linear_gaussian(y).log_prob(y)
  np.testing.assert_allclose(got, marginal.logpdf(y), atol=1e-3)
  both = stats.multivariate_normal(np.mean(np.hstack([x, y]), 0), joint)
  alone = stats.multivariate_normal(np.mean(x, 0), joint[:2, :2])
  want = both.logpdf(np.hstack([x, y])) - alone.logpdf(x)
  fitted = fit_linear_gaussian(y, x)
  np.testing.assert_allclose(fitted.log_prob(y, x), want, atol=1e-3)
  entropy = both.entropy() - alone.entropy()
  np.testing.assert_allclose(fitted.entropy(), entropy, atol=1e-4)
  # Every pair, factored.
  scores = fitted.scores(x[:3], y[:5])
  for j in range(5):
    one = fitted.log_prob(jnp.tile(y[j], (3, 1)), x[:3])
    got = jnp.einsum("bd,d->b", scores.x, scores.y[j])
    np.testing.assert_allclose(got, one, rtol=1e-4, atol=1e-3)


def test_difference_of_gaussian_entropies_is_mi():
  x, y = pairs(0)
  given, alone = fit_linear_gaussian(y, x), fit_linear_gaussian(y)
  x, y = pairs(1)
  got = difference_of_entropies(given.log_prob(y, x), alone.log_prob(y))
  # The standard deviation of the log ratio is sqrt(2) rho.
  error = np.sqrt(2) * RHO / np.sqrt(len(x))
  np.testing.assert_allclose(got, TRUTH, atol=4 * error)


def test_upper_bounds_from_a_fitted_conditional():
  x, y = pairs(0)
  given = fit_linear_gaussian(y, x)
  x, y = pairs(1, 1000)
  scores = given.scores(x, y)
  assert isinstance(scores, Factored)
  np.testing.assert_allclose(
    positives(scores), given.log_prob(y, x), rtol=1e-3, atol=1e-3
  )
  exact = 2 * RHO**2 / (1 - RHO**2)  # of CLUB, far above the truth
  np.testing.assert_allclose(club(scores), exact, rtol=0.1)
  assert TRUTH - 0.05 < leave_one_out(scores) < exact


@pytest.mark.slow
def test_a_flow_sees_what_a_gaussian_does_not():
  def bend(y):  # changes no volume and no information
    return jnp.stack([y[:, 0], y[:, 1] + 5 * (y[:, 0] - 4) ** 2], axis=1)

  (x, y), (x2, y2) = pairs(0), pairs(1)
  y, y2 = bend(y), bend(y2)
  found = {}
  options = {"flow": Flow(4, (32,)), "steps": 400}
  for name, given, alone in (
    ("gaussian", *(fit_linear_gaussian(y, z).log_prob for z in (x, None))),
    ("flow", *(fit_flow(y, z, **options) for z in (x, None))),
  ):
    found[name] = difference_of_entropies(given(y2, x2), alone(y2))
  assert abs(found["flow"] - TRUTH) < 0.08, found
  assert abs(found["gaussian"] - TRUTH) > 0.16, found


def test_a_flow_is_a_density():
  # By its integral over a grid; weights away from the standard normal.
  flow = Flow(couplings=3, hidden=(8,))
  x = jnp.ones((1, 2))
  params = flow.init(jax.random.key(0), jnp.zeros((1, 2)), x)
  params = jax.tree.map(lambda p: p + 0.3, params)
  side = jnp.linspace(-12, 12, 401)
  grid = jnp.stack(jnp.meshgrid(side, side), -1).reshape(-1, 2)
  density = jnp.exp(flow.apply(params, grid, jnp.tile(x, (len(grid), 1))))
  total = jnp.sum(density) * (side[1] - side[0]) ** 2
  np.testing.assert_allclose(total, 1, atol=1e-3)
  assert np.std(density) > 0


def test_a_gaussian_network_fitted_by_likelihood_bounds_from_above():
  (x, y), (x2, y2) = pairs(0), pairs(1, 1000)
  scale = fit_linear_gaussian(y)
  critic = ConditionalGaussian(2, (32,))
  y, y2 = scale.whiten_y(y), scale.whiten_y(y2)
  x, x2 = (x + 5) / 3, (x2 + 5) / 3
  params = critic.init(jax.random.key(0), x, y)
  params = maximize_likelihood(
    lambda params, x, y: critic.apply(params, x, y, method="log_prob"),
    params,
    (x, y),
    jax.random.key(1),
  )
  log_prob = critic.apply(params, x2, y2, method="log_prob")
  alone = fit_linear_gaussian(y).log_prob(y2)
  nats = difference_of_entropies(log_prob, alone)
  np.testing.assert_allclose(nats, TRUTH, atol=0.1)
  exact = 2 * RHO**2 / (1 - RHO**2)
  got = club(critic.apply(params, x2, y2))
  np.testing.assert_allclose(got, exact, rtol=0.15)


def test_too_few_samples_are_refused():
  with pytest.raises(UserError, match="more samples than the 2"):
    fit_linear_gaussian(jnp.ones((4, 2)), jnp.ones((4, 2)))
