"""One side alone: its columns as ranks and values, and what to take of them.

Nothing here has seen the other side, so that nothing favors a dependence: all
rows are used, also those that a fold holds back.
"""

import dataclasses
import functools

import numpy as np
from scipy import special
from sklearn.utils.extmath import randomized_svd

# Columns up to which all of a side are fitted, and components at most.
MOST, _COMPONENTS = 512, 64
_KEPT = 2_000_000  # cells up to which quantiles of all t are kept
_EXACT = 300  # columns up to which the decomposition is exact


@dataclasses.dataclass(frozen=True)
class Columns:
  """Columns of a side, without those that order the rows as another does.

  Attributes:
    ranks: in (0, 1), ties share their mean, `[n, d]`.
    values: the same columns, of center 0 and scale 1.
    known: quantiles that were asked for.
  """

  ranks: np.ndarray
  values: np.ndarray
  known: dict[float, np.ndarray] = dataclasses.field(default_factory=dict)

  @functools.cached_property
  def scores(self) -> np.ndarray:
    """Normal scores, `[n, d]`."""
    return quantiles(self.ranks, np.inf)

  def quantiles(self, nu: float, rows, some) -> np.ndarray:
    """Returns those of a t, of rows and some columns.

    All are kept: of few cells for every nu, of many for the last one.
    """
    if np.isinf(nu):
      return self.scores[rows][:, some]
    if self.ranks.size > _KEPT:
      if 2 * len(rows) < len(self.ranks):
        return quantiles(self.ranks[rows][:, some], nu)
      if nu not in self.known:
        self.known.clear()
    if nu not in self.known:
      self.known[nu] = quantiles(self.ranks, nu)
    return self.known[nu][rows][:, some]

  def first(self, most: int) -> np.ndarray:
    """Returns normal scores, or as many components of them as there are."""
    if self.ranks.shape[1] <= most:
      return self.scores
    components = self.scores @ self.axes
    return components / np.std(components, axis=0)

  @functools.cached_property
  def axes(self) -> np.ndarray:
    """Principal axes of the normal scores, `[d, k]`, the longest first."""
    scores = self.scores
    most = min(_COMPONENTS, scores.shape[1], max(len(scores) // 8, 1))
    if min(scores.shape) <= _EXACT:
      right = np.linalg.svd(scores, full_matrices=False)[2]
    else:
      right = randomized_svd(scores, most, random_state=0)[2]
    return right[:most].T


def columns(values: np.ndarray) -> Columns:
  """Returns the columns of `values [n, d]` that differ in their order of rows.

  A column that equals another one, or is a monotone function of it, tells
  nothing more.
  """
  ranks = own_ranks(values)
  known = set()
  kept = []
  for j, column in enumerate(ranks.T):
    key = _key(column)
    if key not in known:
      known.add(key)
      kept.append(j)
  return Columns(ranks[:, kept], _standardized(values[:, kept]))


def _key(ranks) -> bytes:
  """The same for ranks and for their opposite."""
  steps = np.round((ranks - 0.5) * 2 * len(ranks)).astype(np.int64)
  first = steps[np.flatnonzero(steps)[:1]]
  return (-steps if first.size and first[0] < 0 else steps).tobytes()


def _standardized(values):
  """Columns less their median, by half of what holds two thirds of them."""
  low, center, high = np.quantile(values, (0.16, 0.5, 0.84), axis=0)
  scale = (high - low) / 2
  spread = np.std(values, axis=0)
  scale = np.where(scale > 1e-9 * spread, scale, spread)
  return (values - center) / np.where(scale > 0, scale, 1)


def fit_whole(dims: tuple[int, int], samples: int) -> bool:
  """Returns whether so many columns of x and y can be fitted to so many
  pairs.
  """
  return max(dims) <= MOST and sum(dims) <= samples // 2


def lost(x: Columns, y: Columns, samples: int) -> float:
  """Nats of new pairs that a fit of all columns loses to chance."""
  return x.ranks.shape[1] * y.ranks.shape[1] / (2 * samples)


def uniform_ranks(fitted: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Empirical distribution function of each column, in (0, 1), `[n, d]`.

  Args:
    fitted: `[m, d]`, each column in order.
    values: `[n, d]`; between two fitted values it is interpolated, tied values
      share their mean rank, and outside it is that of the nearest.
  """
  m = len(fitted)
  grid = (np.arange(m) + 0.5) / m
  ranks = np.empty(values.shape)
  for j, column in enumerate(fitted.T):
    levels, inverse = np.unique(column, return_inverse=True)
    mean_rank = np.bincount(inverse, grid) / np.bincount(inverse)
    ranks[:, j] = np.interp(values[:, j], levels, mean_rank)
  return ranks


def own_ranks(values: np.ndarray) -> np.ndarray:
  """Returns `uniform_ranks` of `values [n, d]` among themselves."""
  return uniform_ranks(np.sort(values, axis=0), values)


def normal_scores(values: np.ndarray) -> np.ndarray:
  """Returns normal quantiles of `own_ranks`, `[n, d]`."""
  return quantiles(own_ranks(values), np.inf)


def quantiles(ranks: np.ndarray, nu: float) -> np.ndarray:
  """Quantiles of a Student t with `nu` degrees of freedom, shape of `ranks`."""
  grid, values = _quantile_table(nu)
  return np.interp(ranks, grid, values)


@functools.lru_cache
def _quantile_table(nu):
  tail = np.geomspace(1e-7, 1e-2, 600)
  grid = np.concatenate(
    [tail, np.linspace(1e-2, 0.99, 4000)[1:-1], 1 - tail[::-1]]
  )
  exact = special.ndtri(grid) if np.isinf(nu) else special.stdtrit(nu, grid)
  return grid, exact
