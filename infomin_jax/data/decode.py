"""Decodes image files to uint8 arrays; resizes and crops photographs."""

import ctypes
import io
import math

import cv2
import numpy as np
import PIL._imaging
from PIL import Image

from infomin_jax.data import intact
from infomin_jax.data.exif import orientation, turned
from infomin_jax.data.intact import BrokenRecord
from infomin_jax.errors import UserError

# The pipeline already reads one record per thread; OpenCV's own threads would
# oversubscribe the cores. OpenCV and libtiff log nothing, because our error
# about a damaged file also names the record.
cv2.setNumThreads(1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
try:
  _libtiff = ctypes.CDLL(PIL._imaging.__file__)
  _libtiff.TIFFSetErrorHandler(None)
  _libtiff.TIFFSetWarningHandler(None)
except (OSError, AttributeError):  # a Pillow that does not export libtiff
  pass

_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
# Pillow's mode of a TIFF -> mode to convert it to. Others become RGB, or RGBA.
_MODES = {"1": "L", "L": "L", "LA": "RGBA", "PA": "RGBA", "RGBA": "RGBA"}


def decode(
  data: bytes,
  channels: int = 0,
  *,
  upright: bool = False,
  background: tuple[int, ...] = (),
) -> np.ndarray:
  """Decodes JPEG, PNG, WebP, AVIF, BMP, TIFF, GIF, PNM or JPEG 2000 bytes.

  Without the last two arguments pixels are as stored, as in the pipelines of
  published results. 16-bit images are scaled to 8 bits (v / 257, rounded).

  Args:
    data: content of the file.
    channels: 1 (luma), 3 (RGB), 0 (as stored: 1, 3, or 4 for RGBA), or another
      number, which the image must have.
    upright: rotate or flip the image by its EXIF orientation.
    background: RGB color behind transparent pixels where alpha is dropped; ()
      drops alpha without blending.

  Returns:
    uint8 `[h, w, c]`, colors in RGB or RGBA order.

  Raises:
    BrokenRecord: not an image, or a damaged or truncated one.
    UserError: wrong number of channels, or an unsupported kind of image.
  """
  if not data:
    raise BrokenRecord("its 0 bytes end too early")
  if data.startswith(intact.TIFF):
    image, turn = _tiff(data, channels)
  elif data.startswith(intact.JPEG):
    image, turn = _jpeg(data, channels), 0
  else:
    image, turn = _others(data), 0
  if turn:  # Pillow has applied this orientation
    # Quarter turns are undone by the opposite one. The other orientations undo
    # themselves.
    image = image if upright else turned(image, {6: 8, 8: 6}.get(turn, turn))
  elif upright:
    image = turned(image, orientation(data))
  return _with_channels(image, channels, background)


def _jpeg(data: bytes, channels: int) -> np.ndarray:
  # Decoders fill the missing part of a truncated JPEG with gray. Within a scan
  # a marker cannot occur by chance. So the file is complete only if an end
  # marker follows the last start of a scan.
  if not data.endswith(_JPEG_END):
    if data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
      raise BrokenRecord(f"its {len(data)} bytes end too early")
  space = intact.jpeg_space(data)
  if space in ("CMYK", "YCCK"):
    intact.jpeg(data, "CMYK")
    return _opencv(data)
  gray = channels == 1 or (space == "Gray" and channels != 3)
  return intact.jpeg(data, "GRAY" if gray else "RGB")


def _tiff(data: bytes, channels: int) -> tuple[np.ndarray, int]:
  """Decodes the first page; returns it and the orientation applied, or 0."""
  page = intact.tiff(data)
  if page.bitspersample == 16:
    return _opencv(data), 0
  tag = page.tags.get("Orientation")
  try:
    with Image.open(io.BytesIO(data)) as file:
      file.load()
      mode = _MODES.get(file.mode)
      if mode is None:
        mode = "RGBA" if "transparency" in file.info else "RGB"
      image = np.asarray(file.convert(mode))
  except Exception as error:  # damaged files raise many kinds
    raise BrokenRecord(f"its pixels are damaged ({error})") from error
  image = image if image.ndim == 3 else image[..., None]
  if channels == page.samplesperpixel == 4 and mode == "RGB":
    # The fourth channel is neither ink nor alpha, and Pillow dropped it.
    image = _opencv(data)
    return image, 0
  return image, int(tag.value) if tag and 1 < tag.value <= 8 else 0


def _others(data: bytes) -> np.ndarray:
  brands = data[8:64] if data[4:8] == b"ftyp" else b""
  if brands.startswith(intact.HEIC) and b"avif" not in brands:
    raise UserError("it is a HEIC image (not supported): convert it to JPEG")
  whole = intact.png(data) if data.startswith(intact.PNG) else data
  image = _opencv(whole)
  if data.startswith((b"RIFF", *intact.JP2)):
    intact.check_zeros(data, image)
  return image


def _opencv(data: bytes) -> np.ndarray:
  """Decodes an image with OpenCV: uint8 `[h, w, c]` in RGB order."""
  buffer = np.frombuffer(data, np.uint8)
  try:
    image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if image is None and data.startswith(intact.JP2):  # gray with alpha
      keep = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
      image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | keep)
  except cv2.error as error:
    raise BrokenRecord(f"OpenCV refuses it: {error.err}") from error
  if image is None:
    raise BrokenRecord(
      f"its {len(data)} bytes, starting with {data[:4]!r}, are no intact image"
    )
  if image.dtype == np.uint16:
    # uint32, since 65535 + 128 exceeds uint16.
    image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
  if image.dtype != np.uint8:
    raise UserError(
      f"expected an image of 8 or 16 bits per channel, got {image.dtype}; "
      "convert it, or store it as arrays (data.name=arrays)"
    )
  if image.ndim == 2:
    return image[..., None]
  orders = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
  code = orders.get(image.shape[-1])
  return image if code is None else cv2.cvtColor(image, code)


