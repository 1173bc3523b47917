"""Counts held-out images that are nearly in training: frames, crops, copies."""

import itertools
import time

import cv2
import numpy as np

from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.sources import Source

_SIDE = 16  # pixels of the small gray images that are compared
_ALIKE = 0.99  # correlation of two of them from which they are near-copies
_FLAT = 4.0  # gray levels; images that vary less are all alike
_MOST = (4096, 1024)  # training and held-out images that are compared
_WORTH = 0.01  # share of near-copies from which it is said; chance makes some
_SECONDS = 3.0  # the longest that is spent on reading them


def line(train: Source, test: Source) -> str:
  """Says how many held-out images are nearly in training; "" if few are."""
  alike, theirs, ours = near_copies(train, test)
  if alike < _WORTH * theirs or not alike:
    return ""
  return (
    f"Of {theirs:,} held-out images {alike:,} are near-copies of one of "
    f"{ours:,} training images: held-out numbers will be too good. Keep frames "
    "of one video on one side: config.data.group."
  )


def near_copies(train: Source, test: Source) -> tuple[int, int, int]:
  """Compares images of both sides, spread evenly, as many as time allows.

  Returns:
    How many of the held-out images look like one of training, how many
    held-out images, and how many of training were compared.
  """
  half = _SECONDS / 2
  ours = _small(train, _MOST[0], half)
  theirs = _small(test, _MOST[1], half)
  if not len(ours) or not len(theirs):
    return 0, len(theirs), len(ours)
  alike = (theirs @ ours.T).max(axis=1) >= _ALIKE
  return int(alike.sum()), len(theirs), len(ours)


def _small(source: Source, most: int, seconds: float) -> np.ndarray:
  """Gray images of mean 0 and length 1, float32 `[n, s * s]`."""
  end, rows = time.monotonic() + seconds, []
  for row in _spread(len(source), most):
    if time.monotonic() > end:
      break
    try:
      image = source[row]["image"]
    except BrokenRecord:  # reading it in turn says so
      continue
    size = (_SIDE, _SIDE)
    small = cv2.resize(image[..., :3], size, interpolation=cv2.INTER_AREA)
    gray = small.reshape(_SIDE**2, -1).mean(axis=1)
    gray -= gray.mean()
    if gray.std() >= _FLAT:
      rows.append((gray / np.linalg.norm(gray)).astype(np.float32))
  return np.stack(rows) if rows else np.empty((0, _SIDE**2), np.float32)


def _spread(length: int, most: int):
  """Up to `most` rows; any first part of them is spread over all."""
  rows = np.linspace(0, length - 1, min(length, most)).astype(int)
  steps = [1 << k for k in range(len(rows).bit_length(), -1, -1)]
  seen = set()
  for row in itertools.chain.from_iterable(rows[::step] for step in steps):
    if row not in seen:
      seen.add(row)
      yield int(row)
