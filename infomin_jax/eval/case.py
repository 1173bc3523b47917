"""What a protocol sees, and what it gives: the contract of `PROTOCOLS`."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Part:
  """The training or the test set, at one tap of one encoder.

  Attributes:
    x: features, float32 `[n, d]`; no rows where no protocol reads them.
    labels: of each task, int `[n]`.
    images: uint8 `[n, s, s, c]`, cut as the encoder gets them; None where no
      protocol needs them.
    masks: classes of their pixels, uint8 `[n, s, s]`; None likewise.
    places: row and column of an object in each, in pixels, `[n, 2]`; likewise.
    shape: of an image's features before they were flattened.
  """

  x: np.ndarray
  labels: Mapping[str, np.ndarray]
  images: np.ndarray | None = None
  masks: np.ndarray | None = None
  places: np.ndarray | None = None
  shape: tuple[int, ...] = ()

  @property
  def map(self) -> np.ndarray | None:
    """The features as `[n, h, w, c]`; None if they are no map."""
    if len(self.shape) != 3:
      return None
    return self.x.reshape(-1, *self.shape)

  def stacked(self, tasks: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Features `[n, d]` and the labels of some tasks, `[n, p]`."""
    return self.x, np.stack([self.labels[task] for task in tasks], axis=1)


@dataclasses.dataclass(frozen=True)
class Encoder:
  """An encoder that may be trained further.

  Attributes:
    apply: `(variables, images, key) -> (features [b, d], batch_stats)`; in
      training mode, or in evaluation mode if the key is None.
    variables: its `params` and `batch_stats`.
    mesh: the devices to use.
    sample: `(variables, key, count) -> images [count, s, s, c]` in [0, 1], of
      an encoder that was trained beside a generator; else None.
  """

  apply: Callable
  variables: dict
  mesh: jax.sharding.Mesh
  sample: Callable | None = None


class Augmented(NamedTuple):
  """Frozen features of a batch of augmented training images.

  Attributes:
    epoch: how often its first image was there before.
    x: features `[b, d]`.
    labels: of each task, int `[b]`.
  """

  epoch: int
  x: jax.Array
  labels: Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Case:
  """One tap of one encoder: what every protocol is given.

  Attributes:
    train: the training set.
    test: the test set.
    classes: how many, of each task.
    seed: of whatever a protocol draws.
    encoder: None for raw pixels.
    name: `learned, tap pool` or alike, for titles.
    folder: where pictures go.
    augmented: `(views, epochs) -> batches`: the training images, augmented by
      `Protocol.views` anew each epoch. None for raw pixels.
  """

  train: Part
  test: Part
  classes: Mapping[str, int]
  seed: int
  encoder: Encoder | None = None
  name: str = ""
  folder: pathlib.Path = pathlib.Path()
  augmented: Callable[[Mapping[str, Any], int], Iterator[Augmented]] | None = (
    None
  )

  def picture(self, kind: str) -> pathlib.Path:
    """Where to draw: `neighbours_learned_pool.png`."""
    words = self.name.replace(", tap ", "_").replace(" ", "_")
    return self.folder / f"{kind}_{words}.png"


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to probe features.

  Attributes:
    name: with its settings, as it stands beside every number.
    run: `Case -> {task: {metric: value}}`; empty where it has nothing to say
      of the case, or draws a picture. A value that belongs to no task has the
      task `images`.
    needs: `labels`, `binary` (a task of two classes), `images`, `places`,
      `masks` (then also a tap that is a map).
    views: of training images that are augmented, options of `make_views`; it
      then reads `Case.augmented`, not `Case.train`. None reads the latter.
  """

  name: str
  run: Callable[[Case], dict[str, dict[str, float]]]
  needs: frozenset[str] = frozenset({"labels"})
  views: Mapping[str, Any] | None = None
