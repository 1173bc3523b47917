"""Localization: a linear guess of an object's place from frozen features."""

import numpy as np
from sklearn.linear_model import RidgeCV

from infomin_jax.eval.probes.linear import standardized
from infomin_jax.eval.probes.protocol import Protocol

# L2 penalties of the weights; leave-one-out error selects one.
PENALTIES = np.logspace(-2, 4, 7)
TASK = "place"


def protocol(options) -> Protocol:
  """Measures the distance from the object's place, if records have one."""
  del options
  name = "localisation (standardised, least squares, L2 selected)"

  def run(case):
    distance = mean_distance(
      case.train.x, case.train.places, case.test.x, case.test.places
    )
    return {TASK: {"distance, pixels": distance}}

  return Protocol(name, run, frozenset({"places"}))


def mean_distance(
  train_features: np.ndarray,
  train_places: np.ndarray,
  test_features: np.ndarray,
  test_places: np.ndarray,
) -> float:
  """Returns the mean distance of a linear guess from the place, in pixels.

  Args:
    train_features: `[n, d]`.
    train_places: `[n, 2]`, row and column in pixels.
    test_features: `[m, d]`.
    test_places: `[m, 2]`.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1: localization.
  """
  x, test_x = standardized(train_features, test_features)
  guess = RidgeCV(alphas=PENALTIES).fit(x, train_places).predict(test_x)
  return float(np.mean(np.linalg.norm(guess - test_places, axis=1)))
