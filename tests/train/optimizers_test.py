"""Optimizers against their update rules, schedules against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.errors import UserError
from infomin_jax.train.optimizers import OPTIMIZERS, SCHEDULES, make_optimizer

PARAMS = {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)}
ZERO = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}
STEADY = {"name": "constant", "peak": 0.1}


def one_update(optimizer, grads):
  tx, _ = make_optimizer(optimizer, STEADY, 10)
  return tx.update(grads, tx.init(PARAMS), PARAMS)[0]


def test_cosine_warms_up_and_ends_at_its_floor():
  rate = SCHEDULES["cosine"](110, peak=2.0, warmup=10, floor=0.1)
  assert rate(0) == 0
  np.testing.assert_allclose(rate(5), 1.0, rtol=1e-6)
  np.testing.assert_allclose(rate(10), 2.0, rtol=1e-6)
  half = 0.2 + (2.0 - 0.2) * (1 + np.cos(np.pi / 2)) / 2
  np.testing.assert_allclose(rate(60), half, rtol=1e-5)
  np.testing.assert_allclose(rate(110), 0.2, rtol=1e-5)


def test_step_drops_at_fractions_of_the_run():
  rate = SCHEDULES["step"](200, peak=1.0, at=(0.6, 0.8), factor=0.1)
  found = [float(rate(step)) for step in (0, 119, 121, 161)]
  np.testing.assert_allclose(found, [1, 1, 0.1, 0.01], rtol=1e-5)


def test_sgd_adds_the_decay_to_the_gradient_before_momentum():
  optimizer = {"name": "sgd", "weight_decay": 0.5, "momentum": 0.9}
  update = one_update(optimizer | {"clip": 0.0}, ZERO)
  np.testing.assert_allclose(update["kernel"], -0.1 * 0.5 * 2.0, rtol=1e-6)
  np.testing.assert_allclose(update["bias"], -0.1 * 0.5 * 2.0, rtol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "lars"])
def test_vectors_do_not_decay_by_default(name):
  optimizer = {"name": name, "weight_decay": 0.5, "clip": 0.0}
  update = one_update(optimizer, ZERO)
  assert np.all(np.asarray(update["bias"]) == 0)
  assert np.all(np.asarray(update["kernel"]) < 0)


def test_lars_scales_by_the_trust_ratio():
  grads = {"kernel": jnp.full((2, 3), 4.0), "bias": jnp.full(3, 4.0)}
  optimizer = {"name": "lars", "weight_decay": 0.0, "trust_coefficient": 0.001}
  update = one_update(optimizer | {"clip": 0.0}, grads)
  # 0.1 * 0.001 * |kernel| / |gradient| * gradient, and plain SGD for vectors.
  np.testing.assert_allclose(update["kernel"], -0.1 * 0.001 * 2.0, rtol=1e-5)
  np.testing.assert_allclose(update["bias"], -0.1 * 4.0, rtol=1e-5)


def test_clipping_bounds_the_norm():
  grads = {"kernel": jnp.full((2, 3), 4.0), "bias": jnp.zeros(3)}
  optimizer = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
  update = one_update(optimizer | {"clip": 1.0}, grads)
  np.testing.assert_allclose(np.linalg.norm(update["kernel"]), 0.1, rtol=1e-5)


def test_names_and_values_are_checked():
  assert set(OPTIMIZERS) == {"adam", "adamw", "lars", "none", "sgd"}
  with pytest.raises(UserError, match="did you mean adam"):
    make_optimizer({"name": "adma", "clip": 0.0}, STEADY, 10)
  with pytest.raises(UserError, match="weight_decay is missing"):
    make_optimizer({"name": "adamw", "clip": 0.0}, STEADY, 10)
  with pytest.raises(UserError, match="momentun"):
    make_optimizer({"name": "sgd", "momentun": 0.9, "clip": 0.0}, STEADY, 10)
