"""What a protocol sees, and what it gives: the contract of `PROTOCOLS`."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from infomin_jax.eval.probes.shares import NoProbe, Value, known

Rows = np.ndarray | slice
LARGEST = 1e15  # of features: float32 cannot hold squares above 3e38


@dataclasses.dataclass(frozen=True)
class Part:
  """The training or the test set, at one tap of one encoder.

  Attributes:
    x: features, float32 `[n, d]`; no rows where no protocol reads them.
    labels: of each task, int `[n]`; a negative one is unknown.
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

  @functools.cached_property
  def finite(self) -> bool:
    """Returns whether every feature is a number that can be squared."""
    x = self.x  # comparisons with NaN are false
    return not x.size or bool(-LARGEST < x.min() and x.max() < LARGEST)

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

  def rows(self, task: str, reads_train: bool = True) -> tuple[Rows, Rows]:
    """Returns the training and the test rows whose label is known.

    Args:
      task: whose labels.
      reads_train: whether the training set is read from here.

    Raises:
      NoProbe: no test label is known, or the training labels that are known
        are of one class or of none that is tested, or features are not finite.
    """
    train, test = known(self.train.labels[task]), known(self.test.labels[task])
    y, test_y = self.train.labels[task][train], self.test.labels[task][test]
    if not len(test_y):
      raise NoProbe("no test image has a known label")
    if not self.test.finite or not self.train.finite:
      raise NoProbe(f"features are not a number, or beyond {LARGEST:g}")
    if reads_train:
      check_classes(y, test_y)
    return train, test

  def possible(
    self,
    tasks: Iterable[str],
    reads_train: bool = True,
    metric: str = "accuracy",
  ) -> tuple[dict[str, tuple[Rows, Rows]], dict[str, dict[str, Value]]]:
    """Returns `rows` of the tasks that have some, and notes on the others.

    Args:
      tasks: names.
      reads_train: as in `rows`.
      metric: under which a note stands.
    """
    read = functools.partial(self.rows, reads_train=reads_train)
    return found_or_noted(tasks, read, metric)

  def remarks(self) -> Iterator[str]:
    """Yields what a user has to know of the labels, a line each."""
    for task, y in self.test.labels.items():
      train_y = self.train.labels[task]
      left_out = [
        f"{np.sum(labels < 0):,} of {len(labels):,} {name} images"
        for labels, name in ((train_y, "training"), (y, "test"))
        if (labels < 0).any()
      ]
      if left_out:
        yield f"{task}: {' and '.join(left_out)} have no known label: left out."
      new = (y >= 0) & ~np.isin(y, train_y)
      if len(train_y) and new.any():
        yield (
          f"{task}: {new.sum():,} of {len(y):,} test images are of a class "
          "that no training image has: no probe can guess these."
        )

  def picture(self, kind: str) -> pathlib.Path:
    """Returns the path of a picture: `neighbours_learned_pool.png`."""
    words = self.name.replace(", tap ", "_").replace(" ", "_")
    return self.folder / f"{kind}_{words}.png"


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to probe features.

  Attributes:
    name: with its settings, as it stands beside every number.
    run: `Case -> {task: {metric: value}}`; empty where it has nothing to say
      of the case, or draws a picture. A value that belongs to no task has the
      task `images`. The value is a text where there is none: why.
    needs: `labels`, `binary` (a task of two classes), `images`, `places`,
      `masks` (then also a tap that is a map).
    views: of training images that are augmented, options of `make_views`; it
      then reads `Case.augmented`, not `Case.train`. None reads the latter.
  """

  name: str
  run: Callable[[Case], Mapping[str, Mapping[str, Value]]]
  needs: frozenset[str] = frozenset({"labels"})
  views: Mapping[str, Any] | None = None


def check_classes(y: np.ndarray, test_y: np.ndarray) -> None:
  """Refuses known labels that leave nothing to tell apart.

  Args:
    y: of the training rows, `[n]`.
    test_y: of the test rows, `[m]`.

  Raises:
    NoProbe: as `Case.rows`.
  """
  present = np.unique(y)
  if not len(present):
    raise NoProbe("no training image has a known label")
  if len(present) < 2:
    raise NoProbe(f"all training images are of class {present[0]}")
  if not np.isin(test_y, present).any():
    raise NoProbe("the classes of the test images have no training image")


def found_or_noted(
  tasks: Iterable[str], measure: Callable[[str], Any], metric: str
) -> tuple[dict[str, Any], dict[str, dict[str, Value]]]:
  """Returns `measure(task)` of each task, and notes where it is a NoProbe."""
  found, notes = {}, {}
  for task in tasks:
    try:
      found[task] = measure(task)
    except NoProbe as error:
      notes[task] = {metric: str(error)}
  return found, notes


def say_new(
  lines: Iterable[str], said: set[str], say: Callable[[str], None]
) -> None:
  """Says the lines that are not in `said`, and adds them to it."""
  for line in lines:
    if line not in said:
      say(line)
      said.add(line)
