"""A weighted sum of critics, which beats the best of them.

Donsker-Varadhan is concave in the scores, so that the best weights are found
at once, on pairs that no critic was fitted to.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import optimize

# Combinations of so many pairs measure the partition while weights are found.
_NEGATIVES = 500
_LEAST = 0.05  # weight below which a critic is left out
# All weights together: at many nats few negatives would allow any scale.
_MOST = 1.5


class Critic(Protocol):
  """What scores pairs of rows of the data that it was made for."""

  @property
  def normalized(self) -> bool:
    """Returns whether scores are a ratio of densities, whose partition is 1."""
    ...

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Scores of row i with row i, `[n]`."""
    ...

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Scores of all combinations, `[n, n]`."""
    ...


@dataclasses.dataclass(frozen=True)
class Blend:
  """A weighted sum of critics.

  Attributes:
    critics: two or more.
    weights: of each, positive.
  """

  critics: Sequence[Critic]
  weights: Sequence[float]
  normalized: bool = False

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Scores of row i with row i, `[n]`."""
    each = zip(self.weights, self.critics, strict=True)
    return sum((w * critic.pairs(rows) for w, critic in each), np.zeros(()))

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Scores of all combinations, `[n, n]`."""
    each = zip(self.weights, self.critics, strict=True)
    return sum((w * critic.matrix(rows) for w, critic in each), np.zeros(()))


def weights(critics: Sequence[Critic], rows: np.ndarray) -> np.ndarray:
  """Returns the weights at which the sum shows most nats of rows, `[k]`.

  Args:
    critics: fitted to other rows.
    rows: `[n]`.

  Returns:
    Weights of 0 or more; small ones are 0.
  """
  few = rows[:_NEGATIVES]
  pairs = np.array([critic.pairs(rows) for critic in critics])
  apart = ~np.eye(len(few), dtype=bool)
  others = np.array([critic.matrix(few)[apart] for critic in critics])

  def loss(w):
    scores = w @ others
    top = scores.max()
    e = np.exp(scores - top)
    log_mean = np.log(e.mean()) + top
    gradient = others @ (e / e.sum()) - pairs.mean(axis=1)
    return log_mean - w @ pairs.mean(axis=1), gradient

  begin = np.full(len(critics), 1 / len(critics))
  total = optimize.LinearConstraint(np.ones(len(critics)), -np.inf, _MOST)
  found = optimize.minimize(
    loss,
    begin,
    jac=True,
    method="SLSQP",
    bounds=[(0.0, _MOST)] * len(critics),
    constraints=total,
  ).x
  return np.where(found < _LEAST, 0.0, found)
