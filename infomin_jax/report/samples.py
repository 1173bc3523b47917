"""Held-out images with their features and views, for a run's page."""

import pathlib
from typing import NamedTuple

import jax
import numpy as np

from infomin_jax import data
from infomin_jax.critics import unit
from infomin_jax.eval.embed import (
  embed,
  encoder_variables,
  held_out_batches,
  read_taps,
  small_images,
)
from infomin_jax.runs.workdir import read_config
from infomin_jax.train.checkpoint import newest
from infomin_jax.train.experiment import Experiment, make_experiment

SHOWN = 8  # images of the sheet of views
COMPARED = 512  # images whose views are compared


class Look(NamedTuple):
  """Held-out images, their features and their views.

  Attributes:
    step: the training step of the encoder.
    tap: name of the features.
    images: uint8 `[n, s, s, c]`, cut as the encoder gets them.
    features: `[n, d]`.
    untrained: features of the encoder before training, `[n, d]`.
    labels: `[n]` of each task.
    class_names: of each task; empty if its classes have no names.
    originals: the images that views were made of, `[m, h, w, c]`.
    views: in [0, 1], `[m, h, w, c]` each; without views that are not images.
    alike: cosines between features of two views of one image, `[k]`.
    apart: cosines between features of views of two images, `[k]`.
  """

  step: int
  tap: str
  images: np.ndarray
  features: np.ndarray
  untrained: np.ndarray
  labels: dict[str, np.ndarray]
  class_names: dict[str, tuple[str, ...]]
  originals: np.ndarray
  views: list[np.ndarray]
  alike: np.ndarray
  apart: np.ndarray


def look(workdir: str | pathlib.Path, count: int) -> Look:
  """Encodes `count` of a run's test images with its newest checkpoint.

  Raises:
    UserError: the folder holds no run or no checkpoint, or its data are
      missing.
  """
  config = read_config(workdir)
  experiment = make_experiment(config, jax.devices()[:1])
  start = experiment.init()
  before = encoder_variables(start, "online")
  state = newest(workdir, start)
  variables = encoder_variables(state, config.evaluate.weights)
  test = data.load(config.data, config.data.test_split)
  tap = config.evaluate.taps[0]
  place = dict(config=config, mesh=experiment.mesh, limit=count)
  features, fields = embed(experiment.learner, variables, test, (tap,), **place)
  untrained, _ = embed(experiment.learner, before, test, (tap,), **place)
  originals, views, alike, apart = _views(experiment, variables, test, tap)
  return Look(
    int(state.step),
    tap,
    small_images(test, config, count),
    features[tap],
    untrained[tap],
    {name: fields[task.field] for name, task in test.tasks.items()},
    {name: task.names for name, task in test.tasks.items()},
    originals,
    views,
    alike,
    apart,
  )


def _views(experiment: Experiment, variables, test, tap: str):
  """Returns images, their views, and cosines between features of views."""
  config, batches = experiment.config, []

  @jax.jit
  def encoded(variables, batch, key):
    views = experiment.views(key, batch)
    plain = [view for view in views if view.ndim == 4]
    read = [
      read_taps(experiment.learner, variables, view, (tap,))[tap]
      for view in plain[:2]
    ]
    return plain, unit(read[0]), unit(read[-1])

  size = min(config.evaluate.batch_size, len(test))
  for i, batch in enumerate(
    held_out_batches(test, size, config, COMPARED, crops=True)
  ):
    key = jax.random.fold_in(jax.random.key(config.seed), i)
    plain, x, y = jax.device_get(encoded(variables, batch, key))
    batches.append((batch["image"], plain, x, y))
  originals, views = batches[0][0][:SHOWN], [v[:SHOWN] for v in batches[0][1]]
  x, y = (np.concatenate([row[i] for row in batches]) for i in (2, 3))
  others = np.roll(y, 1, axis=0)
  return originals, views, np.sum(x * y, axis=1), np.sum(x * others, axis=1)
