"""The 200-unit classifier on frozen features, for several tasks at once."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.encoders.convnet import Output
from infomin_jax.eval.probes.fit import (
  ADAM,
  BATCH,
  fit,
  in_tiles,
  init_key,
  last_tenth,
)
from infomin_jax.eval.probes.protocol import Protocol
from infomin_jax.eval.probes.shares import (
  Value,
  known,
  mean_shares,
  shares,
)

UNITS = 200
DROPOUT = 0.1
SETTINGS = f"{UNITS} units, dropout {DROPOUT:g}, batch {BATCH}, {ADAM}"


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

  They are means over the last tenth of the epochs, as published. No epoch is
  selected.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n, p]`; negative labels are unknown and ignored.
    test_features: `[m, d]`.
    test_labels: `[m, p]`; negative labels are unknown and ignored.
    classes: number of classes of each task.
    epochs: of Adam (published: 1000).
    seed: of initial parameters, dropout and the order of the rows.
  """
  epoch_guesses = guesses(
    train_features,
    train_labels,
    test_features,
    classes=classes,
    epochs=epochs,
    seed=seed,
  )
  rows = [known(y) for y in test_labels.T]
  fitted = [y[known(y)] for y in train_labels.T]
  each = [
    [shares(test_labels[r, i], g[r, i], fitted[i]) for i, r in enumerate(rows)]
    for g in epoch_guesses
  ]
  return [mean_shares(of_task) for of_task in zip(*each, strict=True)]


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
  """Yields guessed test classes `[m, p]` after each epoch of the last tenth.

  Arguments are those of `mlp_shares`, and `balanced`: whether all classes of a
  task have equal weight in its loss.
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
      # Unknown labels have weight 0, but must still be valid class indices.
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
  """Returns the summed loss of p probes; variables have a first axis p."""

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
    # A sum, not a mean: each probe then moves as if it were alone.
    return jnp.sum(losses), stats

  return loss


def within(logits: jax.Array, limit: jax.Array) -> jax.Array:
  """Sets the logits `[b, c]` of classes from `limit` on to -inf."""
  # Tasks of fewer classes share one array of the largest number of classes.
  possible = jnp.arange(logits.shape[1]) < limit
  return jnp.where(possible[None], logits, -jnp.inf)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Returns the cross entropy of each row, nats: `[b, c], [b] -> [b]`."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def _even(labels):
  """Returns weights of mean 1, `[n]`: equal, but 0 for unknown labels."""
  return ((labels >= 0) / np.mean(labels >= 0)).astype(np.float32)


def _balance(labels):
  """Returns weights of mean 1, `[n]`, with equal sums over known classes."""
  present, place, counts = np.unique(
    labels, return_inverse=True, return_counts=True
  )
  known_classes = present >= 0
  each = len(labels) / (np.sum(known_classes) * counts)
  return np.where(known_classes, each, 0)[place].astype(np.float32)


def protocol(options) -> Protocol:
  """Returns the probe of the 200-unit classifier."""

  def run(case):
    ready, notes = case.possible(case.classes)
    if not ready:
      return notes
    scores = mlp_shares(
      *case.train.stacked(ready),
      *case.test.stacked(ready),
      classes=[case.classes[task] for task in ready],
      epochs=options.epochs,
      seed=case.seed,
    )
    return dict(zip(ready, scores, strict=True)) | notes

  return Protocol(f"mlp ({SETTINGS}, {options.epochs} epochs)", run)
