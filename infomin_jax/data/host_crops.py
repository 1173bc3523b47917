"""Crops of photographs on the host.

Images of a batch must have one size, and photographs vary in size. All other
random changes are part of the views, which are computed on the device.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

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
  pieces: tuple[int, tuple[float, float]] | None = None,
) -> Host:
  """Makes a `host` that cuts random crops: image `[count, size, size, c]`.

  Args:
    count: number of crops of each image.
    size: side of the crops in pixels.
    scale: lowest and highest fraction of the image's area.
    ratio: lowest and highest width / height.
    pieces: side in pixels, and lowest and highest fraction of the area, of one
      more crop for the field `jigsaw`; None for no such crop.

  Returns:
    `(record, rng) -> record`, without the field `mask`.

  Raises:
    UserError: an argument is out of range.
  """
  if count < 1 or size < 1:
    raise UserError(f"Expected count, size >= 1, got {count} and {size}.")
  for name, (low, high) in (("scale", scale), ("ratio", ratio)):
    if not 0 < low <= high or (name == "scale" and high > 1):
      raise UserError(f"{name}: expected 0 < low <= high, got {low}, {high}.")
  return functools.partial(
    _views, count=count, size=size, scale=scale, ratio=ratio, pieces=pieces
  )


def host_square(side: int) -> Host:
  """Makes a `host` that cuts one random square: image `[1, side, side, c]`."""
  if side < 1:
    raise UserError(f"Expected a side of 1 or more, got {side}.")
  return functools.partial(_square, side=side)


def _square(record, rng, side):
  image = record["image"]
  height, width = image.shape[:2]
  if min(height, width) < side:
    raise UserError(
      f"Record {record['index']} has {height} x {width} pixels: expected "
      f"{side} x {side} or more, config.views.size + distance."
    )
  top = int(rng.integers(height - side + 1))
  left = int(rng.integers(width - side + 1))
  square = image[top : top + side, left : left + side]
  return record | {"image": np.ascontiguousarray(square)[None]}


def crops_for(views: Mapping[str, Any]) -> Host:
  """Makes the `host` that cuts the crops that `config.views` needs."""
  if "distance" in views:
    return host_square(views["size"] + views["distance"])
  pieces = None
  if "jigsaw" in views:
    pieces = views["jigsaw"]["size"], tuple(views["jigsaw"]["scale"])
  return host_views(
    views["count"], views["size"], tuple(views["crop_scale"]), pieces=pieces
  )


def _views(record, rng, count, size, scale, ratio, pieces):
  image = record["image"]
  crops = [
    decode.random_resized_crop(image, rng, size, scale, ratio)
    for _ in range(count)
  ]
  rest = {name: x for name, x in record.items() if name != "mask"}
  record = rest | {"image": np.stack(crops)}
  if pieces is None:
    return record
  side, share = pieces
  larger = decode.random_resized_crop(image, rng, side, share, ratio)
  return record | {"jigsaw": larger}


def host_center(resize: int, size: int) -> Host:
  """Makes a `host` for evaluation: resizes, then cuts the center.

  Args:
    resize: shorter side in pixels after the resize.
    size: side of the center in pixels, at most `resize`.

  Returns:
    `(record, rng) -> record` with image `[size, size, c]`. A field `mask` is
    cut in the same way, by nearest neighbor.
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
