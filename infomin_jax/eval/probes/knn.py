"""Weighted k-nearest-neighbor classification of frozen features."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.critics import unit
from infomin_jax.eval.probes.protocol import Protocol, each_task

TILE = 256  # test rows per call, which needs memory for TILE * n floats
TIE = 1e-6  # cosines, or votes relative to the most, that differ by less tie


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
  """Returns the share of test labels `[m]` that `knn_guesses` gets right."""
  guessed = knn_guesses(
    train_features,
    train_labels,
    test_features,
    classes=classes,
    k=k,
    temperature=temperature,
  )
  return float(np.mean(guessed == test_labels))


def knn_guesses(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  *,
  classes: int,
  k: int,
  temperature: float,
) -> np.ndarray:
  """Returns the class with the most votes of each row's k nearest, `[m]`.

  Neighbors are the rows with the highest cosine, and each votes with weight
  `exp(cosine / temperature)`. The result does not depend on the order of the
  training rows or of the classes. If rows tie for the last of the k places,
  they share these places. If classes tie, the class with the nearest row wins.
  If that is also a tie, a random draw seeded by the test row's number decides.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    classes: number of classes.
    k: number of neighbors; all rows, if there are fewer.
    temperature: of the votes, above 0.

  References:
    Wu et al., `Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination <https://arxiv.org/abs/1805.01978>`_, 2018, section 3.4.
  """
  k = min(k, len(train_features))
  bank = unit(jnp.asarray(train_features))
  labels = np.asarray(train_labels)
  known = jnp.asarray(labels)
  guessed = np.zeros(len(test_features), int)
  for start in range(0, len(test_features), TILE):
    rows = np.zeros((TILE, bank.shape[1]), np.float32)
    chunk = test_features[start : start + TILE]
    rows[: len(chunk)] = chunk  # padded, so that one program is compiled
    # The (k + 1)-th neighbor shows whether the last place is a tie.
    result = _nearest(jnp.asarray(rows), bank, min(k + 1, len(labels)))
    result = _vote(*result, known, classes, k, temperature)
    # `np.array` copies: NumPy's views of JAX arrays are read-only.
    guess, tied = (np.array(x)[: len(chunk)] for x in result)
    for i in np.flatnonzero(tied):
      cosine = np.asarray(_cosines(jnp.asarray(rows[i : i + 1]), bank))[0]
      guess[i] = _untied(cosine, labels, classes, k, temperature, start + i)
    guessed[start : start + TILE] = guess
  return guessed


@jax.jit
def _cosines(rows, bank):
  # `TIE` assumes float32; by default a TPU would round to bfloat16.
  return jnp.dot(unit(rows), bank.T, precision="highest")


@functools.partial(jax.jit, static_argnames="k")
def _nearest(rows, bank, k):
  """Returns cosines and rows of the nearest, `[m, k]`."""
  # A program of its own: if the same program slices the result of top_k, XLA
  # sorts all rows instead.
  return jax.lax.top_k(_cosines(rows, bank), k)


@functools.partial(jax.jit, static_argnames=("classes", "k"))
def _vote(cosine, nearest, labels, classes, k, temperature):
  """Returns the winning classes `[m]`, and whether there is a tie, `[m]`."""
  near = jnp.sum(cosine >= cosine[:, k - 1 : k] - TIE, axis=1)
  cosine, nearest = cosine[:, :k], nearest[:, :k]
  # Relative to the nearest row, since exp would overflow or underflow at a low
  # temperature.
  weight = jnp.exp((cosine - cosine[:, :1]) / temperature)
  onehot = jax.nn.one_hot(labels[nearest], classes)  # [m, k, classes]
  votes = jnp.einsum("mk,mkc->mc", weight, onehot)
  most = jnp.max(votes, axis=1, keepdims=True)
  ahead = jnp.sum(votes >= most * (1 - TIE), axis=1)
  return jnp.argmax(votes, axis=1), (near > k) | (ahead > 1)


def _untied(cosine, labels, classes, k, temperature, row) -> int:
  """Returns the class of one test row with ties, from its cosines `[n]`."""
  least = np.partition(cosine, -k)[-k]
  above = np.flatnonzero(cosine > least + TIE)
  last = np.flatnonzero(np.abs(cosine - least) <= TIE)
  weight = np.exp((cosine[above] - cosine.max()) / temperature)
  votes = np.bincount(labels[above], weight, classes)
  share = (k - len(above)) / len(last)
  share *= np.exp((least - cosine.max()) / temperature)
  votes = votes + share * np.bincount(labels[last], minlength=classes)
  winners = np.flatnonzero(votes >= votes.max() * (1 - TIE))
  voters = np.concatenate([above, last])
  nearest = np.array(
    [cosine[voters][labels[voters] == c].max() for c in winners]
  )
  winners = winners[nearest >= nearest.max() - TIE]
  # A random draw: taking turns by row number could follow a pattern of the
  # labels.
  return np.random.default_rng(row).choice(winners)


def protocol(options) -> Protocol:
  """Returns the probe of weighted nearest neighbors."""

  def measure(*split, classes, seed):
    del seed
    voting = dict(k=options.k, temperature=options.temperature)
    return [knn_guesses(*split, classes=classes, **voting)]

  name = f"knn (cosine, k={options.k}, t={options.temperature:g})"
  return Protocol(name, each_task(measure))
