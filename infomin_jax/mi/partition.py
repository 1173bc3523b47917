"""The partition of a critic over a fold's negatives, and who carries it."""

import numpy as np

# With fewer effective negatives than this a log mean exp says nothing.
ENOUGH = 100
FEWEST = 30  # below, not even its order of size
_ERRORS = 3  # standard errors of a log partition that may be chance


def exponentials(matrix: np.ndarray) -> tuple[np.ndarray, float]:
  """exp of scores `[m, m]` less the largest negative, which comes second.

  The diagonal, the joint pairs, is zero.
  """
  apart = ~np.eye(len(matrix), dtype=bool)
  top = float(np.max(matrix, where=apart, initial=-np.inf))
  return np.where(apart, np.exp(np.minimum(matrix - top, 0)), 0), top


def log_mean(e: np.ndarray, top: float) -> float:
  """log mean exp of the negatives that `exponentials` gave, nats."""
  return float(np.log(e.sum() / (len(e) * (len(e) - 1))) + top)


def carried(e: np.ndarray) -> float:
  """The effective number of negatives (Kish), 1 to m (m - 1)."""
  return float(e.sum() ** 2 / np.sum(e**2))


def chance(effective: float) -> float:
  """Nats that a log mean exp of so many effective negatives may be off."""
  return float(_ERRORS / np.sqrt(effective))


def of_ratio(e: np.ndarray, top: float) -> float:
  """The log partition of a ratio of densities, nats.

  It is 0 by construction. Where it measures more than chance gives, the model
  misfits, and what is measured counts; less is what few negatives show of a
  partition that rare ones carry.
  """
  nats = log_mean(e, top)
  return nats if nats >= chance(carried(e)) else 0.0
