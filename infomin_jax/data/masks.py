"""Masks: the class of each pixel of an image, uint8 `[h, w]`."""

import numpy as np

from infomin_jax.data.decode import center_window
from infomin_jax.data.sources import FileSource, decoded
from infomin_jax.errors import UserError


def decoded_mask(
  data: bytes, shape: tuple[int, ...], index: int, source: FileSource
) -> np.ndarray:
  """Decodes the mask of an image, with values as stored: uint8 `[h, w]`.

  Args:
    data: the encoded mask.
    shape: shape of the image, `(h, w, c)`.
    index: index of the record, for messages.
    source: source of the record, for messages.

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
  """`decode.resize_crop` for masks, by nearest neighbor: `[size, size]`."""
  h, w = mask.shape[:2]
  height, width, top, left = center_window(h, w, resize_to, size)
  centers = np.arange(size) + 0.5
  rows, columns = (top + centers) * h / height, (left + centers) * w / width
  return mask[rows.astype(int)[:, None], columns.astype(int)]
