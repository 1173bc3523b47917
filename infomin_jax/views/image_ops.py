"""Crop, flip and blur one float32 image `[h, w, c]`; `vmap` them over many.

Plain functions take their parameters, `random_*` take a key and draw them with
torchvision's distributions. Any number of channels; a range [0, 1] is kept up
to rounding. Color is in `color`.
"""

import functools
import math

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError

# Three bfloat16 passes on a TPU: exact to a fraction of a gray level.
_PRECISION = jax.lax.Precision.HIGH
# Rows that are resampled together: few, so that few weights are 0.
_TILE = 32


def crop_resize(image, top, left, height, width, size: int) -> jax.Array:
  """Cuts a window and resizes it to `[size, size, c]`, bilinear, antialiased.

  Equals Pillow's `crop` then `resize(BILINEAR)`, and torchvision's with
  `antialias=True`, before their rounding to 8 bits. Enlarging is allowed.

  Args:
    image: `[h, w, c]`.
    top, left, height, width: the window in pixels; may be traced.
    size: side of the result in pixels.
  """
  planes = jnp.moveaxis(image, -1, 0)  # [c, h, w]
  windows = ((top, height), (left, width))

  def resized(planes, windows, tile):
    for start, length in windows:  # rows, then columns as rows
      planes = jnp.swapaxes(
        _resize_rows(planes, start, length, size, tile), 1, 2
      )
    return planes

  # A CPU pays for every product with a weight of 0, so it takes a few rows at a
  # time and reads only what they need; elsewhere one large matmul is faster.
  made = jax.lax.platform_dependent(
    planes,
    windows,
    cpu=functools.partial(resized, tile=_TILE),
    default=functools.partial(resized, tile=size),
  )
  return jnp.moveaxis(made, 0, -1)


def center_crop(image: jax.Array, size: int) -> jax.Array:
  """The middle `[size, size, c]` of an image that is at least that large."""
  top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
  return image[top : top + size, left : left + size]


def to_float(image):
  """uint8 to float32 in [0, 1]; floats are taken to be there already."""
  scale = 255 if image.dtype == jnp.uint8 else 1
  return image.astype(jnp.float32) / scale


def resize_center(images: jax.Array, resize: int, size: int) -> jax.Array:
  """Cuts what evaluation sees: float32 `[b, size, size, c]` in [0, 1].

  The shorter side is brought to `resize` pixels (0: to `size`) and the middle
  `size` cut out, in one resampling; images of that size already stay as they
  are.

  Args:
    images: uint8, or float in [0, 1], `[b, h, w, c]`.
    resize: pixels of the shorter side before the cut, at least `size`, or 0.
    size: side of the result in pixels.
  """
  images = to_float(images)
  _, height, width, _ = images.shape
  top, left, side = _center_window(height, width, resize, size)
  if (height, width) == (size, size) and side == size:
    return images
  return jax.vmap(lambda x: crop_resize(x, top, left, side, side, size))(images)


def nearest_center(masks: jax.Array, resize: int, size: int) -> jax.Array:
  """`resize_center` of classes `[b, h, w]`, each the nearest."""
  _, height, width = masks.shape
  top, left, side = _center_window(height, width, resize, size)
  places = (jnp.arange(size) + 0.5) * (side / size)
  rows, columns = jnp.floor(top + places), jnp.floor(left + places)
  return masks[:, rows.astype(int)][:, :, columns.astype(int)]


def _center_window(height: int, width: int, resize: int, size: int):
  """Top, left and side of the window that evaluation sees."""
  if resize and resize < size:
    raise UserError(
      f"config.evaluate.resize is {resize}: expected 0 or at least "
      f"config.views.size, {size}."
    )
  side = min(height, width) * (size / resize if resize else 1)
  return (height - side) / 2, (width - side) / 2, side


def sample_window(key, height: int, width: int, scale, ratio):
  """Draws torchvision's RandomResizedCrop window.

  The first of 10 (area, aspect ratio) draws that fits counts; if none does,
  the largest central window with an allowed ratio.

  Args:
    key: one PRNG key.
    height, width: of the image, in pixels.
    scale: lowest and highest share of the image's area.
    ratio: lowest and highest width / height; log-uniform between.

  Returns:
    `top, left, height, width`: scalars holding whole pixels.
  """
  u = jax.random.uniform(key, (22,))
  area = height * width * (scale[0] + (scale[1] - scale[0]) * u[:10])
  low, high = jnp.log(ratio[0]), jnp.log(ratio[1])
  aspect = jnp.exp(low + (high - low) * u[10:20])
  tall, wide = jnp.round(jnp.sqrt(jnp.stack([area / aspect, area * aspect])))
  fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
  found, first = fits.any(), jnp.argmax(fits)

  middle = height, width
  if width / height < ratio[0]:
    middle = round(width / ratio[0]), width
  elif width / height > ratio[1]:
    middle = height, round(height * ratio[1])
  tall = jnp.where(found, tall[first], middle[0])
  wide = jnp.where(found, wide[first], middle[1])
  spare_y, spare_x = height - tall, width - wide
  top = jnp.where(found, u[20] * (spare_y + 1), spare_y / 2)
  left = jnp.where(found, u[21] * (spare_x + 1), spare_x / 2)
  return jnp.floor(top), jnp.floor(left), tall, wide


