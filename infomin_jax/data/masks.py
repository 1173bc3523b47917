"""Masks: the class of each pixel of an image, uint8 `[h, w]`."""

import numpy as np

from infomin_jax.data.decode import center_window
from infomin_jax.data.sources import FileSource, decoded
from infomin_jax.errors import UserError


def decoded_mask(
  data: bytes, shape: tuple[int, ...], index: int, source: FileSource
) -> np.ndarray:
  """The mask of an image, its numbers as stored.

  Args:
    data: the encoded mask.
    shape: of the image, `(h, w, c)`.
    index: of the record.
    source: for messages.

  Raises:
    UserError: another size, or colors instead of classes.
  """
  mask = decoded(data, 0, index, source)  # a conversion would change classes
  if mask.shape != (*shape[:2], 1):
    raise UserError(
      f"Record {index} of {source.name} ({source.where(index)}): expected a "
      f"config.data.mask of one channel and the image's size, "
      f"{list(shape[:2])}; got {list(mask.shape)}."
    )
  return mask[..., 0]


def nearest_crop(mask: np.ndarray, resize_to: int, size: int) -> np.ndarray:
  """`decode.resize_crop` of a mask, each class the nearest: `[size, size]`."""
  h, w = mask.shape[:2]
  height, width, top, left = center_window(h, w, resize_to, size)
  places = np.arange(size) + 0.5
  rows, columns = (top + places) * h / height, (left + places) * w / width
  return mask[rows.astype(int)[:, None], columns.astype(int)]
