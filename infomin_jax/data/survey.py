"""Statistics of the headers of a folder's images, before they are read."""

import dataclasses
import functools
import os
import pathlib
import warnings
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from infomin_jax.data import exif, intact
from infomin_jax.errors import UserError

_LOOKED_AT = 2000  # files whose headers are read, evenly spaced
_DEEP = 16  # 16-bit files whose pixels are read
_GRAY = ("1", "L", "LA", "I", "I;16", "I;16B")


@dataclasses.dataclass(frozen=True)
class Survey:
  """Numbers of images with a property.

  Attributes:
    looked_at: images whose headers were read.
    turned: images with an EXIF orientation other than upright.
    alpha: images with alpha or a transparent color.
    gray: images without color.
    frames: images with several pages or frames, of which the first is read.
    largest: largest value in 16-bit images; 0 if there are none.
  """

  looked_at: int = 0
  turned: int = 0
  alpha: int = 0
  gray: int = 0
  frames: int = 0
  largest: int = 0

  def channels(self) -> int:
    """Returns 1 if all images are gray, 4 if all have alpha, else 3."""
    if self.alpha and self.alpha == self.looked_at:
      return 4
    return 1 if self.looked_at and self.gray == self.looked_at else 3

  def notes(self, channels: int, background: tuple, ignore: bool) -> list[str]:
    """Returns phrases for the user about these images."""
    notes = []
    if self.turned:
      how = "not turned (data.ignore_orientation)" if ignore else "turned"
      notes.append(f"{self.turned:,} are {how} by EXIF orientation")
    if self.alpha and channels in (1, 3):
      notes.append(
        f"{self.alpha:,} have alpha and get the background {background} "
        "(data.background)"
      )
    if self.frames:
      notes.append(f"{self.frames:,} have pages or frames that are not read")
    if 0 < self.largest < 2**15:
      notes.append(
        f"16-bit images hold at most {self.largest:,} of 65,535 and come out "
        f"dark: scale them by {65535 // self.largest}, or store them as arrays"
      )
    if notes:
      notes[0] = f"of {self.looked_at:,} images looked at, {notes[0]}"
    return notes


def survey(files: Sequence[str]) -> Survey:
  """Reads headers; files that cannot be opened are not counted."""
  count = min(len(files), _LOOKED_AT)
  rows = np.linspace(0, len(files) - 1, count).astype(int)
  return _survey(tuple((files[row], _changed(files[row])) for row in rows))


def _changed(file: str) -> int:
  try:
    return os.stat(file).st_mtime_ns
  except OSError:
    return 0


# Cached: a run loads a folder for training, for testing and for probes.
@functools.lru_cache(maxsize=4)
def _survey(files: tuple[tuple[str, int], ...]) -> Survey:
  counts = dict.fromkeys(("looked_at", "turned", "alpha", "gray", "frames"), 0)
  deep = []
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pillow's do not name the file
    for file, _ in files:
      try:
        with Image.open(file) as image:
          _count(image, counts)
          if _has_16_bits(image):
            deep.append(file)
      except Exception:  # reported when it is read
        deep += [file] * file.lower().endswith((".tif", ".tiff"))
  sample = deep[:: max(1, len(deep) // _DEEP)][:_DEEP]
  return Survey(**counts, largest=max(map(_largest, sample), default=0))


def _count(image, seen):
  seen["looked_at"] += 1
  seen["turned"] += exif.found(image) > 1
  seen["alpha"] += image.has_transparency_data
  seen["gray"] += image.mode in _GRAY
  seen["frames"] += image.format in (
    "GIF",
    "PNG",
    "TIFF",
    "WEBP",
  ) and _has_more(image)


def _has_more(image) -> bool:
  try:
    image.seek(1)
  except EOFError:
    return False
  return True


def _has_16_bits(image) -> bool:
  # The mode of a 16-bit color PNG is RGB, so its tiles are checked too. Pillow
  # cannot open such a TIFF.
  return image.mode.startswith("I") or any(
    "16" in str(t[3]) for t in image.tile
  )


def _largest(file: str) -> int:
  data = pathlib.Path(file).read_bytes()
  try:
    data = intact.png(data) if data.startswith(intact.PNG) else data
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
  except (UserError, cv2.error):  # reported when it is read
    return 0
  if image is None or image.dtype != np.uint16:
    return 0
  # Alpha is left out: opaque pixels have its largest value.
  return int(image[..., :3].max()) if image.ndim == 3 else int(image.max())
