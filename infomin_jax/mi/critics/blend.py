"""A weighted sum of critics, which scores higher than the best of them.

The Donsker-Varadhan bound is concave in the scores, so one optimization finds
the best weights. It uses pairs that no critic was fitted to.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import optimize

# Pairs whose combinations measure the partition while weights are optimized.
_NEGATIVES = 500
_LEAST = 0.05  # weight below which a critic is left out
# Largest sum of weights. At many nats, few negatives would allow any scale.
_MOST = 1.5


class Critic(Protocol):
  """Scores pairs of rows of the data that it was made for."""

  @property
  def normalized(self) -> bool:
    """Returns whether scores are a log density ratio, whose partition is 1."""
    ...

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of row i with row i, `[n]`."""
    ...

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of all combinations, `[n, n]`."""
    ...


@dataclasses.dataclass(frozen=True)
class Blend:
  """A weighted sum of critics.

  Attributes:
    critics: two or more.
    weights: positive weight of each.
  """

  critics: Sequence[Critic]
  weights: Sequence[float]
  normalized: bool = False

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of row i with row i, `[n]`."""
    each = zip(self.weights, self.critics, strict=True)
    return sum((w * critic.pairs(rows) for w, critic in each), np.zeros(()))

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of all combinations, `[n, n]`."""
    each = zip(self.weights, self.critics, strict=True)
    return sum((w * critic.matrix(rows) for w, critic in each), np.zeros(()))


def weights(critics: Sequence[Critic], rows: np.ndarray) -> np.ndarray:
  """Returns the weights at which the sum shows most nats, `[k]`.

  Args:
    critics: fitted to other rows.
    rows: rows that decide, `[n]`.

  Returns:
    Weights of 0 or more. Those below 0.05 are set to 0.
  """
  few = rows[:_NEGATIVES]
  pairs = np.array([critic.pairs(rows) for critic in critics])
  off_diagonal = ~np.eye(len(few), dtype=bool)
  # The diagonal holds joint pairs, which are no negatives.
  others = np.array([critic.matrix(few)[off_diagonal] for critic in critics])

  def loss(w):
    scores = w @ others
    # Shifted by the maximum, so that exp does not overflow.
    top = scores.max()
    e = np.exp(scores - top)
    log_mean = np.log(e.mean()) + top
    gradient = others @ (e / e.sum()) - pairs.mean(axis=1)
    return log_mean - w @ pairs.mean(axis=1), gradient

  begin = np.full(len(critics), 1 / len(critics))
  total = optimize.LinearConstraint(np.ones(len(critics)), -np.inf, _MOST)
  solution = optimize.minimize(
    loss,
    begin,
    jac=True,
    method="SLSQP",
    bounds=[(0.0, _MOST)] * len(critics),
    constraints=total,
  ).x
  return np.where(solution < _LEAST, 0.0, solution)
