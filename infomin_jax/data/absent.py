"""A set that is not here: what its records are like, and nothing in them."""

import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data.sources import checked_index
from infomin_jax.data.tfds_sources import BUILDERS, image_field, task_fields

# Of images whose sizes vary: what is usual in ImageNet.
_SIDES = (375, 500)
_LENGTH = 2**24


class Absent:
  """Black images in the form of a registered TFDS set, 2^24 of them.

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
