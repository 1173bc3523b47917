"""Streams features of augmented training images, without storing them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from infomin_jax import data
from infomin_jax.data.sources import Source
from infomin_jax.errors import UserError
from infomin_jax.eval.embed import read_taps
from infomin_jax.eval.probes.protocol import Augmented
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.mesh import local_rows, shard
from infomin_jax.views import make_views


def augmented_features(
  experiment: Experiment, variables: dict, source: Source, tap: str
) -> Callable[[Mapping[str, Any], int], Iterator[Augmented]]:
  """Returns `Case.augmented` for one tap of a frozen encoder.

  Images come from the input pipeline of training, in batches of
  `config.evaluate.batch_size`. A batch is a function of the seed and the
  batch's number, for any number of devices.

  Args:
    experiment: encoder, seed, devices, and how images are read.
    variables: the encoder's parameters and statistics.
    source: the training images.
    tap: name of the features.
  """
  config, mesh = experiment.config, experiment.mesh
  size = config.evaluate.batch_size

  def stream(views, epochs):
    augment = augmentation(config, source, views)

    @jax.jit
    def features(variables, batch, step):
      key = jax.random.fold_in(jax.random.key(config.seed), step)
      (images,) = augment(key, batch)
      return read_taps(experiment.learner, variables, images, (tap,))[tap]

    with data.stream(
      source,
      seed=config.seed,
      batch_size=size,
      host=_host(config, views),
      workers=config.data.workers,
      threads=config.data.threads,
      rows=local_rows(mesh, size),
      broken=config.data.broken,
    ) as batches:
      for step in range(epochs * len(source) // size):
        batch = shard(mesh, next(batches))
        labels = {name: batch[task.field] for name, task in tasks.items()}
        image = {name: batch[name] for name in ("image", "index")}
        x = features(variables, image, step)
        yield Augmented(step * size // len(source), x, labels)

  tasks = source.tasks
  return stream


def augmentation(config, source: Source, views: Mapping[str, Any]) -> Callable:
  """Returns `(key, batch) -> (images [b, s, s, c],)`, after checks.

  Args:
    config: gives the size, and whether the host cuts the crops.
    source: the training images.
    views: options of `make_views` other than size and number.

  Raises:
    UserError: the images cannot be augmented this way, or do not fill a batch.
  """
  batch = config.evaluate.batch_size
  if batch > len(source):
    raise UserError(
      f"config.evaluate.batch_size is {batch}, but there are {len(source)} "
      "images to train a probe on: make it smaller."
    )
  options = {"size": config.views.size, "count": 1, **views}
  return make_views(options, source.image_shape, config.data.host_crops)


def _host(config, views) -> Callable | None:
  """Returns the host's function of a record, which cuts the crop, or None."""
  if not config.data.host_crops:
    return None
  return data.host_views(1, config.views.size, views["crop_scale"])
