"""What the headers of a folder's images say, looked at before they are read."""

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

_LOOKED_AT = 2000  # files whose headers are read, spread evenly
_DEEP = 16  # files of 16 bits whose pixels are read
_GRAY = ("1", "L", "LA", "I", "I;16", "I;16B")


@dataclasses.dataclass(frozen=True)
class Survey:
  """Counts of images.

  Attributes:
    looked_at: whose headers were read.
    turned: with an EXIF orientation other than upright.
    alpha: with alpha or a transparent color.
    gray: without color.
    frames: with several pages or frames, of which the first is read.
    largest: of 16-bit images, the largest value met; 0 if there are none.
  """

  looked_at: int = 0
  turned: int = 0
  alpha: int = 0
  gray: int = 0
  frames: int = 0
  largest: int = 0

  def channels(self) -> int:
    """One number for all: 1 if all are gray, 4 if all have alpha, else 3."""
    if self.alpha and self.alpha == self.looked_at:
      return 4
    return 1 if self.looked_at and self.gray == self.looked_at else 3

  def notes(self, channels: int, background: tuple, ignore: bool) -> list[str]:
    """Returns what a user should know, as parts of a sentence."""
    found = []
    if self.turned:
      how = "not turned (data.ignore_orientation)" if ignore else "turned"
      found.append(f"{self.turned:,} are {how} by EXIF orientation")
    if self.alpha and channels in (1, 3):
      found.append(
        f"{self.alpha:,} have alpha and get the background {background} "
        "(data.background)"
      )
    if self.frames:
      found.append(f"{self.frames:,} have pages or frames that are not read")
    if 0 < self.largest < 2**15:
      found.append(
        f"16-bit images hold at most {self.largest:,} of 65,535 and come out "
        f"dark: scale them by {65535 // self.largest}, or store them as arrays"
      )
    if found:
      found[0] = f"of {self.looked_at:,} images looked at, {found[0]}"
    return found


def survey(files: Sequence[str]) -> Survey:
  """Looks at headers; files that cannot be opened count nowhere."""
  count = min(len(files), _LOOKED_AT)
  rows = np.linspace(0, len(files) - 1, count).astype(int)
  return _survey(tuple((files[row], _changed(files[row])) for row in rows))


def _changed(file: str) -> int:
  try:
    return os.stat(file).st_mtime_ns
  except OSError:
    return 0


# A run loads its training, its test and its probes' images.
@functools.lru_cache(maxsize=4)
def _survey(files: tuple[tuple[str, int], ...]) -> Survey:
  seen = dict.fromkeys(("looked_at", "turned", "alpha", "gray", "frames"), 0)
  deep = []
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pillow's have no file's name
    for file, _ in files:
      try:
        with Image.open(file) as image:
          _count(image, seen)
          if _has_16_bits(image):
            deep.append(file)
      except Exception:  # reading it will say what is wrong
        deep += [file] * file.lower().endswith((".tif", ".tiff"))
  some = deep[:: max(1, len(deep) // _DEEP)][:_DEEP]
  return Survey(**seen, largest=max(map(_largest, some), default=0))


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
  # A PNG of 16-bit colors has the mode RGB, and Pillow opens no such TIFF.
  return image.mode.startswith("I") or any(
    "16" in str(t[3]) for t in image.tile
  )


def _largest(file: str) -> int:
  data = pathlib.Path(file).read_bytes()
  try:
    data = intact.png(data) if data.startswith(intact.PNG) else data
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
  except (UserError, cv2.error):  # reading it will say what is wrong
    return 0
  if image is None or image.dtype != np.uint16:
    return 0
  # Alpha is full where there is some.
  return int(image[..., :3].max()) if image.ndim == 3 else int(image.max())
