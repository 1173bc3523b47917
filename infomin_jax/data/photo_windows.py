"""Windows of eight photographs, for views that are patches at a distance.

Patches that are close share texture and edges. Distant patches share little
more than the photograph, which is the label. Train and test windows are from
different columns of the photographs. All random numbers have fixed seeds.
"""

import numpy as np

from infomin_jax.data.colorful_digits import (
  PHOTO,
  PHOTOS,
  TEST_FROM,
  load_photos,
)
from infomin_jax.data.sources import Task
from infomin_jax.errors import lookup

SIZE = 128  # side of a window in pixels
_SCALE = 2  # side of the photographs relative to colorful digits
_SPLITS = {
  # windows, seed, columns of the photographs
  "train": (2000, 1, (0, _SCALE * TEST_FROM)),
  "test": (1000, 2, (_SCALE * TEST_FROM, _SCALE * PHOTO[1])),
}


class PhotoWindows:
  """Random windows of the photographs, cut in memory when they are read.

  A record has `image` `[128, 128, 3]`, `label` (the photograph) and `index`.
  """

  name = "photo_windows"
  image_shape = (SIZE, SIZE, 3)

  def __init__(self, split: str):
    count, seed, columns = lookup("split of photo_windows", split, _SPLITS)
    rng = np.random.default_rng(seed)
    self.tasks = {"photo": Task("label", len(PHOTOS))}
    self._photo = rng.integers(len(PHOTOS), size=count).astype(np.int32)
    self._top = rng.integers(_SCALE * PHOTO[0] - SIZE + 1, size=count)
    self._left = rng.integers(columns[0], columns[1] - SIZE + 1, size=count)

  def __len__(self) -> int:
    return len(self._photo)

  def __getitem__(self, index: int, /) -> dict:
    photo, top, left = (x[index] for x in (self._photo, self._top, self._left))
    window = load_photos(_SCALE)[photo, top : top + SIZE, left : left + SIZE]
    return {"image": window, "label": photo, "index": np.int32(index)}
