"""What may be done to a record on the host: the croppings of large photos.

A batch needs images of one size, and photos have many. All else that is random
belongs to the views, on the device.
"""

import functools
from collections.abc import Callable

import numpy as np

from infomin_jax.data import decode
from infomin_jax.data.masks import nearest_crop
from infomin_jax.errors import UserError

Host = Callable[[dict, np.random.Generator], dict]


def host_views(
  count: int,
  size: int,
  scale: tuple[float, float] = (0.08, 1.0),
  ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Host:
  """A `host` that cuts random crops: image `[count, size, size, c]`.

  For photos of varying size; the record is decoded once for all its crops. A
  `mask` is left out: nothing that sees random crops has a use for it.
  """
  if count < 1 or size < 1:
    raise UserError(f"Expected count, size >= 1, got {count} and {size}.")
  for name, (low, high) in (("scale", scale), ("ratio", ratio)):
    if not 0 < low <= high or (name == "scale" and high > 1):
      raise UserError(f"{name}: expected 0 < low <= high, got {low}, {high}.")
  return functools.partial(
    _views, count=count, size=size, scale=scale, ratio=ratio
  )


def _views(record, rng, count, size, scale, ratio):
  image = record["image"]
  crops = [
    decode.random_resized_crop(image, rng, size, scale, ratio)
    for _ in range(count)
  ]
  rest = {name: x for name, x in record.items() if name != "mask"}
  return rest | {"image": np.stack(crops)}


def host_center(resize: int, size: int) -> Host:
  """A `host` for evaluation: shorter side to `resize`, centre `size`.

  A `mask` is cut alike.
  """
  if not 0 < size <= resize:
    raise UserError(f"Expected 0 < size <= resize, got {size} and {resize}.")
  return functools.partial(_center, resize=resize, size=size)


def _center(record, rng, resize, size):
  del rng
  cut = {"image": decode.resize_crop(record["image"], resize, size)}
  if "mask" in record:
    cut["mask"] = nearest_crop(record["mask"], resize, size)
  return record | cut
