"""Adds an estimator to the table, and trains with it from the command line.

  infomin train --with examples/own_estimator.py --workdir runs/decoupled \\
      --config configs/colorful_digits.py \\
      --config.objective.contrastive.estimator=decoupled
"""

from infomin_jax.estimators import ESTIMATORS, Bound
from infomin_jax.estimators.scores import (
  log_sum_exp,
  mean_positives,
  positives,
)


def decoupled(scores, mask=None):
  """Returns decoupled InfoNCE in nats, no bound (Yeh et al. 2022, eq. 6)."""
  negatives = log_sum_exp(scores, mask=mask)
  return mean_positives(positives(scores) - negatives, mask)


ESTIMATORS["decoupled"] = Bound(decoupled, "neither", None, "Yeh et al. 2022")
