"""Digits that move on a fixed background, with known factors.

A record has the last, still frame, and the factors that it was drawn from:
handwriting, background and position. `views.moving_frames` draws the frames
before it. The set of the paper has MNIST's digits on crops of STL-10. A second
set needs no downloads: scikit-learn's digits on windows of eight photographs.
"""

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image

from infomin_jax.data import tfds_sources
from infomin_jax.data.colorful_digits import (
  DIGIT,
  PHOTO,
  PHOTOS,
  SIZE,
  SPLITS,
  load_digit_images,
  load_photos,
)
from infomin_jax.data.sources import Task, checked_index
from infomin_jax.errors import lookup

_PUBLISHED = 64  # side of the paper's images in pixels
_BILINEAR = Image.Resampling.BILINEAR


class MovingDigits:
  """The records of one split; a record depends only on the seed and its index.

  A record has `image` `[s, s, 3]`, `label` (the digit, 0 to 9), `background`
  (its class) and `index`. The factors that it was drawn from are `digit`
  `[d, d]` uint8 (the handwriting), `ground` `[s, s, 3]` uint8 (the background)
  and `place` `[2]` (row and column of the digit's corner).

  Args:
    name: name of the set.
    size: side of the images in pixels.
    count: number of records.
    classes: number of classes of backgrounds.
    digit: `index -> (handwriting [d, d] uint8, digit)`.
    ground: `rng -> (background [s, s, 3] uint8, class)`.
    light: factor that darkens backgrounds, so that digits are visible.
    seed: seed of positions and backgrounds.
  """

  def __init__(
    self,
    name: str,
    size: int,
    count: int,
    classes: int,
    digit: Callable,
    ground: Callable,
    light: float,
    seed: int,
  ):
    self.name, self.image_shape = name, (size, size, 3)
    self.tasks = {
      "digit": Task("label", 10),
      "background": Task("background", classes),
    }
    self._count, self._digit, self._ground = count, digit, ground
    self._light, self._seed = light, seed

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int, /) -> dict:
    index = checked_index(index, self)
    rng = np.random.default_rng([self._seed, index])
    digit, label = self._digit(index)
    ground, background = self._ground(rng)
    ground = (self._light * ground).astype(np.uint8)
    place = rng.integers(0, len(ground) - len(digit) + 1, 2).astype(np.int32)
    return {
      "image": np.round(draw(ground, digit, place)).astype(np.uint8),
      "label": np.int32(label),
      "background": np.int32(background),
      "index": np.int32(index),
      "digit": digit,
      "ground": ground,
      "place": place,
    }


def draw(ground, digit, place):
  """Draws a white digit on a background: float `[s, s, 3]` in [0, 255].

  All arguments are NumPy arrays, or all are JAX arrays.

  Args:
    ground: the background, `[s, s, 3]` in [0, 255].
    digit: ink of the handwriting, `[d, d]` uint8.
    place: row and column of the digit's corner, int `[2]`.
  """
  # Gathers instead of slices, so that `place` may be traced.
  side = len(digit)
  rows, columns = (np.arange(len(ground)) - place[axis] for axis in (0, 1))
  inside = [(x >= 0) & (x < side) for x in (rows, columns)]
  ink = digit[rows.clip(0, side - 1)[:, None], columns.clip(0, side - 1)[None]]
  ink = ink * (inside[0][:, None] & inside[1][None]) / 255  # [s, s]
  return ground * (1 - ink[..., None]) + 255 * ink[..., None]


def bounce(place, velocity, time, room):
  """Returns the position of a point that moves in a line and bounces off walls.

  Args:
    place: position at time 0, in [0, room].
    velocity: change of the position per frame.
    time: time in frames; may be negative.
    room: distance between the walls.
  """
  return room - abs((place + velocity * time) % (2 * room) - room)


def on_photographs(split: str, light: float = 1.0) -> MovingDigits:
  """Makes the set with scikit-learn's digits on windows of photographs.

  Digits have 16 x 16 pixels, images 32 x 32.
  """
  digits, copies, seed, columns = lookup(
    "split of moving_digits", split, SPLITS
  )
  images, labels = large_digits()
  images, labels, photos = images[digits], labels[digits], load_photos()
  highest = (len(PHOTOS), PHOTO[0] - SIZE + 1, columns[1] - SIZE + 1)

  def digit(index):
    return images[index // copies], labels[index // copies]

  def ground(rng):
    photo, top, left = rng.integers((0, 0, columns[0]), highest)
    return photos[photo, top : top + SIZE, left : left + SIZE], photo

  count = copies * len(labels)
  return MovingDigits(
    "moving_digits", SIZE, count, len(PHOTOS), digit, ground, light, seed
  )


def on_stl10(split: str, data_dir: str = "", light: float = 1.0):
  """Makes the paper's set: MNIST's digits on crops of STL-10.

  Digits have 28 x 28 pixels, images 64 x 64.
  """
  digits = tfds_sources.load("mnist", split, data_dir)
  whole = split.partition("[")[0]
  backgrounds = tfds_sources.load("stl10", whole, data_dir)

  def digit(index):
    record = digits[index]
    return record["image"][..., 0], record["label"]

  def ground(rng):
    record = backgrounds[int(rng.integers(len(backgrounds)))]
    spare = len(record["image"]) - _PUBLISHED
    top, left = rng.integers(0, spare + 1, 2)
    crop = record["image"][top : top + _PUBLISHED, left : left + _PUBLISHED]
    return crop, record["label"]

  seed = 1 if whole == "train" else 2
  return MovingDigits(
    *("moving_mnist", _PUBLISHED, len(digits), 10),
    *(digit, ground, light, seed),
  )


@functools.cache
def large_digits() -> tuple[np.ndarray, np.ndarray]:
  """Returns scikit-learn's digits as uint8 `[1797, 16, 16]`, and labels."""
  images, labels = load_digit_images()
  large = [Image.fromarray(x).resize((DIGIT, DIGIT), _BILINEAR) for x in images]
  return np.stack([np.asarray(x) for x in large]), labels
