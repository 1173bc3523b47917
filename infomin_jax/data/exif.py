"""How a photograph was held: the orientation that a file's EXIF names."""

import io
import struct
import warnings

import cv2
import numpy as np
from PIL import Image

# Damaged EXIF says nothing; lines without a file's name would not help.
warnings.filterwarnings("ignore", "(Possibly c|C)orrupt EXIF", module="PIL")
warnings.filterwarnings("ignore", "Metadata Warning", module="PIL")
_ORIENTATION = 0x0112
_FLIPS = {2: 1, 3: -1, 4: 0}
_TURNS = {6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}


def orientation(data: bytes) -> int:
  """The EXIF orientation of an encoded image: 1 (upright) to 8."""
  try:
    if data.startswith(b"\xff\xd8"):
      return _named(_of_jpeg(data))
    if data.startswith(b"\x89PNG"):
      place = data.find(b"eXIf")
      return _named(data[place + 4 :]) if place > 0 else 1
    if data.startswith(b"RIFF") and data[12:16] == b"VP8X" and data[20] & 8:
      block = data[data.rfind(b"EXIF") + 8 :]
      return _named(block.removeprefix(b"Exif\0\0"))
    if data[4:8] != b"ftyp":
      return 1
    with Image.open(io.BytesIO(data)) as file:  # AVIF
      return found(file)
  except Exception:  # hostile EXIF: it says nothing
    return 1


def _of_jpeg(data: bytes) -> bytes:
  """The EXIF block of a JPEG, or nothing; Pillow takes a tenth of a decode."""
  place = 2
  while data[place] == 0xFF and data[place + 1] != 0xDA:
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    if data[place + 1] == 0xE1 and data.startswith(b"Exif\0\0", place + 4):
      return data[place + 10 : place + 2 + length]
    place += 2 + length
  return b""


def _named(block: bytes) -> int:
  """The orientation that the first directory of an EXIF block holds."""
  if not block:
    return 1
  order = {b"II": "<", b"MM": ">"}[block[:2]]
  (start,) = struct.unpack_from(order + "I", block, 4)
  (count,) = struct.unpack_from(order + "H", block, start)
  for place in range(start + 2, start + 2 + 12 * count, 12):
    tag, _, _, value = struct.unpack_from(order + "HHIH", block, place)
    if tag == _ORIENTATION:
      return value if value in range(1, 9) else 1
  return 1


def found(file: Image.Image) -> int:
  """The EXIF orientation of an opened image."""
  try:
    value = file.getexif().get(_ORIENTATION, 1)
  except Exception:  # hostile EXIF: it says nothing
    return 1
  return value if value in range(1, 9) else 1


def turned(image: np.ndarray, how: int) -> np.ndarray:
  """Turns `[h, w, c]` upright from EXIF orientation `how`, 1 to 8."""
  if how == 1:
    return image
  if how in _FLIPS:
    result = cv2.flip(image, _FLIPS[how])
  elif how in _TURNS:
    result = cv2.rotate(image, _TURNS[how])
  else:
    result = cv2.transpose(image)
    if how == 7:
      result = cv2.flip(result, -1)
  return result.reshape(*result.shape[:2], image.shape[-1])
