"""Colorful digits: handwritten digits on photographs, with known factors.

An 8 x 8 digit from scikit-learn is drawn 16 pixels wide in a random color. It
is at a random position on a random 32 x 32 crop of one of eight photographs,
which are part of scikit-learn and scikit-image. Digit, position and background
are labels, so probes can measure which of them an encoder represents.

Train and test share neither a digit image nor a region of a photograph. All
random numbers have fixed seeds, so the set is the same on every machine.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from infomin_jax.data.sources import Task
from infomin_jax.errors import lookup

SIZE = 32  # pixels of an image's side
DIGIT = 16  # pixels of a drawn digit's side
CELLS = 3  # the position label is the digit's cell in a 3 x 3 grid
PHOTOS = (
  "china.jpg",
  "flower.jpg",
  "astronaut.png",
  "chelsea.png",
  "coffee.png",
  "ihc.png",
  "motorcycle_left.png",
  "retina.jpg",
)
PHOTO = (192, 256)  # height and width to which photographs are scaled
TEST_FROM = 176  # first column of the test region
SPLITS = {
  # digits of load_digits(), copies of each, seed, columns of the photographs
  "train": (slice(0, 1400), 8, 1, (0, TEST_FROM)),
  "test": (slice(1400, 1797), 4, 2, (TEST_FROM, PHOTO[1])),
}


class ColorfulDigits:
  """The records of one split, drawn in memory in one or two seconds.

  A record has the labels `label` (the digit, 0 to 9), `position` (the cell, 0
  to 8) and `background` (the photograph, 0 to 7). It also has `image`, `index`
  and `mask [32, 32]` uint8, which is 1 + the digit where ink covers more than
  half of a pixel, else 0. The factors that it was drawn from are `digit [8, 8]`
  uint8 (the handwriting), `place [2]` (row and column of the digit's corner)
  and `crop [3]` (photograph, top, left).
  """

  name = "colorful_digits"
  image_shape = (SIZE, SIZE, 3)

  def __init__(self, split: str):
    lookup("split of colorful_digits", split, SPLITS)
    self.tasks = {
      "digit": Task("label", 10),
      "position": Task("position", CELLS**2),
      "background": Task("background", len(PHOTOS)),
    }
    self.digits = SPLITS[split][0]  # of load_digit_images()
    self._fields = _draw_split(split)

  def __len__(self) -> int:
    return len(self._fields["label"])

  def __getitem__(self, index: int, /) -> dict:
    return {name: field[index] for name, field in self._fields.items()}


@functools.cache
def _draw_split(split: str) -> dict[str, np.ndarray]:
  """Returns the fields of a split's records, `[n, ...]` each."""
  digits, copies, seed, columns = SPLITS[split]
  images, labels = load_digit_images()
  images = np.repeat(images[digits], copies, axis=0)
  rng = np.random.default_rng(seed)
  n = len(images)
  place = rng.integers(0, SIZE - DIGIT + 1, (n, 2))
  crop = np.stack(
    [
      rng.integers(0, len(PHOTOS), n),
      rng.integers(0, PHOTO[0] - SIZE + 1, n),
      rng.integers(columns[0], columns[1] - SIZE + 1, n),
    ],
    axis=1,
  )
  color = rng.uniform(0.5, 1, (n, 3)).astype(np.float32)
  # In one compiled program a division would differ in its last digit, which
  # could change the set's pixels.
  cut, draw = jax.vmap(crop_photo, (None, 0)), jax.jit(jax.vmap(_drawn))
  chunks = []
  for rows in np.split(np.arange(n), copies):  # all at once would take 700 MB
    backgrounds = cut(load_photos(), crop[rows])
    image, ink = draw(backgrounds, images[rows], place[rows], color[rows])
    pixels = np.asarray(jnp.round(image * 255), np.uint8)
    chunks.append((pixels, np.asarray(ink) > 0.5))
  pixels, inked = map(np.concatenate, zip(*chunks, strict=True))
  cell = place * CELLS // (SIZE - DIGIT + 1)
  label = np.repeat(labels[digits], copies).astype(np.int32)
  fields = {
    "image": pixels,
    "label": label,
    "index": np.arange(n, dtype=np.int32),
    "position": (cell[:, 0] * CELLS + cell[:, 1]).astype(np.int32),
    "background": crop[:, 0].astype(np.int32),
    "digit": images,
    "place": place.astype(np.int32),
    "crop": crop.astype(np.int32),
    "mask": (inked * (1 + label)[:, None, None]).astype(np.uint8),
  }
  for field in fields.values():
    field.setflags(write=False)  # all sources of the split share them
  return fields


def _drawn(background, digit, place, color) -> tuple[jax.Array, jax.Array]:
  """Draws an image of the set; returns it and its ink, `[32, 32]`."""
  affine = jnp.eye(2, 3)
  image = compose(background, digit, place, affine, color)
  return image, draw_ink(digit, place, affine)


def compose(background, digit, place, affine, color) -> jax.Array:
  """Draws a digit on a background: float32 `[32, 32, 3]` in [0, 1].

  Args:
    background: float `[32, 32, 3]` in [0, 1].
    digit: the handwriting, uint8 `[8, 8]`.
    place: row and column of the drawn digit's upper left corner, int `[2]`.
    affine: `[2, 3]`, maps points of the drawn digit to points of the
      handwriting, both in [-1, 1]; `eye(2, 3)` leaves it unchanged.
    color: `[3]` in [0, 1].
  """
  ink = draw_ink(digit, place, affine)[..., None]
  return background * (1 - ink) + ink * color[None, None]


def draw_ink(digit, place, affine) -> jax.Array:
  """Returns the fraction of each pixel covered by ink, `[32, 32]`."""
  centers = (jnp.arange(DIGIT) + 0.5) * (2 / DIGIT) - 1
  grid = jnp.stack(jnp.meshgrid(centers, centers, indexing="ij"))
  source = jnp.einsum("ij,jhw->ihw", affine[:, :2], grid)
  source = source + affine[:, 2, None, None]
  ink = jax.scipy.ndimage.map_coordinates(
    digit.astype(jnp.float32) / 255,
    list((source + 1) * (digit.shape[0] / 2) - 0.5),
    order=1,
    cval=0.0,
  )
  return jax.lax.dynamic_update_slice(jnp.zeros((SIZE, SIZE)), ink, place)


def crop_photo(photos, crop) -> jax.Array:
  """Cuts a background from a photograph: float32 `[32, 32, 3]` in [0, 1].

  Args:
    photos: uint8 `[p, h, w, 3]`.
    crop: photograph, top and left, int `[3]`.
  """
  start = (crop[0], crop[1], crop[2], 0)
  window = jax.lax.dynamic_slice(photos, start, (1, SIZE, SIZE, 3))[0]
  return window.astype(jnp.float32) / 255


@functools.cache
def load_digit_images() -> tuple[np.ndarray, np.ndarray]:
  """Loads scikit-learn's digits: uint8 `[1797, 8, 8]` and labels `[1797]`.

  They are in a fixed random order, because the file is sorted by writer.
  """
  from sklearn.datasets import load_digits

  images, labels = load_digits(return_X_y=True)
  order = np.random.default_rng(0).permutation(len(labels))
  images = (images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
  return images[order], labels[order]


@functools.cache
def load_photos(scale: int = 1) -> np.ndarray:
  """Loads the photographs, uint8 `[p, 192 scale, 256 scale, 3]`."""
  import skimage
  import sklearn

  folders = (
    pathlib.Path(sklearn.__file__).parent / "datasets" / "images",
    pathlib.Path(skimage.__file__).parent / "data",
  )
  photos = []
  for name in PHOTOS:
    path = next(f / name for f in folders if (f / name).exists())
    with Image.open(path) as image:
      height, width = (scale * side for side in PHOTO)
      size, lanczos = (width, height), Image.Resampling.LANCZOS
      photos.append(np.asarray(image.convert("RGB").resize(size, lanczos)))
  return np.stack(photos)
