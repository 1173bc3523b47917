"""MI of two columns of classes, from counts of the cells that occur."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from infomin_jax.estimators.nonneural import contingency, counted, entropy
from infomin_jax.mi import interval

# Largest number of cells with which whole tables are drawn, which is fast. With
# more cells, the pairs are permuted, and fewer times.
_DENSE = 10_000
_DRAWS = {True: 500, False: 200}
_PERMUTATIONS = {True: 999, False: 199}


def count_classes(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Any]:
  """Estimates I(X; Y) of classes: plug-in, with the Miller-Madow correction.

  Args:
    x: classes, `[n]`.
    y: their partners, `[n]`.
    seed: seed of the bootstrap and the permutations.

  Returns:
    `nats` and `interval`, both between 0 and the smaller entropy; `ceiling`,
    the log of the smaller number of classes; `p_value` of a permutation test;
    and `chance`, the mean nats of permuted pairs, which should be 0.
  """
  x, y = (np.unique(v, return_inverse=True)[1].reshape(-1) for v in (x, y))
  table = contingency(x, y)
  sums = np.bincount(x), np.bincount(y)
  dense = len(sums[0]) * len(sums[1]) <= _DENSE
  limit = min(map(entropy, sums))
  rng = np.random.default_rng(seed)
  nats = counted(*table, correct=True)
  draws = _bootstrap(table, _DRAWS[dense], rng)
  # The bootstrap has an upward bias, as large as what the correction subtracts.
  low, high = interval.interval(draws + nats - np.mean(draws))
  count = _PERMUTATIONS[dense]
  permute = _tables(sums, rng) if dense else _permuted(x, y, rng)
  permuted = [_of_cells(permute(), sums) for _ in range(count)]
  plain, corrected = np.array(permuted).T
  # 1e-12: rounding must not put an equal table below the observed one.
  reached = np.sum(plain >= counted(*table) - 1e-12)
  low, nats, high = np.clip((low, nats, high), 0.0, limit).tolist()
  return {
    "nats": nats,
    "interval": (low, high),
    "ceiling": float(np.log(min(map(len, sums)))),
    "p_value": float((1 + reached) / (count + 1)),
    "chance": max(float(np.mean(corrected)), 0.0),
  }


def _bootstrap(table, draws, rng):
  rows, columns, counts = table
  size = counts.sum()
  return np.array(
    [
      counted(rows, columns, rng.multinomial(size, counts / size), True)
      for _ in range(draws)
    ]
  )


def _tables(sums, rng) -> Callable[[], np.ndarray]:
  """Returns a function that draws cells of tables with these margins."""
  tables = stats.random_table(*sums)

  def draw():
    cells = tables.rvs(random_state=rng).reshape(-1)
    return cells[cells > 0]

  return draw


def _permuted(x, y, rng) -> Callable[[], np.ndarray]:
  return lambda: contingency(x, rng.permutation(y))[2]


def _of_cells(counts, sums) -> tuple[float, float]:
  """Returns plug-in nats of cells with these margins, plain and corrected."""
  nats = sum(map(entropy, sums)) - entropy(counts)
  more = len(counts) - sum(map(len, sums)) + 1
  return nats, nats - more / (2 * sums[0].sum())
