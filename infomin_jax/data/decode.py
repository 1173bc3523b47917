"""Image bytes to uint8 arrays, and the two croppings that need whole photos."""

import math

import cv2
import numpy as np

from infomin_jax.errors import UserError

# The pipeline already runs one record per thread; OpenCV's own pool on top of
# that oversubscribes the cores. What OpenCV would log about a damaged file is
# in the error that names the record.
cv2.setNumThreads(1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"


class BrokenRecord(UserError):
  """One record that cannot be read: the pipeline can skip these, if asked."""


def decode(data: bytes, channels: int = 0) -> np.ndarray:
  """Decodes JPEG, PNG, WebP, BMP, TIFF, GIF or PNM bytes.

  Pixels are taken as stored: an EXIF orientation is ignored, as in the
  pipelines that the published numbers come from. 16-bit images are scaled to
  8 bits (v / 257, rounded).

  Args:
    data: the file's content.
    channels: 1 (luma), 3 (RGB, alpha dropped), 0 (as stored: 1, 3 or RGBA), or
      another number, which the image must have.

  Returns:
    uint8 `[h, w, c]`, colours in RGB or RGBA order.

  Raises:
    BrokenRecord: not an image, or a damaged or truncated one.
    UserError: wrong number of channels, or a float image.
  """
  modes = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR}
  if channels in modes:
    keep = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    mode = modes[channels] | keep
  else:
    mode = cv2.IMREAD_UNCHANGED
  if not data or _is_cut_jpeg(data):
    raise BrokenRecord(f"its {len(data)} bytes end too early")
  try:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
  except cv2.error as error:
    raise BrokenRecord(f"OpenCV refuses it: {error.err}") from error
  if image is None:
    raise BrokenRecord(
      f"its {len(data)} bytes, starting with {data[:4]!r}, are no intact image"
    )
  return _as_rgb(image, channels)


def _is_cut_jpeg(data: bytes) -> bool:
  # Old OpenCV versions fill the missing part of a cut JPEG with grey without
  # a word. Within the scan a marker cannot occur by chance, so the end marker
  # must follow the last start of a scan.
  if not data.startswith(_JPEG_START) or data.endswith(_JPEG_END):
    return False
  return data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN)


def _as_rgb(image: np.ndarray, channels: int) -> np.ndarray:
  if image.dtype == np.uint16:
    image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
  if image.dtype != np.uint8:
    raise UserError(
      f"expected an image of 8 or 16 bits per channel, got {image.dtype}; "
      "convert it, or store it as arrays (data.name=arrays)"
    )
  if image.ndim == 2:
    image = image[..., None]
  count = image.shape[-1]
  if channels and count != channels:
    raise UserError(
      f"expected {channels} channels, got {count}: set data.channels"
    )
  orders = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
  return cv2.cvtColor(image, orders[count]) if count in orders else image


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  """Resizes `[h, w, c]` to `[height, width, c]`, antialiased, any c.

  Nearly as Pillow's bilinear filter does, which torchvision uses: an axis that
  shrinks is smoothed first, by a Gaussian of about the variance that a triangle
  as wide has more. On photographs that is nearer to it than averages of areas
  are, in a third of the time. Where an axis shrinks to less than a third, whole
  pixels are averaged before.
  """
  if image.shape[-1] <= 4:
    return _resize(image, height, width).reshape(height, width, -1)
  # OpenCV's filters take at most 4 channels at a time.
  parts = [
    _resize(part, height, width)
    for part in np.split(image, range(4, image.shape[-1], 4), axis=-1)
  ]
  return np.concatenate(
    [part.reshape(height, width, -1) for part in parts], axis=-1
  )


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  h, w = image.shape[:2]
  if (h, w) == (height, width):
    return image
  # Averages of n pixels, with n at most two thirds of what an axis shrinks by.
  h, w = (a // max(1, int(a / b / 1.5)) for a, b in ((h, height), (w, width)))
  if (h, w) != image.shape[:2]:
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
  down, across = (
    math.sqrt(max((a / b) ** 2 - 1, 0) / 5)
    for a, b in ((h, height), (w, width))
  )
  if down or across:
    size = 5 if across else 1, 5 if down else 1
    image = cv2.GaussianBlur(image, size, sigmaX=across or 1, sigmaY=down or 1)
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def resize_crop(image: np.ndarray, resize_to: int, size: int) -> np.ndarray:
  """Shorter side to `resize_to`, then the centre: `[size, size, c]`.

  Rounding as in torchvision's Resize and CenterCrop. Needs
  `size <= resize_to`.
  """
  h, w = image.shape[:2]
  height, width, top, left = center_window(h, w, resize_to, size)
  image = resize(image, height, width)
  return np.ascontiguousarray(image[top : top + size, left : left + size])


def center_window(
  height: int, width: int, resize_to: int, size: int
) -> tuple[int, int, int, int]:
  """What `resize_crop` does: height and width after it resizes, top, left."""
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
  """A crop's (top, left, height, width), drawn as torchvision draws it.

  Ten tries at an area uniform in `scale` (a share of the image) and an aspect
  ratio w / h log-uniform in `ratio`; then the largest allowed central crop.
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
  """A random window of `[h, w, c]`, resized to `[size, size, c]`.

  References:
    Szegedy et al., `Going Deeper with Convolutions
    <https://arxiv.org/abs/1409.4842>`_, 2014, section 6; torchvision's
    RandomResizedCrop for the details.
  """
  height, width = image.shape[:2]
  top, left, h, w = random_window(height, width, rng, scale, ratio)
  return resize(image[top : top + h, left : left + w], size, size)
