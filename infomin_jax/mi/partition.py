"""The partition function of a critic over the negatives of a fold."""

import numpy as np

# With fewer effective negatives than this, a log mean exp is not reliable.
ENOUGH = 100
FEWEST = 30  # below, not even its order of magnitude is reliable
_ERRORS = 3  # standard errors of a log partition that may be due to chance


def exponentials(matrix: np.ndarray) -> tuple[np.ndarray, float]:
  """Returns exp of scores `[m, m]` minus the largest negative, and that score.

  The diagonal, which holds the joint pairs, is set to zero.
  """
  off_diagonal = ~np.eye(len(matrix), dtype=bool)
  top = float(np.max(matrix, where=off_diagonal, initial=-np.inf))
  # The minimum only acts on the diagonal, which could overflow before it is
  # dropped.
  return np.where(off_diagonal, np.exp(np.minimum(matrix - top, 0)), 0), top


def log_mean(e: np.ndarray, top: float) -> float:
  """Returns log mean exp of negatives from `exponentials`, in nats."""
  # Divided by the number of negatives: the diagonal of `e` is 0.
  return float(np.log(e.sum() / (len(e) * (len(e) - 1))) + top)


def carried(e: np.ndarray) -> float:
  """Returns the effective number of negatives (Kish), 1 to m (m - 1)."""
  return float(e.sum() ** 2 / np.sum(e**2))


def chance(effective: float) -> float:
  """Returns nats by which a log mean exp of so many negatives may be off."""
  return float(_ERRORS / np.sqrt(effective))


def of_ratio(e: np.ndarray, top: float) -> float:
  """Returns the log partition of a density ratio, in nats.

  It is 0 by construction. A measured value above chance means that the model
  misfits, and it is returned. A lower value only shows that the few negatives
  at hand lack the rare ones that dominate the partition.
  """
  nats = log_mean(e, top)
  return nats if nats >= chance(carried(e)) else 0.0
