"""A second look without a model: distances to neighbors.

Neighbors (KSG) know no copula and train nothing, so they fail elsewhere than
critics do: they fall short at many nats and in many dimensions, and are good
where a function bends, jumps or comes back. Two additions go further:

  many nats      neighbors look at what is left of y after local fits to x
  many columns   if the columns of a side are independent of each other, what
                 each shares with one of the other side adds up
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import stats

from infomin_jax.estimators.nonneural import ksg_each, mixed_ksg_each
from infomin_jax.mi.columns import normal_scores, own_ranks
from infomin_jax.mi.local_fits import NOISE, fitted_each

COLUMNS = 4  # of x and y together: beyond, neighbors are far away
_ROWS = 20_000  # more would only take longer
_CELLS = 1_280_000  # of the larger side in a sum
_K = 3
_SEED = 20030641  # of pairs dealt anew
_KSG = "nearest neighbors (KSG, k = 3) of normal scores"
FITTED = "nearest neighbors of residuals of local fits"

_EDGES = 0.02  # of a value: what neighbors lose at edges of a support
# Nats for each log of the rows from which KSG may fall short.
_MANY = 0.25

# Cosines of the ranks that a pair of columns is compared by.
_WAVES = 6
_TRIPLES = 64  # columns, at most, that are compared three by three
_CHANCE = 1e-3  # of taking independent columns for dependent ones


@dataclasses.dataclass(frozen=True)
class Look:
  """What neighbors show.

  Attributes:
    rows: which pairs were looked at, `[m]`.
    each: what each pair adds to the mean, nats `[m]`.
    how: the estimator in words.
    ceiling: nats that it cannot exceed by much.
    value: `each` of x in some rows with y in others, `([k], [k]) -> [k]`.
  """

  rows: np.ndarray
  each: np.ndarray
  how: str
  ceiling: float
  value: Callable[[np.ndarray, np.ndarray], np.ndarray]

  @property
  def nats(self) -> float:
    """Their estimate."""
    return float(np.mean(self.each))

  @property
  def chance(self) -> float:
    """Their estimate where y is dealt anew; it should be 0, ties raise it."""
    dealt = np.random.default_rng(_SEED).permutation(self.rows)
    return float(np.mean(self.value(self.rows, dealt)))

  def interval(self) -> tuple[float, float]:
    """Returns 95 % of it: the pairs by chance, and what half of them change."""
    half = len(self.rows) // 2
    parts = self.rows[:half], self.rows[half : 2 * half]
    halves = [np.mean(self.value(part, part)) for part in parts]
    chance = 1.96 * np.std(self.each) / np.sqrt(len(self.each))
    wide = chance + float(abs(self.nats - np.mean(halves)))
    return self.nats - wide, self.nats + wide + _EDGES * self.nats


def look(x: np.ndarray, y: np.ndarray, seed: int) -> Look | None:
  """Looks at pairs, in the ways that apply; the clearly highest is returned.

  Each way falls short of I(X; Y), or exceeds it by little.

  Args:
    x: `[n, dx]`.
    y: their partners, `[n, dy]`.
    seed: of the rows that are looked at.

  Returns:
    None where no way applies: in more than `COLUMNS` columns, if the columns
    of both sides depend on each other, or no pair of columns is dependent.
  """
  order = np.random.default_rng(seed).permutation(len(x))
  few = x.shape[1] + y.shape[1] <= COLUMNS
  if x.shape[1] == y.shape[1] == 1:
    return _look_at_pairs(x, y, order[:_ROWS], [(0, 0)])
  rows = order[: min(_ROWS, _CELLS // max(x.shape[1], y.shape[1]))]
  pairs, excess = _partners(x[rows], y[rows])
  summed = _look_at_pairs(x, y, rows, pairs, excess) if pairs else None
  if not few:
    return summed

  def value(a, b):
    return _joint(x[a], y[b])

  each = value(rows, rows)
  if summed and _clearly(summed.each - each):
    return summed
  return Look(rows, each, _KSG, float(np.log(len(rows))), value)


def _look_at_pairs(x, y, rows, pairs, excess: float = 0.0) -> Look:
  """Looks at the sum over pairs of columns, less an excess."""

  def parts(a, b):
    return [_pair(x[a, i : i + 1], y[b, j : j + 1]) for i, j in pairs]

  def value(a, b):
    return np.sum([each for each, _ in parts(a, b)], axis=0) - excess

  found = parts(rows, rows)
  fitted = [by_fits for _, by_fits in found]
  how = FITTED if any(fitted) else _KSG
  if len(pairs) > 1:
    how += f", summed over {len(pairs)} pairs of columns"
  elif x.shape[1] + y.shape[1] > 2:
    how += ", of one pair of columns"
  ceiling = np.log(len(rows) / np.where(fitted, NOISE, 1)).sum()
  each = np.sum([each for each, _ in found], axis=0) - excess
  return Look(rows, each, how, float(ceiling), value)


def _clearly(more) -> bool:
  """Returns whether the mean of `more [m]` is above zero beyond chance."""
  return bool(np.mean(more) > 3 * np.std(more) / np.sqrt(len(more)))


def _joint(x, y):
  """Nats of each pair by KSG; where pairs are tied, by the mixed one."""
  x, y = normal_scores(x), normal_scores(y)
  both = np.concatenate([x, y], axis=1)
  tied = len(np.unique(both, axis=0)) < len(both)
  return mixed_ksg_each(x, y, _K) if tied else ksg_each(x, y, _K)


# One column a side.


def _pair(x, y) -> tuple[np.ndarray, bool]:
  """Nats of each pair of `x, y [n, 1]`, and whether by local fits."""
  plain = _joint(x, y)
  if np.mean(plain) > _MANY * np.log(len(x)):
    fitted = fitted_each(x[:, 0], y[:, 0])
    if fitted is not None and _clearly(fitted - plain):
      return fitted, True
  return plain, False


# Sums over pairs of columns.


def _partners(x, y) -> tuple[list, float]:
  """Pairs of columns whose nats add up, and by how much they are too high.

  If the columns of Y are independent, I(X; Y) is at least the sum over j of
  I(X; Y_j), and so of I(X_i; Y_j) for any i; likewise for the columns of X.
  """
  size = len(x)
  waves = _waves(x), _waves(y)
  joint = _spectrum(*waves)  # [dx, dy, waves, waves]
  cells = joint.shape[0] * joint.shape[1]
  sure = stats.chi2.isf(_CHANCE / cells, _WAVES**2) / size
  dependent = np.sum(joint**2, axis=(2, 3)) > sure  # [dx, dy]
  # Of a normal pair, the others are powers of the first, and add nothing.
  rho = np.linalg.svd(joint, compute_uv=False)[..., 0]
  shared = -0.5 * np.log1p(-(np.minimum(rho, 0.999) ** 2))
  shared = np.where(dependent, shared, 0)
  best: tuple[float, list, float] = (0.0, [], 0.0)
  for side in (0, 1):
    most = np.max(shared, axis=1 - side)
    partner = np.argmax(shared, axis=1 - side)
    if most.sum() <= best[0]:
      continue
    # Columns that share nothing may depend on others.
    excess = _excess(waves[side][..., most > 0], most.sum())
    if excess is not None and most.sum() - excess > best[0]:
      pairs = [(int(i), int(partner[i])) for i in np.flatnonzero(most)]
      pairs = [pair[:: 1 - 2 * side] for pair in pairs]
      best = float(most.sum() - excess), pairs, excess
  return best[1:]


def _waves(values):
  """Cosines of the ranks of each column, of variance 1, `[n, waves, d]`."""
  ranks = own_ranks(values)
  angle = np.pi * np.arange(1, _WAVES + 1)[:, None] * ranks[:, None]
  waves = np.cos(angle)
  waves -= waves.mean(axis=0)
  spread = waves.std(axis=0)
  return (waves / np.where(spread > 1e-9, spread, np.inf)).astype(np.float32)


def _spectrum(x, y):
  """Correlations of the waves of all pairs of columns, `[dx, dy, w, w]`."""
  size = len(x)
  joint = x.reshape(size, -1).T @ y.reshape(size, -1) / size
  shape = x.shape[1], x.shape[2], y.shape[1], y.shape[2]
  return joint.reshape(shape).transpose(1, 3, 0, 2).astype(np.float64)


def _excess(waves, nats) -> float | None:
  """Nats that columns may share with each other unseen; None if they do.

  The sum over columns exceeds I(X; Y) by no more than their total correlation,
  of which half the sum of squared correlations is the leading term. Columns
  are compared by twos and by threes; parities of four are not seen.
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
    more = 2 * max(total - count, 0) + 2 * np.sqrt(2 * count)
    least = stats.chi2.isf(_CHANCE / count, 1)
    depends = total > stats.chi2.isf(_CHANCE, count) or group.max() > least
    if depends and more / (2 * size) > 0.02 + 0.01 * nats:
      return None
    if i in (0, 3, 4):  # the others are contained in the first
      most += more / (2 * size)
  return most


def _triples(wave):
  """Correlations of a wave of each column with products of two others."""
  size, columns = wave.shape
  columns = min(columns, _TRIPLES)
  found = [
    (wave[:, i, None] * wave[:, i + 1 : columns]).T
    @ wave[:, i + 1 : columns]
    / size
    for i in range(columns - 2)
  ]
  each = [part[np.triu_indices(len(part), 1)] for part in found]
  return np.concatenate(each or [np.zeros(0)]).astype(np.float64)
