"""Fine-tunes an encoder with the 200-unit classifier, on all or few labels."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.eval.probes.fit import (
  BATCH,
  fit,
  in_tiles,
  init_key,
  last_tenth,
)
from infomin_jax.eval.probes.mlp import SETTINGS, MLPProbe, cross_entropy
from infomin_jax.eval.probes.protocol import Case, Protocol, found_or_noted
from infomin_jax.eval.probes.shares import mean_shares, shares


def finetuned_accuracy(*parts: Any, **options: Any) -> float:
  """Returns the accuracy of `finetuned_shares`, in [0, 1]."""
  return finetuned_shares(*parts, **options)["accuracy"]


def finetuned_shares(
  encode: Callable,
  variables: Mapping,
  train_images: np.ndarray,
  train_labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
  *,
  classes: int,
  epochs: int,
  seed: int = 0,
  mesh: jax.sharding.Mesh | None = None,
) -> dict[str, Any]:
  """Returns test `shares` of encoder and `MLPProbe`, trained as one network.

  Training uses the statistics of each batch and no augmentation. The result is
  the mean over the last tenth of the epochs.

  Args:
    encode: `(variables, images, key) -> (features [b, d], batch_stats)`; in
      evaluation mode if the key is None.
    variables: initial `params` and `batch_stats` of the encoder.
    train_images: uint8 `[n, h, w, c]`.
    train_labels: `[n]`.
    test_images: uint8 `[m, h, w, c]`.
    test_labels: `[m]`.
    classes: number of classes.
    epochs: of Adam.
    seed: of the classifier's weights, dropout and the order of the rows.
    mesh: devices; each batch is sharded over them if they divide it.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    tables 1 and 2.
  """
  head = MLPProbe(classes)
  shape = jax.eval_shape(
    lambda v, x: encode(v, x, None)[0], variables, train_images[:2]
  ).shape
  own = head.init(init_key(seed), jnp.zeros(shape), train=False)
  fitted = fit(
    _loss(encode, head),
    {"encoder": variables["params"], "head": own["params"]},
    {"encoder": variables["batch_stats"], "head": own["batch_stats"]},
    {"images": train_images, "labels": train_labels},
    epochs=epochs,
    seed=seed,
    sharding=_sharding(mesh, min(BATCH, len(train_images))),
  )
  guess = _guess(encode, head)
  results = []
  for trained in last_tenth(fitted, epochs):
    guessed = in_tiles(functools.partial(guess, *trained), test_images)
    results.append(shares(test_labels, guessed, train_labels))
  return mean_shares(results)


def _loss(encode, head):
  """Returns the cross-entropy of the two networks, as a loss for `fit`."""

  def loss(params, stats, rows, key):
    encoder_key, head_key = jax.random.split(key)
    start = {"params": params["encoder"], "batch_stats": stats["encoder"]}
    x, encoder_stats = encode(start, rows["images"], encoder_key)
    logits, moved = head.apply(
      {"params": params["head"], "batch_stats": stats["head"]},
      x,
      train=True,
      mutable=["batch_stats"],
      rngs={"dropout": head_key},
    )
    entropy = jnp.mean(cross_entropy(logits, rows["labels"]))
    return entropy, {"encoder": encoder_stats, "head": moved["batch_stats"]}

  return loss


def _guess(encode, head):
  """Returns jitted `(params, stats, images [b, ...]) -> class [b]`."""

  @jax.jit
  def guess(params, stats, images):
    start = {"params": params["encoder"], "batch_stats": stats["encoder"]}
    x, _ = encode(start, images, None)
    own = {"params": params["head"], "batch_stats": stats["head"]}
    logits: Any = head.apply(own, x, train=False)
    return jnp.argmax(logits, axis=-1)

  return guess


def labeled_part(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
  """Returns the rows that keep their label.

  They are the same share of each class, at least one row.

  Args:
    labels: `[n]`.
    share: in (0, 1].
    seed: of the random choice.

  Returns:
    Sorted rows.
  """
  order = np.random.default_rng(seed).permutation(len(labels))
  parts = []
  for label in np.unique(labels):
    rows = order[labels[order] == label]
    parts.append(rows[: max(1, round(share * len(rows)))])
  return np.sort(np.concatenate(parts))


def _sharding(mesh, batch):
  """Returns the sharding by row, or replicated if devices do not divide it."""
  if mesh is None:
    return None
  rows = jax.sharding.PartitionSpec("data" if batch % mesh.size == 0 else None)
  return jax.sharding.NamedSharding(mesh, rows)


def protocol(options) -> Protocol:
  """Returns the probe that trains the encoder too, on all labels."""
  name = f"finetune (encoder and mlp: {SETTINGS}, {options.epochs} epochs)"
  return Protocol(
    name, _finetuned(options, 1.0), frozenset({"labels", "images"})
  )


def semi_supervised(options) -> Protocol:
  """Returns the probe that trains the encoder too, on a share of the labels.

  Differs from the paper: its code adds the loss of pretraining.
  """
  name = (
    f"semi_supervised ({options.label_share:.3g} of the labels; encoder and "
    f"mlp: {SETTINGS}, {options.epochs} epochs)"
  )
  run = _finetuned(options, options.label_share)
  return Protocol(name, run, frozenset({"labels", "images"}))


def _finetuned(options, share: float) -> Callable[[Case], dict]:
  """Returns a `run` that also trains the encoder, separately for each task."""

  def run(case):
    def measure(task):
      rows, test_rows = case.rows(task)
      y = case.train.labels[task][rows]
      part = labeled_part(y, share, case.seed)
      return finetuned_shares(
        case.encoder.apply,
        case.encoder.variables,
        case.train.images[rows][part],
        y[part],
        case.test.images[test_rows],
        case.test.labels[task][test_rows],
        classes=case.classes[task],
        epochs=options.epochs,
        seed=case.seed,
        mesh=case.encoder.mesh,
      )

    if case.encoder is None:
      return {}
    results, notes = found_or_noted(case.classes, measure, "accuracy")
    return results | notes

  return run
