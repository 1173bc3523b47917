"""A second estimate without a model, from distances to neighbors.

Neighbors (KSG) assume no copula and are not trained, so they fail elsewhere
than critics do. They fall short at many nats and in many dimensions. They are
good where a function bends, jumps or returns to earlier values. Two additions
extend them:

  many nats      neighbors of the residuals of y after local fits to x
  many columns   if the columns of a side are independent of each other, what
                 each shares with one column of the other side adds up
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import stats

from infomin_jax.estimators.nonneural import ksg_each, mixed_ksg_each
from infomin_jax.mi.columns import normal_scores, own_ranks
from infomin_jax.mi.local_fits import NOISE, fitted_each

# Most columns of x and y together; with more, neighbors are far away.
COLUMNS = 4
_ROWS = 20_000  # at most; more would only take longer
# Most cells (rows times columns) of the larger side in a sum.
_CELLS = 1_280_000
_K = 3
_SEED = 20030641  # seed of permuted pairs
_KSG = "nearest neighbors (KSG, k = 3) of normal scores"
FITTED = "nearest neighbors of residuals of local fits"

_EDGES = 0.02  # share of a value that neighbors lose at edges of a support
# Share of log(rows), in nats, from which KSG may fall short.
_MANY = 0.25

# Number of cosines of the ranks by which pairs of columns are compared.
_WAVES = 6
_TRIPLES = 64  # most columns that are compared by threes
_CHANCE = 1e-3  # probability of taking independent columns for dependent


@dataclasses.dataclass(frozen=True)
class Look:
  """The estimate of neighbors.

  Attributes:
    rows: the pairs that were used, `[m]`.
    each: what each pair adds to the mean, nats `[m]`.
    how: the estimator in words.
    ceiling: nats that it cannot exceed by much.
    value: computes `each` of x in some rows with y in others, `([k], [k]) ->
      [k]`.
  """

  rows: np.ndarray
  each: np.ndarray
  how: str
  ceiling: float
  value: Callable[[np.ndarray, np.ndarray], np.ndarray]

  @property
  def nats(self) -> float:
    """The estimate, in nats."""
    return float(np.mean(self.each))

  @property
  def chance(self) -> float:
    """The estimate for permuted y, in nats. It should be 0; ties raise it."""
    permuted = np.random.default_rng(_SEED).permutation(self.rows)
    return float(np.mean(self.value(self.rows, permuted)))

  def interval(self) -> tuple[float, float]:
    """Returns 95 % of the estimate, `(low, high)` in nats.

    Its width is the sampling error, plus the change if half of the pairs are
    used.
    """
    half = len(self.rows) // 2
    parts = self.rows[:half], self.rows[half : 2 * half]
    halves = [np.mean(self.value(part, part)) for part in parts]
    # 1.96 standard errors hold 95 % of a normal distribution.
    chance = 1.96 * np.std(self.each) / np.sqrt(len(self.each))
    wide = chance + float(abs(self.nats - np.mean(halves)))
    return self.nats - wide, self.nats + wide + _EDGES * self.nats


def look(x: np.ndarray, y: np.ndarray, seed: int) -> Look | None:
  """Estimates in all ways that apply, and returns the clearly highest value.

  Each way falls short of I(X; Y), or exceeds it by little.

  Args:
    x: `[n, dx]`.
    y: their partners, `[n, dy]`.
    seed: of the rows that are used.

  Returns:
    None where no way applies. That is so in more than `COLUMNS` columns, if the
    columns of both sides depend on each other, or no pair of columns is
    dependent.
  """
  order = np.random.default_rng(seed).permutation(len(x))
  few = x.shape[1] + y.shape[1] <= COLUMNS
  if x.shape[1] == y.shape[1] == 1:
    return _sum_over_pairs(x, y, order[:_ROWS], [(0, 0)])
  rows = order[: min(_ROWS, _CELLS // max(x.shape[1], y.shape[1]))]
  pairs, excess = _partners(x[rows], y[rows])
  summed = _sum_over_pairs(x, y, rows, pairs, excess) if pairs else None
  if not few:
    return summed

  def value(a, b):
    return _joint(x[a], y[b])

  each = value(rows, rows)
  if summed and _clearly(summed.each - each):
    return summed
  return Look(rows, each, _KSG, float(np.log(len(rows))), value)


def _sum_over_pairs(x, y, rows, pairs, excess: float = 0.0) -> Look:
  """Returns the sum over pairs of columns, minus an excess in nats."""

  def parts(a, b):
    return [_pair(x[a, i : i + 1], y[b, j : j + 1]) for i, j in pairs]

  def value(a, b):
    return np.sum([each for each, _ in parts(a, b)], axis=0) - excess

  terms = parts(rows, rows)
  fitted = [by_fits for _, by_fits in terms]
  how = FITTED if any(fitted) else _KSG
  if len(pairs) > 1:
    how += f", summed over {len(pairs)} pairs of columns"
  elif x.shape[1] + y.shape[1] > 2:
    how += ", of one pair of columns"
  ceiling = np.log(len(rows) / np.where(fitted, NOISE, 1)).sum()
  each = np.sum([each for each, _ in terms], axis=0) - excess
  return Look(rows, each, how, float(ceiling), value)


def _clearly(more) -> bool:
  """Returns whether the mean of `more [m]` is above zero beyond chance."""
  return bool(np.mean(more) > 3 * np.std(more) / np.sqrt(len(more)))


def _joint(x, y):
  """Returns nats of each pair by KSG, or by mixed KSG where pairs are tied."""
  x, y = normal_scores(x), normal_scores(y)
  both = np.concatenate([x, y], axis=1)
  tied = len(np.unique(both, axis=0)) < len(both)
  return mixed_ksg_each(x, y, _K) if tied else ksg_each(x, y, _K)


# One column per side.


def _pair(x, y) -> tuple[np.ndarray, bool]:
  """Returns nats of each pair of `x, y [n, 1]`, and whether by local fits."""
  plain = _joint(x, y)
  if np.mean(plain) > _MANY * np.log(len(x)):
    fitted = fitted_each(x[:, 0], y[:, 0])
    if fitted is not None and _clearly(fitted - plain):
      return fitted, True
  return plain, False


# Sums over pairs of columns.


def _partners(x, y) -> tuple[list, float]:
  """Returns pairs of columns whose nats add up, and the excess of the sum.

  If the columns of Y are independent, I(X; Y) is at least the sum over j of
  I(X; Y_j). So it is at least the sum of I(X_i; Y_j) for any choice of i. The
  same holds for the columns of X.
  """
  size = len(x)
  waves = _waves(x), _waves(y)
  joint = _spectrum(*waves)  # [dx, dy, waves, waves]
  cells = joint.shape[0] * joint.shape[1]
  # The cells share the probability: among many, some exceed it by chance.
  sure = stats.chi2.isf(_CHANCE / cells, _WAVES**2) / size
  dependent = np.sum(joint**2, axis=(2, 3)) > sure  # [dx, dy]
  # The canonical correlations of a normal pair are powers of the first, which
  # alone gives its nats.
  rho = np.linalg.svd(joint, compute_uv=False)[..., 0]
  # Below 1, since copies would share infinitely many nats.
  shared = -0.5 * np.log1p(-(np.minimum(rho, 0.999) ** 2))
  shared = np.where(dependent, shared, 0)
  best: tuple[float, list, float] = (0.0, [], 0.0)
  for side in (0, 1):
    most = np.max(shared, axis=1 - side)
    partner = np.argmax(shared, axis=1 - side)
    if most.sum() <= best[0]:
      continue
    # Columns that share nothing add nothing, so they may depend on others.
    excess = _excess(waves[side][..., most > 0], most.sum())
    if excess is not None and most.sum() - excess > best[0]:
      pairs = [(int(i), int(partner[i])) for i in np.flatnonzero(most)]
      # Whichever side is summed over, a pair is (column of x, column of y).
      pairs = [pair[:: 1 - 2 * side] for pair in pairs]
      best = float(most.sum() - excess), pairs, excess
  return best[1:]


def _waves(values):
  """Returns cosines of the ranks of columns, with variance 1, `[n, w, d]`."""
  ranks = own_ranks(values)
  angle = np.pi * np.arange(1, _WAVES + 1)[:, None] * ranks[:, None]
  waves = np.cos(angle)
  waves -= waves.mean(axis=0)
  spread = waves.std(axis=0)
  # A constant column divided by infinity is 0, which correlates with nothing.
  return (waves / np.where(spread > 1e-9, spread, np.inf)).astype(np.float32)


def _spectrum(x, y):
  """Returns correlations of the waves of column pairs, `[dx, dy, w, w]`."""
  size = len(x)
  joint = x.reshape(size, -1).T @ y.reshape(size, -1) / size
  shape = x.shape[1], x.shape[2], y.shape[1], y.shape[2]
  return joint.reshape(shape).transpose(1, 3, 0, 2).astype(np.float64)


def _excess(waves, nats) -> float | None:
  """Returns nats by which a sum over columns is too high; None if too many.

  The sum exceeds I(X; Y) by at most the total correlation of the columns. Half
  of the sum of squared correlations is its leading term. Columns are compared
  by twos and by threes, so parities of four columns are missed.
  """
  size, _, columns = waves.shape
  if columns == 1:
    return 0.0
  upper = np.triu_indices(columns, 1)
  squares = size * _spectrum(waves, waves)[upper] ** 2
  groups = [squares, squares[:, 0, 0], squares[:, 1, 1]]
  groups += [size * _triples(waves[:, i]) ** 2 for i in (0, 1)]
  most = 0.0
  for i, group in enumerate(groups):
    group = group.ravel()
    if not group.size:
      continue
    total, count = group.sum(), group.size
    # For independent columns, `total` is chi-squared with mean `count` and
    # deviation sqrt(2 count).
    more = 2 * max(total - count, 0) + 2 * np.sqrt(2 * count)
    least = stats.chi2.isf(_CHANCE / count, 1)
    depends = total > stats.chi2.isf(_CHANCE, count) or group.max() > least
    if depends and more / (2 * size) > 0.02 + 0.01 * nats:
      return None
    if i in (0, 3, 4):  # the others are contained in the first
      most += more / (2 * size)
  return most


def _triples(wave):
  """Returns correlations of a wave of a column with products of two others."""
  size, columns = wave.shape
  columns = min(columns, _TRIPLES)
  products = [
    (wave[:, i, None] * wave[:, i + 1 : columns]).T
    @ wave[:, i + 1 : columns]
    / size
    for i in range(columns - 2)
  ]
  each = [part[np.triu_indices(len(part), 1)] for part in products]
  return np.concatenate(each or [np.zeros(0)]).astype(np.float64)
