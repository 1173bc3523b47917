"""A stand-in for a data set that is not prepared: its shapes, black images."""

import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data.sources import checked_index
from infomin_jax.data.tfds_sources import BUILDERS, image_field, task_fields

# For sets whose image sizes vary: a typical size of ImageNet.
_SIDES = (375, 500)
_LENGTH = 2**24


class Absent:
  """2^24 black images with the shapes and labels of a registered TFDS set.

  Attributes:
    name: a key of `tfds_sources.BUILDERS`.
    tasks: the labels that TFDS declares.
    image_shape: `(h, w, c)`, or None when sizes vary.
  """

  def __init__(self, name: str):
    features = tfds.builder(BUILDERS[name]).info.features
    self.name = name
    shape = features[image_field(features, name)].shape
    self.image_shape = None if None in shape else shape
    self._shape = self.image_shape or (*_SIDES, shape[2])
    self.tasks = {key: task for key, (_, task) in task_fields(features).items()}

  def __len__(self) -> int:
    return _LENGTH

  def __getitem__(self, index: int, /) -> dict:
    record = {"image": np.zeros(self._shape, np.uint8)}
    labels = {task.field: 0 for task in self.tasks.values()}
    return {**record, **labels, "index": checked_index(index, self)}
