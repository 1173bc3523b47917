"""Builds the cases of an encoder: one per tap, shared by all protocols."""

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
  """Embeds the training and the test set once; yields `(tap, case)` per tap.

  Args:
    experiment: encoder, data and settings.
    features: `pixels`, `untrained` or `learned`.
    variables: the encoder's parameters and statistics.
    taps: names of the taps.
    sources: `(source, limit)` of the training and the test set.
    extras: further fields of each set's `Part`, such as images.
    folder: folder for pictures.
    reads_train: whether any protocol reads `Case.train`.
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
          name: labels_of(y, task.field, len(x[tap]))
          for name, task in source.tasks.items()
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
    yield (
      tap,
      Case(
        train,
        test,
        {name: task.classes for name, task in source.tasks.items()},
        config.seed,
        name="pixels" if features == "pixels" else f"{features}, tap {tap}",
        folder=folder,
        class_names={name: task.names for name, task in source.tasks.items()},
        **own,
      ),
    )


def labels_of(fields, field: str, count: int) -> np.ndarray:
  """Returns the labels of records, `[count]`; -1 (unknown) if they lack any."""
  return fields.get(field, np.full(count, -1))


def tap_shapes(
  experiment: Experiment, variables: dict
) -> dict[str, tuple[int, ...]]:
  """Returns the shape of each tap of one image; only shapes are traced."""
  size, shape = experiment.config.views.size, experiment.source.image_shape
  channels = 3 if shape is None else shape[-1]
  images = jax.ShapeDtypeStruct((1, size, size, channels), np.float32)
  read = functools.partial(all_taps, experiment.learner)
  outputs = jax.eval_shape(read, variables, images)
  return {tap: x.shape[1:] for tap, x in outputs.items()}


def _embedded(experiment, variables, taps, sources, reads_train) -> list[tuple]:
  """Embeds the training and the test set; no rows of an unread training set."""
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
  test_rows = test()
  return [train() if reads_train else jax.tree.map(_none, test_rows), test_rows]


def _none(x: np.ndarray) -> np.ndarray:
  return x[:0]


def _sample(experiment: Experiment) -> Callable | None:
  """Returns the sampling function of a run's image generator, or None."""
  learner, shape = experiment.learner, experiment.source.image_shape
  if not learner.makes_images:
    return None
  image = (experiment.config.views.size, 3 if shape is None else shape[-1])

  def sample(variables, key, count):
    return learner.apply(variables, key, count, image, method="sample")

  return sample
