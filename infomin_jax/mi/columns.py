"""The columns of one side: ranks, values, principal components.

Nothing here depends on the other side, so nothing favors a dependence. All rows
are used, also those that a fold holds out.
"""

import dataclasses
import functools

import numpy as np
from scipy import special
from sklearn.utils.extmath import randomized_svd

# Most columns of a side that are all fitted, and most components.
MOST, _COMPONENTS = 512, 64
_KEPT = 2_000_000  # most cells with which quantiles of every t are cached
_EXACT = 300  # most columns (or rows) with which the decomposition is exact


@dataclasses.dataclass(frozen=True)
class Columns:
  """The columns of a side, without those that order the rows as another does.

  Attributes:
    ranks: in (0, 1), ties share their mean, `[n, d]`.
    values: the same columns, of center 0 and scale 1.
    known: cached quantiles, by degrees of freedom.
  """

  ranks: np.ndarray
  values: np.ndarray
  known: dict[float, np.ndarray] = dataclasses.field(default_factory=dict)

  @functools.cached_property
  def scores(self) -> np.ndarray:
    """Normal scores, `[n, d]`."""
    return quantiles(self.ranks, np.inf)

  def quantiles(self, nu: float, rows, some) -> np.ndarray:
    """Returns quantiles of a t, of rows and some columns.

    The quantiles of all columns are cached: for every nu if there are few
    cells, otherwise for the last nu.
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
    """Returns normal scores, or components of them if there are too many."""
    if self.ranks.shape[1] <= most:
      return self.scores
    components = self.scores @ self.axes
    return components / np.std(components, axis=0)

  @functools.cached_property
  def axes(self) -> np.ndarray:
    """Principal axes of the normal scores, `[d, k]`, longest first."""
    scores = self.scores
    most = min(_COMPONENTS, scores.shape[1], max(len(scores) // 8, 1))
    if min(scores.shape) <= _EXACT:
      right = np.linalg.svd(scores, full_matrices=False)[2]
    else:
      right = randomized_svd(scores, most, random_state=0)[2]
    return right[:most].T


def columns(values: np.ndarray) -> Columns:
  """Returns the columns of `values [n, d]` that differ in their order of rows.

  A column that equals another one, or is a monotone function of it, adds
  nothing.
  """
  ranks = own_ranks(values)
  keys = set()
  chosen = []
  for j, column in enumerate(ranks.T):
    key = _key(column)
    if key not in keys:
      keys.add(key)
      chosen.append(j)
  return Columns(ranks[:, chosen], _standardized(values[:, chosen]))


def _key(ranks) -> bytes:
  """Returns bytes that are the same for ranks and for opposite ranks."""
  # Mean ranks are multiples of half a row: whole numbers compare exactly.
  steps = np.round((ranks - 0.5) * 2 * len(ranks)).astype(np.int64)
  first = steps[np.flatnonzero(steps)[:1]]
  return (-steps if first.size and first[0] < 0 else steps).tobytes()


def _standardized(values):
  """Returns columns minus their median, divided by a robust deviation.

  That is half of the range that holds two thirds of the values.
  """
  low, center, high = np.quantile(values, (0.16, 0.5, 0.84), axis=0)
  scale = (high - low) / 2
  spread = np.std(values, axis=0)
  # Columns of mostly one value have no such range.
  scale = np.where(scale > 1e-9 * spread, scale, spread)
  return (values - center) / np.where(scale > 0, scale, 1)


def fit_whole(dims: tuple[int, int], samples: int) -> bool:
  """Returns whether the pairs are enough to fit all columns of x and y."""
  return max(dims) <= MOST and sum(dims) <= samples // 2


def lost(x: Columns, y: Columns, samples: int) -> float:
  """Returns nats of new pairs that a fit of all columns loses to chance."""
  return x.ranks.shape[1] * y.ranks.shape[1] / (2 * samples)


def uniform_ranks(fitted: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Returns the empirical distribution function of each column, `[n, d]`.

  Its values are in (0, 1). Tied values share their mean rank.

  Args:
    fitted: `[m, d]`, each column in ascending order.
    values: `[n, d]`. Between two fitted values the result is interpolated, and
      outside of them it is the value of the nearest one.
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
  """Returns quantiles of a Student t with `nu` degrees of freedom."""
  grid, values = _quantile_table(nu)
  return np.interp(ranks, grid, values)


@functools.lru_cache
def _quantile_table(nu):
  # A table is interpolated. It is denser in the tails, where quantiles are
  # steep.
  # From 1e-7: it holds the ranks of up to 5 million rows.
  tail = np.geomspace(1e-7, 1e-2, 600)
  grid = np.concatenate(
    [tail, np.linspace(1e-2, 0.99, 4000)[1:-1], 1 - tail[::-1]]
  )
  exact = special.ndtri(grid) if np.isinf(nu) else special.stdtrit(nu, grid)
  return grid, exact
