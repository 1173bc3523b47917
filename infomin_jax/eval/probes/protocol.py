"""What a protocol sees, and what it gives: the contract of `PROTOCOLS`."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.eval.probes.shares import (
  NoProbe,
  Value,
  known,
  mean_shares,
  shares,
)

IMAGES = "images"  # the task of values that need no labels
Rows = np.ndarray | slice
LARGEST = 1e15  # of features: float32 cannot hold squares above 3e38


@dataclasses.dataclass(frozen=True)
class Part:
  """The training or the test set, at one tap of one encoder.

  Attributes:
    x: features, float32 `[n, d]`; no rows where no protocol reads them.
    labels: of each task, int `[n]`; negative labels are unknown.
    images: uint8 `[n, s, s, c]`, cut as the encoder gets them; None if no
      protocol needs them.
    masks: classes of the images' pixels, uint8 `[n, s, s]`; None if no protocol
      needs them.
    places: row and column of an object, in pixels, `[n, 2]`; None if no
      protocol needs them.
    shape: shape of one image's features before they were flattened.
  """

  x: np.ndarray
  labels: Mapping[str, np.ndarray]
  images: np.ndarray | None = None
  masks: np.ndarray | None = None
  places: np.ndarray | None = None
  shape: tuple[int, ...] = ()

  @property
  def map(self) -> np.ndarray | None:
    """The features as `[n, h, w, c]`; None if they are not a map."""
    if len(self.shape) != 3:
      return None
    return self.x.reshape(-1, *self.shape)

  @functools.cached_property
  def finite(self) -> bool:
    """Returns whether every feature is finite and its square fits float32."""
    x = self.x  # one NaN makes both comparisons false
    return not x.size or bool(-LARGEST < x.min() and x.max() < LARGEST)

  def stacked(self, tasks: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features `[n, d]` and the labels of some tasks, `[n, p]`."""
    return self.x, np.stack([self.labels[task] for task in tasks], axis=1)


@dataclasses.dataclass(frozen=True)
class Encoder:
  """An encoder that a protocol may train further.

  Attributes:
    apply: `(variables, images, key) -> (features [b, d], batch_stats)`. It runs
      in training mode, or in evaluation mode if the key is None.
    variables: its `params` and `batch_stats`.
    mesh: the devices to use.
    sample: `(variables, key, count) -> images [count, s, s, c]` in [0, 1], if
      the encoder was trained together with an image generator; else None.
  """

  apply: Callable
  variables: dict
  mesh: jax.sharding.Mesh
  sample: Callable | None = None


class Augmented(NamedTuple):
  """Frozen features of a batch of augmented training images.

  Attributes:
    epoch: number of completed passes over the images, from 0.
    x: features `[b, d]`.
    labels: of each task, int `[b]`.
  """

  epoch: int
  x: jax.Array
  labels: Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Case:
  """The input of every protocol: one tap of one encoder.

  Attributes:
    train: the training set.
    test: the test set.
    classes: number of classes of each task.
    seed: of everything random in a protocol.
    encoder: None for raw pixels.
    name: title of the case, such as `learned, tap pool`.
    folder: folder for pictures.
    augmented: `(views, epochs) -> batches` of the training images, augmented by
      `Protocol.views` again each epoch. None for raw pixels.
    class_names: names of the classes, of each task that has them, for pictures.
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
  class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )

  def __post_init__(self):
    # Test images may be of a class that no training image has.
    for task, labels in self.train.labels.items():
      count = self.classes.get(task, np.inf)
      if labels.max(initial=-1) >= count:
        raise UserError(
          f"task {task!r} has {count} classes, but a training image has the "
          f"label {labels.max()}: expected labels from 0 to {count - 1}, or a "
          "negative one if it is unknown."
        )

  def with_images(self) -> tuple[np.ndarray | None, ...]:
    """Returns features and images of the training set, then of the test set."""
    return self.train.x, self.train.images, self.test.x, self.test.images

  def rows(self, task: str, reads_train: bool = True) -> tuple[Rows, Rows]:
    """Returns the training and the test rows whose label is known.

    Args:
      task: name of the task.
      reads_train: whether the protocol reads `train`.

    Raises:
      NoProbe: no test label is known, features are not finite, or the known
        training labels are of one class only or share no class with the test
        labels.
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
    """Returns `rows` of the tasks that can be probed, and notes on the others.

    Args:
      tasks: names of the tasks.
      reads_train: as in `rows`.
      metric: name of the metric that a note replaces.
    """
    read = functools.partial(self.rows, reads_train=reads_train)
    return found_or_noted(tasks, read, metric)

  def remarks(self) -> Iterator[str]:
    """Yields lines on labels that are unknown or cannot be guessed."""
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
          "that no training image has, so no probe can guess them."
        )

  def picture(self, kind: str) -> pathlib.Path:
    """Returns the path of a picture, such as `neighbours_learned_pool.png`."""
    words = self.name.replace(", tap ", "_").replace(" ", "_")
    return self.folder / f"{kind}_{words}.png"


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to probe features.

  Attributes:
    name: its name with its settings, which is recorded with every result.
    run: `Case -> {task: {metric: value}}`. The mapping is empty if the protocol
      does not apply to the case, or only draws a picture. Values without a task
      have the task `images`. A value that cannot be computed is a text with the
      reason.
    needs: any of `labels`, `binary` (a task of two classes), `images`, `places`
      and `masks` (which also needs a tap that is a map).
    views: options of `make_views` for augmented training images. The protocol
      then reads `Case.augmented` instead of `Case.train`. None for frozen
      features of `Case.train`.
  """

  name: str
  run: Callable[[Case], Mapping[str, Mapping[str, Value]]]
  needs: frozenset[str] = frozenset({"labels"})
  views: Mapping[str, Any] | None = None


def check_classes(y: np.ndarray, test_y: np.ndarray) -> None:
  """Checks that known labels have at least two classes to distinguish.

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
  """Returns `measure(task)` per task, and notes on tasks that raise NoProbe."""
  results, notes = {}, {}
  for task in tasks:
    try:
      results[task] = measure(task)
    except NoProbe as error:
      notes[task] = {metric: str(error)}
  return results, notes


def say_new(
  lines: Iterable[str], said: set[str], say: Callable[[str], None]
) -> None:
  """Calls `say` with each line that is not in `said`, and adds it to `said`."""
  for line in lines:
    if line not in said:
      say(line)
      said.add(line)


def each_task(guesses) -> Callable[[Case], dict]:
  """Returns a protocol's `run` from guesses of one task's test labels.

  Args:
    guesses: function of training features, training labels and test features,
      of rows with known labels. It returns one guess of the test labels per
      fit, `[fits, m]`.
  """

  def run(case):
    def measure(task):
      rows, test_rows = case.rows(task)
      y, test_y = (
        case.train.labels[task][rows],
        case.test.labels[task][test_rows],
      )
      split = case.train.x[rows], y, case.test.x[test_rows]
      fits = guesses(*split, classes=case.classes[task], seed=case.seed)
      each = [shares(test_y, guessed, y) for guessed in fits]
      scores = mean_shares(each)
      if len(each) > 1:
        spread = np.std(np.array([x["accuracy"] for x in each], float), ddof=1)
        scores[f"accuracy, std of {len(each)} fits"] = float(spread)
      return scores

    results, notes = found_or_noted(case.classes, measure, "accuracy")
    return results | notes

  return run
