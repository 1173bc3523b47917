"""Fashion-MNIST in colors, with the labels shape and tint.

Each gray image becomes a garment of one color on a background of another color.
As in photographs, the channels of a color are similar: each differs a little
from a common brightness. The class depends on the shape but not on the tint, so
the set has information that a task needs and information that it does not. Both
have labels.
"""

import colorsys
import functools

import numpy as np

from infomin_jax.data import fashion_mnist
from infomin_jax.data.sources import Task

TINTS = 8  # sectors of the circle of hues
_INK = 0.25  # pixels with more ink than this belong to the garment
_SPREAD = 0.2  # largest difference between a channel and the brightness


class TintedFashion:
  """The records of a split of Fashion-MNIST; the index determines the colors.

  A record has `image` `[28, 28, 3]`, `label` and `index`. `tint` is the sector
  of the background's hue, 0 to 7. `mask`, uint8 `[28, 28]`, is 0 for the
  background and 1 + label for the garment.
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
  """Returns the colors of background and garment, `[60000, 2, 3]`."""
  rng = np.random.default_rng(0)
  light = rng.uniform([0.2, 0.55], [0.45, 0.8], (60_000, 2))[..., None]
  differences = rng.uniform(-_SPREAD, _SPREAD, (60_000, 2, 3))
  return (light + differences).astype(np.float32)
