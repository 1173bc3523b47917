"""Weighted k-nearest-neighbour accuracy of frozen features."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.critics import unit

TILE = 256  # test rows at once: memory is TILE * n floats


def knn_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  classes: int,
  k: int,
  temperature: float,
) -> float:
  """Share of test rows whose label wins the vote of the k nearest.

  Nearness is the cosine of the angle; each neighbour votes with
  `exp(cosine / temperature)`.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    classes: number of classes.
    k: neighbours asked; all, if there are fewer.
    temperature: of the votes, above 0.

  Returns:
    Accuracy in [0, 1].

  References:
    Wu et al., `Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination <https://arxiv.org/abs/1805.01978>`_, 2018, section 3.4.
  """
  k = min(k, len(train_features))
  bank = unit(jnp.asarray(train_features))
  labels = jnp.asarray(train_labels)
  right = 0
  for start in range(0, len(test_features), TILE):
    rows = np.zeros((TILE, bank.shape[1]), np.float32)
    chunk = test_features[start : start + TILE]
    rows[: len(chunk)] = chunk  # one shape, so one compilation
    votes = _vote(jnp.asarray(rows), bank, labels, classes, k, temperature)
    guess = np.asarray(votes)[: len(chunk)]
    right += int((guess == test_labels[start : start + TILE]).sum())
  return right / len(test_features)


@functools.partial(jax.jit, static_argnames=("classes", "k"))
def _vote(rows, bank, labels, classes, k, temperature):
  cosine, nearest = jax.lax.top_k(unit(rows) @ bank.T, k)  # [m, k]
  # Cosines are at most 1: subtracting it keeps exp finite and the ranking.
  weight = jnp.exp((cosine - 1) / temperature)
  onehot = jax.nn.one_hot(labels[nearest], classes)  # [m, k, classes]
  return jnp.argmax(jnp.einsum("mk,mkc->mc", weight, onehot), axis=1)
