"""How sure: bootstrap intervals and a permutation test of held-out scores."""

from collections.abc import Sequence

import numpy as np

from infomin_jax.mi.held import Held, log_partition
from infomin_jax.mi.partition import exponentials, log_mean

_LEVEL = 95


def bootstrap(held: Sequence[Held], draws: int, seed: int) -> np.ndarray:
  """Values of the estimate under random weights of the pairs, `[draws]`.

  A Bayesian bootstrap: each pair's weight is exponential, and a negative
  weighs what its x and its y weigh together. The critics are held fixed.

  References:
    Rubin, The Bayesian Bootstrap, 1981.
  """
  rng = np.random.default_rng(seed)
  found = []
  for fold in held:
    e, top = exponentials(fold.matrix)
    weight = rng.exponential(size=(draws, len(fold.pairs))).astype(np.float32)
    w = weight[:, : len(e)]
    partition = np.sum((w @ e) * w, axis=1)
    pairs = np.sum(w, axis=1) ** 2 - np.sum(w**2, axis=1)
    measured = np.log(partition / pairs) + top
    shift = log_partition(fold)[0] - log_mean(e, top)
    mean = weight @ fold.pairs / np.sum(weight, axis=1)
    found.append(mean - measured - shift)
  return np.mean(found, axis=0)


def interval(values: np.ndarray) -> tuple[float, float]:
  """The central 95 % of bootstrap values."""
  tail = (100 - _LEVEL) / 2
  low, high = np.percentile(values, (tail, 100 - tail))
  return float(low), float(high)


def permutation_p_value(held: Sequence[Held], permutations: int, seed: int):
  """Counts how often permuted pairs score as high as the real ones.

  The critics were fitted to other pairs, so that under independence every
  assignment of a fold's y to its x is as likely as the real one.

  Returns:
    A p value, at least `1 / (permutations + 1)`.
  """
  rng = np.random.default_rng(seed)
  real = sum(np.trace(fold.matrix) / len(fold.matrix) for fold in held)
  high = 0
  for _ in range(permutations):
    dealt = 0.0
    for fold in held:
      columns = rng.permutation(len(fold.matrix))
      dealt += np.mean(fold.matrix[np.arange(len(columns)), columns])
    high += dealt >= real
  return float((1 + high) / (permutations + 1))
