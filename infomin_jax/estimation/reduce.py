"""Fewer columns where there are more than a copula can be fitted to."""

import numpy as np
from sklearn.decomposition import PCA

from infomin_jax.estimation.copula import quantiles, uniform_ranks

# Columns of a side up to which all are fitted, and components beyond.
_MOST, _KEPT = 256, 128


def components(columns: int, others: int, samples: int) -> int:
  """Returns how many components to keep of a side, or its columns if all.

  Args:
    columns: of the side.
    others: columns of the other side.
    samples: pairs.
  """
  few = max(samples // 8, 1)
  if columns > _MOST:
    return min(_KEPT, few)
  if columns + others > samples // 2:
    return min(columns, few)
  return columns


def principal(values: np.ndarray, count: int) -> np.ndarray:
  """Returns the first principal components of the columns' normal scores.

  They are found without the other side, so that they favor no dependence.

  Args:
    values: `[n, d]`.
    count: of components, below n and d.

  Returns:
    `[n, count]`.
  """
  ranks = uniform_ranks(np.sort(values, axis=0), values)
  scores = quantiles(ranks, np.inf)
  return PCA(count, svd_solver="randomized", random_state=0).fit_transform(
    scores
  )