def _with_channels(image, channels, background):
  """Converts to 1 or 3 channels; checks any other number except 0."""
  if channels in (1, 3) and image.shape[-1] == 4:
    image = _over(image, background) if background else image[..., :3]
  count = image.shape[-1]
  if channels == 1 and count == 3:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
  if channels == 3 and count == 1:
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
  if channels and count != channels:
    raise UserError(
      f"expected {channels} channels, got {count}: set data.channels"
    )
  return np.ascontiguousarray(image)


def _over(image: np.ndarray, background: tuple[int, ...]) -> np.ndarray:
  """Blends RGBA with an opaque color: uint8 `[h, w, 3]`."""
  # uint32, since products of two bytes exceed uint8.
  alpha = image[..., 3:].astype(np.uint32)
  behind = np.array(background, np.uint32)
  mixed = image[..., :3] * alpha + behind * (255 - alpha)
  return ((mixed + 127) // 255).astype(np.uint8)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  """Resizes `[h, w, c]` to `[height, width, c]`, antialiased, for any c.

  The result is close to Pillow's bilinear filter, which torchvision uses. An
  axis that shrinks is first smoothed by a Gaussian. Its variance is about the
  variance of the triangle filter for this scale minus the variance of bilinear
  interpolation. On photographs this is closer to Pillow than area averages, and
  takes a third of the time. If an axis shrinks to less than a third, whole
  pixels are averaged first.
  """
  if image.shape[-1] <= 4:
    return _resize(image, height, width).reshape(height, width, -1)
  # OpenCV's filters take at most 4 channels at a time.
  slices = [
    _resize(x, height, width)
    for x in np.split(image, range(4, image.shape[-1], 4), axis=-1)
  ]
  return np.concatenate([x.reshape(height, width, -1) for x in slices], axis=-1)


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  h, w = image.shape[:2]
  if (h, w) == (height, width):
    return image
  # Averages n pixels; n is at most 2/3 of the factor by which the axis shrinks.
  h, w = (a // max(1, int(a / b / 1.5)) for a, b in ((h, height), (w, width)))
  if (h, w) != image.shape[:2]:
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
  down, across = (
    math.sqrt(max((a / b) ** 2 - 1, 0) / 5)
    for a, b in ((h, height), (w, width))
  )
  if down or across:
    size = 5 if across else 1, 5 if down else 1
    # A kernel of size 1 changes nothing. OpenCV replaces a sigma of 0 by one of
    # its own.
    image = cv2.GaussianBlur(image, size, sigmaX=across or 1, sigmaY=down or 1)
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def resize_crop(image: np.ndarray, resize_to: int, size: int) -> np.ndarray:
  """Resizes the shorter side to `resize_to`, then cuts `[size, size, c]`.

  Rounds like torchvision's Resize and CenterCrop. Needs `size <= resize_to`.
  """
  image = _middle(image)
  h, w = image.shape[:2]
  height, width, top, left = center_window(h, w, resize_to, size)
  image = resize(image, height, width)
  return np.ascontiguousarray(image[top : top + size, left : left + size])


def _middle(image: np.ndarray) -> np.ndarray:
  """Cuts the middle of a long image, which includes any center crop.

  Resizing a whole image of 1 x 30,000 pixels would take gigabytes. The result
  is four times as long as wide, plus one pixel if needed to keep the center.
  """
  short = 4 * min(image.shape[:2])
  for axis, length in enumerate(image.shape[:2]):
    keep = short + (length - short) % 2
    if length > keep:
      start = (length - keep) // 2
      image = np.take(image, range(start, start + keep), axis)
  return image


def center_window(
  height: int, width: int, resize_to: int, size: int
) -> tuple[int, int, int, int]:
  """Returns the resized height and width, and top and left of the center."""
  short = min(height, width)
  height, width = resize_to * height // short, resize_to * width // short
  top, left = round((height - size) / 2), round((width - size) / 2)
  return height, width, top, left


def random_window(
  height: int,
  width: int,
  rng: np.random.Generator,
  scale: tuple[float, float] = (0.08, 1.0),
  ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
  """Draws a crop (top, left, height, width) as torchvision does.

  The area is uniform in `scale` (a fraction of the image's), the aspect ratio
  w / h log-uniform in `ratio`. If ten draws do not fit, the crop is the largest
  central one with an allowed ratio.
  """
  for _ in range(10):
    area = height * width * rng.uniform(*scale)
    aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      top = int(rng.integers(height - h + 1))
      return top, int(rng.integers(width - w + 1)), h, w
  h = min(height, round(width / ratio[0]))
  w = min(width, round(height * ratio[1]))
  return (height - h) // 2, (width - w) // 2, h, w


def random_resized_crop(
  image: np.ndarray,
  rng: np.random.Generator,
  size: int,
  scale: tuple[float, float] = (0.08, 1.0),
  ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> np.ndarray:
  """Cuts a random window of `[h, w, c]`, resized to `[size, size, c]`.

  References:
    Szegedy et al., `Going Deeper with Convolutions
    <https://arxiv.org/abs/1409.4842>`_, 2014, section 6. The details are those
    of torchvision's RandomResizedCrop.
  """
  height, width = image.shape[:2]
  top, left, h, w = random_window(height, width, rng, scale, ratio)
  return resize(image[top : top + h, left : left + w], size, size)
