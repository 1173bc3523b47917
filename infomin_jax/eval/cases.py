"""The cases of one encoder: its taps, read once for all protocols."""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from infomin_jax.eval.embed import all_taps, embed, make_tap, some_of
from infomin_jax.eval.probes.augmented import augmented_features
from infomin_jax.eval.probes.protocol import Case, Encoder, Part
from infomin_jax.train.experiment import Experiment


def cases(
  experiment: Experiment,
  features: str,
  variables: dict,
  taps: tuple[str, ...],
  sources,
  extras,
  folder: pathlib.Path = pathlib.Path(),
  reads_train: bool = True,
) -> Iterator[tuple[str, Case]]:
  """Embeds both sets once and yields `(tap, what protocols see of it)`.

  Args:
    experiment: encoder, data and settings.
    features: `pixels`, `untrained` or `learned`.
    variables: the encoder's parameters and statistics.
    taps: to read.
    sources: `(source, how many)` of training and test set.
    extras: what else their `Part`s have.
    folder: where pictures go.
    reads_train: whether a protocol reads `Case.train`.
  """
  config = experiment.config
  embedded = _embedded(experiment, variables, taps, sources, reads_train)
  source, limit = sources[0]
  shapes = tap_shapes(experiment, variables)
  for tap in taps:
    train, test = (
      Part(
        x[tap],
        {
          task: labels_of(y, field, len(x[tap]))
          for task, (field, _) in source.tasks.items()
        },
        shape=shapes[tap],
        **extra,
      )
      for (x, y), extra in zip(embedded, extras, strict=True)
    )
    own: dict[str, Any] = {}
    if tap != "pixels":
      own["encoder"] = Encoder(
        make_tap(experiment.learner, tap),
        variables,
        experiment.mesh,
        _sample(experiment),
      )
      own["augmented"] = augmented_features(
        experiment, variables, some_of(source, limit), tap
      )
    classes = {task: count for task, (_, count) in source.tasks.items()}
    name = "pixels" if features == "pixels" else f"{features}, tap {tap}"
    yield (
      tap,
      Case(train, test, classes, config.seed, name=name, folder=folder, **own),
    )


def labels_of(fields, field: str, count: int) -> np.ndarray:
  """Returns the labels `[count]` of records; -1, unknown, if they have none."""
  return fields.get(field, np.full(count, -1))


def tap_shapes(
  experiment: Experiment, variables: dict
) -> dict[str, tuple[int, ...]]:
  """The shape of every tap of one image, by name; nothing is computed."""
  size, shape = experiment.config.views.size, experiment.source.image_shape
  channels = 3 if shape is None else shape[-1]
  images = jax.ShapeDtypeStruct((1, size, size, channels), np.float32)
  read = functools.partial(all_taps, experiment.learner)
  found = jax.eval_shape(read, variables, images)
  return {tap: x.shape[1:] for tap, x in found.items()}


def _embedded(experiment, variables, taps, sources, reads_train) -> list[tuple]:
  """`embed` of training and test set; no rows of one that nobody reads."""
  train, test = (
    functools.partial(
      embed,
      experiment.learner,
      variables,
      source,
      taps,
      config=experiment.config,
      mesh=experiment.mesh,
      limit=limit,
    )
    for source, limit in sources
  )
  found = test()
  return [train() if reads_train else jax.tree.map(_none, found), found]


def _none(x: np.ndarray) -> np.ndarray:
  return x[:0]


def _sample(experiment: Experiment) -> Callable | None:
  """Returns how a run's generator makes images, if it has one."""
  learner, shape = experiment.learner, experiment.source.image_shape
  if not learner.makes_images:
    return None
  image = (experiment.config.views.size, 3 if shape is None else shape[-1])

  def sample(variables, key, count):
    return learner.apply(variables, key, count, image, method="sample")

  return sample
