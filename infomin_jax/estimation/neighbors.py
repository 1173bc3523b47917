"""A second look without a model: distances to neighbors, in few dimensions.

Neighbors (KSG) know no copula and train nothing, so they fail elsewhere than
critics do: they fall short at many nats and in many dimensions, and are good
where a function bends, jumps or comes back.
"""

import dataclasses

import numpy as np

from infomin_jax.estimation.copula import quantiles, uniform_ranks
from infomin_jax.estimators.nonneural import ksg_each, mixed_ksg_each

COLUMNS = 4  # of x and y together: beyond, neighbors are far away
_ROWS = 20_000  # more would only take longer
_K = 3


@dataclasses.dataclass(frozen=True)
class Look:
  """What neighbors show.

  Attributes:
    rows: which pairs were looked at, `[m]`.
    x: their normal scores, `[m, dx]`.
    y: likewise, `[m, dy]`.
    dealt: these y in another order.
    each: what each pair adds to the mean, nats `[m]`.
  """

  rows: np.ndarray
  x: np.ndarray
  y: np.ndarray
  dealt: np.ndarray
  each: np.ndarray

  @property
  def nats(self) -> float:
    """Their estimate."""
    return float(np.mean(self.each))

  @property
  def chance(self) -> float:
    """Their estimate where y is dealt anew; it should be 0, ties raise it."""
    return float(np.mean(_each(self.x, self.dealt)))

  def interval(self) -> tuple[float, float]:
    """Returns 95 % of it: the pairs by chance, and what half of them change."""
    half = len(self.rows) // 2
    parts = slice(None, half), slice(half, 2 * half)
    halves = [np.mean(_each(self.x[part], self.y[part])) for part in parts]
    chance = 1.96 * np.std(self.each) / np.sqrt(len(self.each))
    wide = chance + float(abs(self.nats - np.mean(halves)))
    return self.nats - wide, self.nats + wide


def look(x: np.ndarray, y: np.ndarray, seed: int) -> Look:
  """Looks at the normal scores of `x [n, dx]` and `y [n, dy]`."""
  rng = np.random.default_rng(seed)
  order = rng.permutation(len(x))[:_ROWS]
  x, y = (_scores(v[order]) for v in (x, y))
  return Look(order, x, y, rng.permutation(y), _each(x, y))


def _scores(values):
  return quantiles(uniform_ranks(np.sort(values, axis=0), values), np.inf)


def _each(x, y):
  both = np.concatenate([x, y], axis=1)
  tied = len(np.unique(both, axis=0)) < len(both)
  return mixed_ksg_each(x, y, _K) if tied else ksg_each(x, y, _K)
