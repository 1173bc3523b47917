"""Counts held-out images that nearly equal a training image."""

import itertools
import time

import cv2
import numpy as np

from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.sources import Source

_SIDE = 16  # side of the small gray images that are compared, in pixels
_ALIKE = 0.99  # correlation from which two of them count as near-copies
_FLAT = 4.0  # gray levels; images with a smaller deviation are not compared
_MOST = (4096, 1024)  # at most so many training and held-out images
_WORTH = 0.01  # fraction that is reported; fewer near-copies occur by chance
_SECONDS = 3.0  # longest time for reading images


def line(train: Source, test: Source) -> str:
  """Returns a warning about near-copies in held-out images; "" if few."""
  copies, test_count, train_count = near_copies(train, test)
  if copies < _WORTH * test_count or not copies:
    return ""
  return (
    f"Of {test_count:,} held-out images {copies:,} are near-copies of one of "
    f"{train_count:,} training images: held-out numbers will be too good. Keep "
    "frames of one video on one side: config.data.group."
  )


def near_copies(train: Source, test: Source) -> tuple[int, int, int]:
  """Compares evenly spaced images of both splits, as many as time allows.

  Returns:
    The number of held-out images with a near-copy in training, the number of
    held-out images compared, and the number of training images compared.
  """
  half = _SECONDS / 2
  train_images = _small(train, _MOST[0], half)
  test_images = _small(test, _MOST[1], half)
  if not len(train_images) or not len(test_images):
    return 0, len(test_images), len(train_images)
  # Rows have mean 0 and norm 1, so products are correlations.
  is_copy = (test_images @ train_images.T).max(axis=1) >= _ALIKE
  return int(is_copy.sum()), len(test_images), len(train_images)


def _small(source: Source, most: int, seconds: float) -> np.ndarray:
  """Reads gray images, scaled to mean 0 and norm 1: float32 `[n, s * s]`."""
  end, rows = time.monotonic() + seconds, []
  for row in _spread(len(source), most):
    if time.monotonic() > end:
      break
    try:
      image = source[row]["image"]
    except BrokenRecord:  # the pipeline reports it
      continue
    size = (_SIDE, _SIDE)
    small = cv2.resize(image[..., :3], size, interpolation=cv2.INTER_AREA)
    gray = small.reshape(_SIDE**2, -1).mean(axis=1)
    gray -= gray.mean()
    if gray.std() >= _FLAT:
      rows.append((gray / np.linalg.norm(gray)).astype(np.float32))
  return np.stack(rows) if rows else np.empty((0, _SIDE**2), np.float32)


def _spread(length: int, most: int):
  """Yields up to `most` rows; every prefix of them is about evenly spaced."""
  rows = np.linspace(0, length - 1, min(length, most)).astype(int)
  steps = [1 << k for k in range(len(rows).bit_length(), -1, -1)]
  done = set()
  for row in itertools.chain.from_iterable(rows[::step] for step in steps):
    if row not in done:
      done.add(row)
      yield int(row)
