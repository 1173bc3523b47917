"""The 200-unit classifier on frozen features, several tasks side by side."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.encoders.convnet import Output
from infomin_jax.eval.probes.fit import fit, in_tiles, init_key, last_tenth
from infomin_jax.eval.probes.shares import (
  Value,
  balanced_error,
  known,
  mean_shares,
  shares,
)

UNITS = 200
DROPOUT = 0.1


class MLPProbe(nn.Module):
  """Linear, dropout, batch norm, ReLU, linear: `[b, d] -> [b, classes]`.

  Attributes:
    classes: number of logits.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    tables 1, 2 and 5; order of the layers from the authors' code.
  """

  classes: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    x = Output(UNITS, name="hidden")(x)
    x = nn.Dropout(DROPOUT, deterministic=not train)(x)
    x = nn.BatchNorm(not train, momentum=0.9, name="bn")(x)
    return Output(self.classes, name="logits")(nn.relu(x))


def mlp_accuracies(*split: np.ndarray, **options: Any) -> np.ndarray:
  """Returns the accuracies of `mlp_shares` on p tasks, `[p]` in [0, 1]."""
  return np.array([row["accuracy"] for row in mlp_shares(*split, **options)])


def mlp_shares(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  classes: Sequence[int],
  epochs: int,
  seed: int = 0,
) -> list[dict[str, Value]]:
  """Returns the test `shares` of `MLPProbe` on p tasks.

  The mean over the last tenth of the epochs, as published; none is chosen.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n, p]`; a negative one is unknown and counts for nothing.
    test_features: `[m, d]`.
    test_labels: `[m, p]`, of which the same holds.
    classes: of each task.
    epochs: of Adam (published: 1000).
    seed: of initial parameters, dropout and the order of the rows.
  """
  found = guesses(
    train_features,
    train_labels,
    test_features,
    classes=classes,
    epochs=epochs,
    seed=seed,
  )
  rows = [known(y) for y in test_labels.T]
  seen = [y[known(y)] for y in train_labels.T]
  each = [
    [shares(test_labels[r, i], g[r, i], seen[i]) for i, r in enumerate(rows)]
    for g in found
  ]
  return [mean_shares(of_task) for of_task in zip(*each, strict=True)]


def attribute_errors(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
) -> np.ndarray:
  """Class-balanced test errors of `MLPProbe` on a attributes, `[a]` in [0, 1].

  The error is the mean of those of the two classes, so a guess that ignores the
  image has 0.5, however rare the attribute. In training the classes weigh the
  same.

  Differs from the paper: it reports such errors on CelebA without saying which
  classifier made them.

  Args:
    train_features: `[n, d]`.
    train_labels: 0 or 1, `[n, a]`; a negative one is unknown.
    test_features: `[m, d]`.
    test_labels: 0 or 1, `[m, a]`; a negative one is unknown.
    epochs: of Adam.
    seed: of initial parameters, dropout and the order of the rows.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    appendix.
  """
  count = train_labels.shape[1]
  found = guesses(
    train_features,
    train_labels,
    test_features,
    classes=[2] * count,
    epochs=epochs,
    seed=seed,
    balanced=True,
  )
  rows = [known(y) for y in test_labels.T]
  errors = [
    [balanced_error(test_labels[r, i], g[r, i]) for i, r in enumerate(rows)]
    for g in found
  ]
  return np.mean(errors, axis=0)


def guesses(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  *,
  classes: Sequence[int],
  epochs: int,
  seed: int,
  balanced: bool = False,
) -> Iterator[np.ndarray]:
  """Guessed test classes `[m, p]` after each epoch of the last tenth.

  Args as those of `mlp_accuracies`, and
    balanced: whether the classes of a task weigh the same in its loss.
  """
  limits = jnp.asarray(classes)
  probe = MLPProbe(max(classes))
  balance = _balance if balanced else _even
  weights = np.stack([balance(y) for y in train_labels.T], axis=1)
  some = jnp.asarray(train_features[:2])
  start = jax.vmap(lambda key: probe.init(key, some, train=False))
  variables = start(jax.random.split(init_key(seed), len(limits)))

  @jax.jit
  def guess(variables, x):
    apply = jax.vmap(lambda v: probe.apply(v, x, train=False))
    logits: Any = apply(variables)  # [p, b, c]
    logits = jax.vmap(within)(logits, limits)
    return jnp.argmax(logits, axis=-1).T  # [b, p]

  fitted = fit(
    _loss_of_all(probe, limits),
    variables["params"],
    variables["batch_stats"],
    {
      "x": train_features,
      "labels": np.maximum(train_labels, 0),
      "weights": weights,
    },
    epochs=epochs,
    seed=seed,
  )
  for params, stats in last_tenth(fitted, epochs):
    variables = {"params": params, "batch_stats": stats}
    yield in_tiles(functools.partial(guess, variables), test_features)


def _loss_of_all(probe, limits):
  """The summed loss of p probes, whose variables have a leading axis p."""

  def one(params, stats, labels, weights, limit, x, key):
    logits, moved = probe.apply(
      {"params": params, "batch_stats": stats},
      x,
      train=True,
      mutable=["batch_stats"],
      rngs={"dropout": key},
    )
    entropy = cross_entropy(within(logits, limit), labels)
    return jnp.mean(weights * entropy), moved["batch_stats"]

  def loss(params, stats, rows, key):
    losses, stats = jax.vmap(one, in_axes=(0, 0, 1, 1, 0, None, 0))(
      params,
      stats,
      rows["labels"],
      rows["weights"],
      limits,
      rows["x"],
      jax.random.split(key, len(limits)),
    )
    return jnp.sum(losses), stats

  return loss


def within(logits: jax.Array, limit: jax.Array) -> jax.Array:
  """Logits `[b, c]`, impossible (-inf) from class `limit` on."""
  possible = jnp.arange(logits.shape[1]) < limit
  return jnp.where(possible[None], logits, -jnp.inf)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Returns the cross entropy of each row, nats: `[b, c], [b] -> [b]`."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def _even(labels):
  """Returns weights of mean 1, `[n]`: 0 of unknown labels, else the same."""
  return ((labels >= 0) / np.mean(labels >= 0)).astype(np.float32)


def _balance(labels):
  """Returns weights of mean 1, `[n]`, of equal sum for each known class."""
  present, place, counts = np.unique(
    labels, return_inverse=True, return_counts=True
  )
  known_classes = present >= 0
  each = len(labels) / (np.sum(known_classes) * counts)
  return np.where(known_classes, each, 0)[place].astype(np.float32)
