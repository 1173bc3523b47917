"""A linear classifier of pixels on a frozen feature map."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.encoders.convnet import Output
from infomin_jax.errors import UserError
from infomin_jax.eval.probes.fit import final, fit, in_tiles, init_key
from infomin_jax.eval.probes.mlp import cross_entropy
from infomin_jax.eval.probes.protocol import Protocol

VOID = 255  # the class of pixels that do not count
BATCH = 16
RATE = 1e-2
TASK = "mask"


def protocol(options) -> Protocol:
  """Segments images from each tap that is a map; other taps get no result."""
  epochs = options.epochs
  drops = _drops(epochs)

  def run(case):
    if case.train.map is None:
      return {}
    scores = segmentation_scores(
      case.train.map,
      case.train.masks,
      case.test.map,
      case.test.masks,
      epochs=epochs,
      seed=case.seed,
    )
    return {TASK: scores}

  name = (
    f"segmentation (1x1 on standardised map, bilinear, batch {BATCH}, Adam "
    f"{RATE:g}, x0.1 at {drops[0]} and {drops[1]}, {epochs} epochs)"
  )
  return Protocol(name, run, frozenset({"masks"}))


def _drops(epochs: int) -> tuple[int, int]:
  """Returns half and three quarters of the epochs, rounded up."""
  return -(-epochs // 2), -(-3 * epochs // 4)


def segmentation_scores(
  train_maps: np.ndarray,
  train_masks: np.ndarray,
  test_maps: np.ndarray,
  test_masks: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
) -> dict[str, float]:
  """Trains a linear classifier of pixels; returns its scores in [0, 1].

  Logits at each place of the map are resized to the mask by bilinear
  interpolation. The loss is the cross-entropy of pixels. Channels are
  standardized with the training set's mean and std. Pixels of class 255 (void)
  are ignored.

  Differs from the paper: its decoder for NYU-V2 is not published.

  Args:
    train_maps: `[n, h, w, c]`.
    train_masks: classes, uint8 `[n, s, s]`.
    test_maps: `[m, h, w, c]`.
    test_masks: classes, uint8 `[m, s, s]`.
    epochs: of Adam.
    seed: of the initial weights and the order of the rows.

  Returns:
    `mean_iou`, the mean intersection over union of the classes that occur in
    the test masks or in their guesses, and `pixel_accuracy`.

  Raises:
    UserError: all pixels of a set are void.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020: color spaces on NYU-V2.
  """
  classes = max(_classes(train_masks, "training"), _classes(test_masks, "test"))
  mean = train_maps.mean((0, 1, 2), keepdims=True)
  # A constant channel has no deviation.
  std = np.maximum(train_maps.std((0, 1, 2), keepdims=True), 1e-6)
  head, size = Output(classes), train_masks.shape[1:]
  logits = functools.partial(pixel_logits, head, mean, std, size)
  fitted = fit(
    pixel_loss(logits),
    head.init(init_key(seed), jnp.asarray(train_maps[:1])),
    {},
    {"maps": train_maps, "masks": train_masks},
    epochs=epochs,
    seed=seed,
    batch=BATCH,
    rate=RATE,
    drops=_drops(epochs),
  )
  # uint8, as masks: int32 guesses of all pixels take four times the memory.
  guess = jax.jit(lambda p, x: jnp.argmax(logits(p, x), -1).astype(jnp.uint8))
  guess = functools.partial(guess, final(fitted)[0])
  counts = confusion(
    test_masks, in_tiles(guess, test_maps, tile=BATCH), classes
  )
  share = np.trace(counts) / np.sum(counts)
  return {"mean_iou": mean_iou(counts), "pixel_accuracy": float(share)}


def _classes(masks: np.ndarray, name: str) -> int:
  """Returns the number of classes: one more than the highest, without void."""
  if np.all(masks == VOID):
    raise UserError(
      f"All pixels of the {name} masks are {VOID}, which is ignored: expected "
      "classes 0, 1, ..."
    )
  return 1 + int(np.max(masks, where=masks != VOID, initial=0))


def pixel_logits(head, mean, std, size, params, maps) -> jax.Array:
  """Returns logits of pixels, `[b, *size, classes]`, of maps `[b, h, w, c]`."""
  at_places: Any = head.apply(params, (maps - mean) / std)
  shape = (len(maps), *size, head.dim)
  return jax.image.resize(at_places, shape, "bilinear")


def pixel_loss(logits):
  """Returns the cross-entropy of pixels that are not void, a loss for `fit`."""

  def loss(params, stats, rows, key):
    del key
    counts = rows["masks"] != VOID
    # Void would be an index out of range. Its class 0 is masked out below.
    classes = jnp.where(counts, rows["masks"], 0)
    nats = cross_entropy(logits(params, rows["maps"]), classes.astype(int))
    total = jnp.sum(nats, where=counts)
    # All pixels of a batch may be void.
    return total / jnp.maximum(jnp.sum(counts), 1), stats

  return loss


def confusion(
  masks: np.ndarray, guessed: np.ndarray, classes: int
) -> np.ndarray:
  """Counts pixels by class and guess, without void, `[classes, classes]`.

  Rows i are true classes, columns j are guesses.
  """
  counts = masks != VOID
  # int, since numbers of pairs exceed uint8.
  pairs = masks[counts].astype(int) * classes + guessed[counts]
  totals = np.bincount(pairs, minlength=classes**2)
  return totals.reshape(classes, classes)


def mean_iou(counts: np.ndarray) -> float:
  """Returns the mean IoU of the classes that occur or are guessed."""
  both = np.diagonal(counts)
  either = counts.sum(0) + counts.sum(1) - both
  return float(np.mean(both[either > 0] / either[either > 0]))
