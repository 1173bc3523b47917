"""Digits that move on a fixed background: what may two views of them share?

A record is the last, still frame and what it was drawn from: handwriting,
background and place. `views.moving_frames` makes the frames before it. The set
of the paper has MNIST's digits on crops of STL-10; another, for machines
without them, scikit-learn's digits on windows of eight photographs.
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

_PUBLISHED = 64  # pixels of the paper's side
_BILINEAR = Image.Resampling.BILINEAR


class MovingDigits:
  """The records of one split, drawn by their index.

  A record has `image` `[s, s, 3]`, `label` (the digit), `background` (its
  class), `index`, and what the image was drawn from: `digit` `[d, d]` uint8,
  `ground` `[s, s, 3]` uint8 and `place` `[2]`, row and column of the digit's
  corner.

  Args:
    name: of the set.
    size: pixels of a side of the images.
    count: number of records.
    classes: of backgrounds.
    digit: `index -> (handwriting [d, d] uint8, digit)`.
    ground: `rng -> (background [s, s, 3] uint8, class)`.
    light: what backgrounds are multiplied by, so that digits stand out.
    seed: of places and backgrounds.
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
  """A white digit on a background, float `[s, s, 3]` in [0, 255].

  Args:
    ground: `[s, s, 3]`, NumPy's or JAX's as the others.
    digit: how much ink, `[d, d]` uint8.
    place: row and column of its corner, int `[2]`.
  """
  side = len(digit)
  rows, columns = (np.arange(len(ground)) - place[axis] for axis in (0, 1))
  inside = [(x >= 0) & (x < side) for x in (rows, columns)]
  ink = digit[rows.clip(0, side - 1)[:, None], columns.clip(0, side - 1)[None]]
  ink = ink * (inside[0][:, None] & inside[1][None]) / 255  # [s, s]
  return ground * (1 - ink[..., None]) + 255 * ink[..., None]


def bounce(place, velocity, time, room):
  """Returns the position of a point that moves in a line and bounces off walls.

  Args:
    place: at time 0, in [0, room].
    velocity: a frame.
    time: in frames; before 0 too.
    room: length of the box.
  """
  return room - abs((place + velocity * time) % (2 * room) - room)


def on_photographs(split: str, light: float = 1.0) -> MovingDigits:
  """scikit-learn's digits, 16 pixels, on 32 x 32 windows of photographs."""
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
  """The paper's: MNIST's digits, 28 pixels, on 64 x 64 crops of STL-10."""
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
  """scikit-learn's digits at 16 pixels: uint8 `[1797, 16, 16]`, and labels."""
  images, labels = load_digit_images()
  large = [Image.fromarray(x).resize((DIGIT, DIGIT), _BILINEAR) for x in images]
  return np.stack([np.asarray(x) for x in large]), labels
