"""Finds columns that order the rows identically: row numbers, IDs, copies."""

import hashlib

import numpy as np
from scipy import stats

from infomin_jax.mi.inputs.samples import Paired

_SHOWN = 3
# Number of evenly spaced rows in which a column is compared with the row
# number.
_ROWS = 2000
# Rank correlation with the row number above which a column follows it.
_FOLLOWS = 0.99
# Rows that must differ from the most frequent value. One odd value at the end
# is sorted by chance.
_FEW = 5


def shared(pairs: Paired) -> tuple[str, str]:
  """Returns pairs of columns that order the rows identically, in words.

  Returns:
    Two texts. The first names columns of x that equal a column of y or are a
    monotone function of it. The second names other pairs that both follow the
    order of the rows. A text is empty if there are no such columns.
  """
  if "image" in (pairs.x_kind, pairs.y_kind):
    return "", ""
  x, y = (np.asarray(v).reshape(len(v), -1) for v in (pairs.x, pairs.y))
  x_names = _names("x", x, pairs.x_columns)
  y_names = _names("y", y, pairs.y_columns)
  same = _same(x, y)
  texts = []
  for i, j in same:
    equal = np.array_equal(x[:, i], y[:, j])
    how = "equals" if equal else "is a monotone function of"
    texts.append(f"{x_names[i]} {how} {y_names[j]}")
  follows = [
    f"{x_names[i]} and {y_names[j]}"
    for i in _following(x, pairs.x_kind)
    for j in _following(y, pairs.y_kind)
    if (i, j) not in same
  ]
  return _joined(texts), _joined(follows)


def _names(side, values, columns):
  if columns:
    return [f"column {name!r} of {side}" for name in columns]
  if values.shape[1] == 1:
    return [side]
  return [f"column {i} of {side}" for i in range(values.shape[1])]


def _joined(texts):
  more = len(texts) - _SHOWN
  return "; ".join(texts[:_SHOWN]) + f"; {more} more such pairs" * (more > 0)


def _same(x, y):
  """Returns (column of x, column of y) with equal or opposite ranks."""
  x_ends, y_ends = _ends(x), _ends(y)
  # Only columns whose ends agree can be equal: the others need no hash.
  both = {ends for ends in set(x_ends) & set(y_ends) if len(ends) > 1}
  columns: dict[bytes, list[int]] = {}
  for i in (i for i, ends in enumerate(x_ends) if ends in both):
    columns.setdefault(_order(x[:, i]), []).append(i)
  pairs = [
    (i, j)
    for j, ends in enumerate(y_ends)
    if ends in both
    for i in columns.get(_order(y[:, j]), ())
  ]
  return sorted(pairs)


def _ends(values):
  """Returns the first rows of the least and the greatest value per column."""
  low, high = np.argmin(values, axis=0), np.argmax(values, axis=0)
  return [*map(frozenset, zip(low.tolist(), high.tolist(), strict=True))]


def _order(column) -> bytes:
  """Returns a hash that is the same for equal and for opposite ranks."""
  ranks = np.unique(column, return_inverse=True)[1]
  if np.argmin(ranks) > np.argmax(ranks):
    ranks = ranks.max() - ranks
  return hashlib.sha256(ranks.astype(np.int64).tobytes()).digest()


def _following(values, kind):
  """Returns columns that follow the order of the rows, or classes in blocks."""
  rows = np.linspace(0, len(values) - 1, min(_ROWS, len(values)))
  sample = values[rows.astype(int)]
  ranks = stats.rankdata(sample, axis=0)
  ranks = ranks - ranks.mean(axis=0)
  rows = np.arange(len(sample)) - (len(sample) - 1) / 2
  length = np.linalg.norm(ranks, axis=0) * np.linalg.norm(rows)
  near = np.abs(rows @ ranks) > _FOLLOWS * np.maximum(length, 1e-9)
  return [
    j
    for j in range(values.shape[1])
    if near[j] or _sorted(values[:, j], sample[:, j], kind)
  ]


def _sorted(values, some, kind):
  if kind == "discrete":
    runs = 1 + np.count_nonzero(np.diff(values))
    if runs != len(np.unique(values)):
      return False
  else:
    for part in (some, values):  # the sample decides most cases, and fast
      steps = part[1:] >= part[:-1]
      if not steps.all() and not (part[1:] <= part[:-1]).all():
        return False
  counts = np.unique(values, return_counts=True)[1]
  return len(values) - counts.max() >= _FEW