def random_resized_crop(
  key, image, size: int, scale=(0.2, 1.0), ratio=(3 / 4, 4 / 3)
) -> jax.Array:
  """`crop_resize` of a `sample_window`: `[h, w, c]` to `[size, size, c]`."""
  height, width, _ = image.shape
  window = sample_window(key, height, width, scale, ratio)
  return crop_resize(image, *window, size)


def flip(image: jax.Array) -> jax.Array:
  """Left-right mirror image."""
  return image[:, ::-1]


def random_flip(key, image: jax.Array, p: float = 0.5) -> jax.Array:
  """Mirrors the image with probability `p`."""
  return jnp.where(jax.random.bernoulli(key, p), flip(image), image)


def gaussian_blur(image: jax.Array, sigma, radius: int) -> jax.Array:
  """Gaussian blur with reflected borders, as two products with a band.

  Args:
    image: `[h, w, c]`.
    sigma: standard deviation in pixels, above 0; may be traced.
    radius: taps on each side; at most the side - 1 is used, where reflection
      ends.
  """
  planes = jnp.moveaxis(image, -1, 0)  # [c, h, w]
  for _ in range(2):  # rows, then columns as rows
    planes = jnp.swapaxes(_blur_rows(planes, sigma, radius), 1, 2)
  return jnp.moveaxis(planes, 0, -1)


def random_gaussian_blur(
  key, image, radius: int | None = None, sigma=(0.1, 2.0), p: float = 0.5
) -> jax.Array:
  """Blurs with probability `p`, sigma uniform in pixels.

  `radius=None` is SimCLR's: a kernel of a tenth of the height, so
  `height // 20`. Differs from SimCLR: borders reflect instead of going dark.
  """
  radius = image.shape[0] // 20 if radius is None else radius
  u = jax.random.uniform(key, (2,))
  blurred = gaussian_blur(
    image, sigma[0] + (sigma[1] - sigma[0]) * u[0], radius
  )
  return jnp.where(u[1] < p, blurred, image)


def _resize_rows(planes, start, length, size: int, tile: int):
  """Triangle filter of rows, `[c, n, m] -> [c, size, m]`, `tile` at a time."""
  n, step = planes.shape[1], length / size
  support = jnp.maximum(step, 1.0)  # below 1 the image grows: plain bilinear
  tile = min(tile, size)
  count, most = -(-size // tile), max(n / size, 1)
  # What a tile may read, whatever the window.
  reach = min(n, math.ceil(tile * most) + 2 * math.ceil(most) + 2)
  first = jnp.floor(start + jnp.arange(count) * tile * step - support)
  first = jnp.clip(first.astype(int), 0, n - reach)  # [count]
  to = jnp.arange(count * tile).reshape(count, tile, 1)
  pixel = (first[:, None] + jnp.arange(reach)[None])[:, None]  # [count, 1, r]
  distance = jnp.abs(pixel + 0.5 - (start + (to + 0.5) * step))
  inside = (pixel + 1 > start) & (pixel < start + length)
  weights = jnp.maximum(1 - distance / support, 0) * inside
  weights = weights / weights.sum(-1, keepdims=True)
  if reach == n:
    parts = jnp.broadcast_to(planes, (count, *planes.shape))
  else:
    cut = functools.partial(jax.lax.dynamic_slice_in_dim, planes, axis=1)
    parts = jax.vmap(lambda at: cut(at, slice_size=reach))(first)
  return _joined(weights, parts)[:, :size]


def _blur_rows(planes, sigma, radius: int):
  """Gaussian blur of rows, `[c, n, m]`, a tile of rows at a time."""
  n = planes.shape[1]
  radius, tile = min(radius, n - 1), min(_TILE, n)
  count = -(-n // tile)
  around, spare = (0, 0), count * tile - n
  planes = jnp.pad(planes, (around, (radius, radius), around), mode="reflect")
  planes = jnp.pad(planes, (around, (0, spare), around))
  reach = tile + 2 * radius
  starts = range(0, count * tile, tile)
  parts = jnp.stack([planes[:, at : at + reach] for at in starts])
  distance = jnp.arange(reach)[None] - radius - jnp.arange(tile)[:, None]
  weights = jnp.exp(-0.5 * (distance / sigma) ** 2)
  weights = jnp.where(jnp.abs(distance) <= radius, weights, 0)
  weights = weights / weights.sum(1, keepdims=True)
  weights = jnp.broadcast_to(weights, (count, *weights.shape))
  return _joined(weights, parts)[:, :n]


def _joined(weights, parts):
  """`[i, t, r]` times `[i, c, r, m]`, the tiles as rows: `[c, i t, m]`."""
  made = jnp.einsum("itr,icrm->citm", weights, parts, precision=_PRECISION)
  count, tile, _ = weights.shape
  return made.reshape(made.shape[0], count * tile, -1)
