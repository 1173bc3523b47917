"""A step's numbers do not hang on how the compiler arranges it."""

import runpy

import jax
import numpy as np
import pytest

from infomin_jax.train.experiment import make_experiment


@pytest.mark.slow
def test_a_maximum_has_a_gradient_however_it_is_compiled():
  """Without optimizations, on 8 devices, features are computed twice.

  The two differ in the last digits, so none of one equals the maximum of the
  other; the gradient of `jnp.max` was 0 / 0 at the second step.
  """
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder = dict(name="convnet", widths=(4, 4), strides=(2, 2))
  config.schedule.update(peak=1e-3, warmup=0)
  experiment = make_experiment(config, jax.devices())
  state, step = experiment.init(), experiment.step()
  batches = experiment.batches(0)
  for _ in range(2):
    state, metrics = step(state, next(batches), experiment.resident)
    assert np.isfinite(metrics["grad_norm"])
  batches.close()
