"""What a run's encoder makes of some held-out images, to be shown."""

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
  """Images and what became of them.

  Attributes:
    step: of the run.
    tap: whose features these are.
    images: uint8 `[n, s, s, c]`, as the encoder saw them.
    features: `[n, d]`.
    labels: `[n]` of each task.
    originals: of the views, `[m, h, w, c]`.
    views: in [0, 1], `[m, h, w, c]` each; those that are no plain images are
      left out.
    alike: cosines of two views of an image, `[k]`.
    apart: cosines of views of two images, `[k]`.
  """

  step: int
  tap: str
  images: np.ndarray
  features: np.ndarray
  labels: dict[str, np.ndarray]
  originals: np.ndarray
  views: list[np.ndarray]
  alike: np.ndarray
  apart: np.ndarray


def look(workdir: str | pathlib.Path, count: int) -> Look:
  """Reads the newest checkpoint, and `count` of the run's test images.

  Raises:
    UserError: no run, no checkpoint, or its data are not here.
  """
  config = read_config(workdir)
  experiment = make_experiment(config, jax.devices()[:1])
  state = newest(workdir, experiment.init())
  variables = encoder_variables(state, config.evaluate.weights)
  test = data.load(config.data, config.data.test_split)
  tap = config.evaluate.taps[0]
  place = dict(config=config, mesh=experiment.mesh, limit=count)
  features, fields = embed(experiment.learner, variables, test, (tap,), **place)
  originals, views, alike, apart = _views(experiment, variables, test, tap)
  return Look(
    int(state.step),
    tap,
    small_images(test, config, count),
    features[tap],
    {task: fields[field] for task, (field, _) in test.tasks.items()},
    originals,
    views,
    alike,
    apart,
  )


def _views(experiment: Experiment, variables, test, tap: str):
  """Views of some test images, and cosines between their features."""
  config, found = experiment.config, []

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
    found.append((batch["image"], plain, x, y))
  originals, views = found[0][0][:SHOWN], [v[:SHOWN] for v in found[0][1]]
  x, y = (np.concatenate([row[i] for row in found]) for i in (2, 3))
  others = np.roll(y, 1, axis=0)
  return originals, views, np.sum(x * y, axis=1), np.sum(x * others, axis=1)
