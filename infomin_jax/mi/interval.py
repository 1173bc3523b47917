"""Uncertainty of an estimate: bootstrap intervals and a permutation test."""

from collections.abc import Sequence

import numpy as np

from infomin_jax.mi.held import Held, log_partition
from infomin_jax.mi.partition import exponentials, log_mean

_LEVEL = 95


def bootstrap(held: Sequence[Held], draws: int, seed: int) -> np.ndarray:
  """Returns the estimate under random weights of the pairs, nats `[draws]`.

  This is a Bayesian bootstrap: the weight of each pair is exponential. The
  weight of a negative is the product of the weights of its x and its y. The
  critics are held fixed.

  References:
    Rubin, The Bayesian Bootstrap, 1981.
  """
  rng = np.random.default_rng(seed)
  values = []
  for fold in held:
    e, top = exponentials(fold.matrix)
    weight = rng.exponential(size=(draws, len(fold.pairs))).astype(np.float32)
    w = weight[:, : len(e)]
    partition = np.sum((w @ e) * w, axis=1)
    # The sum of w_i w_j over all i != j, the weight of all negatives.
    pairs = np.sum(w, axis=1) ** 2 - np.sum(w**2, axis=1)
    measured = np.log(partition / pairs) + top
    # `log_partition` may differ from what was measured, since a density ratio
    # has partition 1. The draws move by the same amount.
    shift = log_partition(fold)[0] - log_mean(e, top)
    mean = weight @ fold.pairs / np.sum(weight, axis=1)
    values.append(mean - measured - shift)
  return np.mean(values, axis=0)


def interval(values: np.ndarray) -> tuple[float, float]:
  """Returns the central 95 % of bootstrap values, `(low, high)`."""
  tail = (100 - _LEVEL) / 2
  low, high = np.percentile(values, (tail, 100 - tail))
  return float(low), float(high)


def permutation_p_value(held: Sequence[Held], permutations: int, seed: int):
  """Counts how often permuted pairs score as high as the real ones.

  The critics were fitted to other pairs. So under independence, every
  assignment of the y to the x of a fold is as likely as the real one.

  Returns:
    A p value, at least `1 / (permutations + 1)`.
  """
  rng = np.random.default_rng(seed)
  real = sum(np.trace(fold.matrix) / len(fold.matrix) for fold in held)
  high = 0
  for _ in range(permutations):
    permuted = 0.0
    for fold in held:
      # A permutation of the scores at hand: the critic need not run again.
      columns = rng.permutation(len(fold.matrix))
      permuted += np.mean(fold.matrix[np.arange(len(columns)), columns])
    high += permuted >= real
  return float((1 + high) / (permutations + 1))
