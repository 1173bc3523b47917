"""EXIF orientation of image files, and rotation by it."""

import io
import struct
import warnings

import cv2
import numpy as np
from PIL import Image

# Damaged EXIF counts as upright. Pillow's warnings do not name the file, so
# they would not help.
warnings.filterwarnings("ignore", "(Possibly c|C)orrupt EXIF", module="PIL")
warnings.filterwarnings("ignore", "Metadata Warning", module="PIL")
_ORIENTATION = 0x0112
_FLIPS = {2: 1, 3: -1, 4: 0}
_TURNS = {6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}


def orientation(data: bytes) -> int:
  """Returns the EXIF orientation of an encoded image: 1 (upright) to 8."""
  try:
    if data.startswith(b"\xff\xd8"):
      return _named(_of_jpeg(data))
    if data.startswith(b"\x89PNG"):
      start = data.find(b"eXIf")
      return _named(data[start + 4 :]) if start > 0 else 1
    if data.startswith(b"RIFF") and data[12:16] == b"VP8X" and data[20] & 8:
      block = data[data.rfind(b"EXIF") + 8 :]
      return _named(block.removeprefix(b"Exif\0\0"))
    if data[4:8] != b"ftyp":
      return 1
    with Image.open(io.BytesIO(data)) as file:  # AVIF
      return found(file)
  except Exception:  # damaged EXIF counts as upright
    return 1


def _of_jpeg(data: bytes) -> bytes:
  """Returns the EXIF block of a JPEG, or b""."""
  # Not with Pillow, which takes a tenth of the time of decoding the image.
  at = 2
  while data[at] == 0xFF and data[at + 1] != 0xDA:
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    if data[at + 1] == 0xE1 and data.startswith(b"Exif\0\0", at + 4):
      return data[at + 10 : at + 2 + length]
    at += 2 + length
  return b""


def _named(block: bytes) -> int:
  """Returns the orientation in the first directory of an EXIF block."""
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
  """Returns the EXIF orientation of an image opened by Pillow, 1 to 8."""
  try:
    value = file.getexif().get(_ORIENTATION, 1)
  except Exception:  # damaged EXIF counts as upright
    return 1
  return value if value in range(1, 9) else 1


def turned(image: np.ndarray, how: int) -> np.ndarray:
  """Rotates or flips `[h, w, c]` upright from EXIF orientation `how`."""
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
