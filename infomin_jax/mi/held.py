"""Scores of pairs that a critic was not fitted to, and their value in nats."""

import dataclasses

import numpy as np

from infomin_jax.mi.partition import (
  carried,
  exponentials,
  log_mean,
  of_ratio,
)


@dataclasses.dataclass(frozen=True)
class Held:
  """The scores of one fold, by the critic that was fitted to the others.

  Attributes:
    rows: which pairs they are, `[n]`.
    pairs: their scores, `[n]`.
    matrix: scores of all combinations of the first m, `[m, m]`.
    fitted_nats: Donsker-Varadhan value of the pairs it was fitted to.
    normalized: whether the scores are a log density ratio, as of a copula
      without a network. Its partition is 1.
  """

  rows: np.ndarray
  pairs: np.ndarray
  matrix: np.ndarray
  fitted_nats: float
  normalized: bool


def donsker_varadhan(held: Held) -> float:
  """Returns nats of one fold: mean score of pairs minus log partition."""
  return shown(held.pairs, held.matrix, held.normalized)


def log_partition(held: Held) -> tuple[float, float]:
  """Returns log mean exp of negatives, and their effective number."""
  return _log_partition(held.matrix, held.normalized)


def shown(pairs: np.ndarray, matrix: np.ndarray, normalized: bool) -> float:
  """Returns nats of scores `[n]`, with combinations `[m, m]` of some pairs."""
  return float(np.mean(pairs) - _log_partition(matrix, normalized)[0])


def _log_partition(matrix, normalized) -> tuple[float, float]:
  """Returns log mean exp of negatives, nats, and their effective number."""
  e, top = exponentials(matrix)
  return (of_ratio if normalized else log_mean)(e, top), carried(e)
