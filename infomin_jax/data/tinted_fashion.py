"""Fashion-MNIST in colors: a class that is told by shape, a tint that is not.

Each gray image becomes a garment of one color on a ground of another. As in
photographs, the channels of a color are alike: they share a brightness, from
which each differs a little. So an image has what a task may need (its shape)
and what it does not (its tint), and both are known.
"""

import colorsys
import functools

import numpy as np

from infomin_jax.data import fashion_mnist
from infomin_jax.data.sources import Task

TINTS = 8  # sectors of the circle of hues
_INK = 0.25  # from this share of ink on, a pixel is of the garment
_SPREAD = 0.2  # how far a channel may lie from the color's brightness


class TintedFashion:
  """The records of a split of Fashion-MNIST, colored by their index.

  Besides `image` `[28, 28, 3]`, `label` and `index` a record has `tint`, the
  sector of the ground's hue (0 to 7), and `mask`, uint8 `[28, 28]`: 0 for the
  ground, 1 + label for the garment.
  """

  name = "tinted_fashion_mnist"
  image_shape = (28, 28, 3)

  def __init__(self, split: str, data_dir: str = ""):
    self._gray = fashion_mnist.load(split, data_dir)
    self.tasks = {"label": Task("label", 10), "tint": Task("tint", TINTS)}

  def __len__(self) -> int:
    return len(self._gray)

  def __getitem__(self, index: int, /) -> dict:
    record = self._gray[index]
    gray = record["image"].astype(np.float32) / 255  # [28, 28, 1]
    ground, ink = colors()[record["index"]]
    image = ground * (1 - gray) + ink * gray
    hue, _, _ = colorsys.rgb_to_hsv(*ground)
    label = int(record["label"])
    return record | {
      "image": np.round(255 * image).astype(np.uint8),
      "tint": np.int32(int(hue * TINTS) % TINTS),
      "mask": np.where(gray[..., 0] > _INK, 1 + label, 0).astype(np.uint8),
    }


@functools.cache
def colors() -> np.ndarray:
  """Returns colors of ground and garment by index, `[60000, 2, 3]`."""
  rng = np.random.default_rng(0)
  light = rng.uniform([0.2, 0.55], [0.45, 0.8], (60_000, 2))[..., None]
  apart = rng.uniform(-_SPREAD, _SPREAD, (60_000, 2, 3))
  return (light + apart).astype(np.float32)
