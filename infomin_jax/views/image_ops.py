"""Crop, flip and blur of one float32 image `[h, w, c]`; use `vmap` for many.

Functions named `random_*` take a key and draw their parameters from
torchvision's distributions. The others take the parameters. Images may have
any number of channels. Values in [0, 1] stay there up to rounding. Color
operations are in `color`.
"""

import functools
import math

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError

# A TPU multiplies in one bfloat16 pass by default. HIGH makes three: exact to a
# fraction of a gray level.
_PRECISION = jax.lax.Precision.HIGH
# Rows that are resampled together. In a small tile few weights are 0.
_TILE = 32


def crop_resize(image, top, left, height, width, size: int) -> jax.Array:
  """Cuts a window and resizes it to `[size, size, c]`, bilinear, antialiased.

  Equals Pillow's `crop` followed by `resize(BILINEAR)`, and torchvision's
  resize with `antialias=True`, before they round to 8 bits. The result may be
  larger than the window.

  Args:
    image: `[h, w, c]`.
    top, left, height, width: the window in pixels; may be traced, and need
      not be whole numbers.
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

  # On a CPU a product with a weight of 0 costs as much as any other. There the
  # rows are computed in tiles that read only the pixels they need. On other
  # devices one large matmul is faster.
  result = jax.lax.platform_dependent(
    planes,
    windows,
    cpu=functools.partial(resized, tile=_TILE),
    default=functools.partial(resized, tile=size),
  )
  return jnp.moveaxis(result, 0, -1)


def center_crop(image: jax.Array, size: int) -> jax.Array:
  """Cuts out the middle `[size, size, c]`; the image must be that large."""
  top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
  return image[top : top + size, left : left + size]


def to_float(image):
  """Casts to float32; divides uint8 by 255, assumes floats are in [0, 1]."""
  scale = 255 if image.dtype == jnp.uint8 else 1
  return image.astype(jnp.float32) / scale


def resize_center(images: jax.Array, resize: int, size: int) -> jax.Array:
  """Resizes and center-crops for evaluation: float32 `[b, size, size, c]`.

  The shorter side becomes `resize` pixels, then the middle `size` x `size` is
  cut out. Both are done in one resampling. Images that need neither are only
  cast.

  Args:
    images: uint8, or float in [0, 1], `[b, h, w, c]`.
    resize: shorter side in pixels before the cut, at least `size`; 0 means
      `size`.
    size: side of the result in pixels.

  Returns:
    `[b, size, size, c]` in [0, 1].

  Raises:
    UserError: `resize` is below `size` and not 0.
  """
  images = to_float(images)
  _, height, width, _ = images.shape
  top, left, side = _center_window(height, width, resize, size)
  if (height, width) == (size, size) and side == size:
    return images
  return jax.vmap(lambda x: crop_resize(x, top, left, side, side, size))(images)


def nearest_center(masks: jax.Array, resize: int, size: int) -> jax.Array:
  """`resize_center` for class masks `[b, h, w]`, by nearest neighbor."""
  _, height, width = masks.shape
  top, left, side = _center_window(height, width, resize, size)
  centers = (jnp.arange(size) + 0.5) * (side / size)
  rows, columns = jnp.floor(top + centers), jnp.floor(left + centers)
  return masks[:, rows.astype(int)][:, :, columns.astype(int)]


def _center_window(height: int, width: int, resize: int, size: int):
  """Returns top, left and side of the square that evaluation resizes."""
  if resize and resize < size:
    raise UserError(
      f"config.evaluate.resize is {resize}: expected 0 or at least "
      f"config.views.size, {size}."
    )
  side = min(height, width) * (size / resize if resize else 1)
  return (height - side) / 2, (width - side) / 2, side


def sample_window(key, height: int, width: int, scale, ratio):
  """Draws the window of torchvision's RandomResizedCrop.

  Uses the first of 10 draws of (area, aspect ratio) that fits into the image.
  If none fits, uses the largest central window with an allowed ratio.

  Args:
    key: one PRNG key.
    height, width: of the image, in pixels.
    scale: lowest and highest fraction of the image's area.
    ratio: lowest and highest width / height; log-uniform between.

  Returns:
    `top, left, height, width`: float32 scalars that hold whole numbers of
    pixels.
  """
  # torchvision stops at the first draw that fits. Traced code cannot, so all
  # 10 are drawn and the first fitting one is selected.
  u = jax.random.uniform(key, (22,))
  area = height * width * (scale[0] + (scale[1] - scale[0]) * u[:10])
  low, high = jnp.log(ratio[0]), jnp.log(ratio[1])
  aspect = jnp.exp(low + (high - low) * u[10:20])
  tall, wide = jnp.round(jnp.sqrt(jnp.stack([area / aspect, area * aspect])))
  fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
  any_fits, first = fits.any(), jnp.argmax(fits)  # argmax: first True

  middle = height, width
  if width / height < ratio[0]:
    middle = round(width / ratio[0]), width
  elif width / height > ratio[1]:
    middle = height, round(height * ratio[1])
  tall = jnp.where(any_fits, tall[first], middle[0])
  wide = jnp.where(any_fits, wide[first], middle[1])
  spare_y, spare_x = height - tall, width - wide
  top = jnp.where(any_fits, u[20] * (spare_y + 1), spare_y / 2)
  left = jnp.where(any_fits, u[21] * (spare_x + 1), spare_x / 2)
  return jnp.floor(top), jnp.floor(left), tall, wide


def random_resized_crop(
  key, image, size: int, scale=(0.2, 1.0), ratio=(3 / 4, 4 / 3)
) -> jax.Array:
  """Resizes a random window (`sample_window`) to `[size, size, c]`."""
  height, width, _ = image.shape
  window = sample_window(key, height, width, scale, ratio)
  return crop_resize(image, *window, size)


def flip(image: jax.Array) -> jax.Array:
  """Mirrors left and right."""
  return image[:, ::-1]


def random_flip(key, image: jax.Array, p: float = 0.5) -> jax.Array:
  """Mirrors the image with probability `p`."""
  return jnp.where(jax.random.bernoulli(key, p), flip(image), image)


def gaussian_blur(image: jax.Array, sigma, radius: int) -> jax.Array:
  """Blurs with a Gaussian kernel; borders are reflected.

  Args:
    image: `[h, w, c]`.
    sigma: standard deviation in pixels, above 0; may be traced.
    radius: taps on each side of the center; clipped to the side - 1, beyond
      which there is nothing to reflect.
  """
  # Products with a banded matrix: sums of shifted images are slower on a CPU.
  planes = jnp.moveaxis(image, -1, 0)  # [c, h, w]
  for _ in range(2):  # rows, then columns as rows
    planes = jnp.swapaxes(_blur_rows(planes, sigma, radius), 1, 2)
  return jnp.moveaxis(planes, 0, -1)


def random_gaussian_blur(
  key, image, radius: int | None = None, sigma=(0.1, 2.0), p: float = 0.5
) -> jax.Array:
  """Blurs with probability `p`, with sigma (in pixels) drawn uniformly.

  With `radius=None` the radius is `height // 20`, as in SimCLR: its kernel is
  a tenth of the height.

  Differs from the paper: borders are reflected; in SimCLR they turn dark.
  """
  radius = image.shape[0] // 20 if radius is None else radius
  u = jax.random.uniform(key, (2,))
  blurred = gaussian_blur(
    image, sigma[0] + (sigma[1] - sigma[0]) * u[0], radius
  )
  return jnp.where(u[1] < p, blurred, image)


def _resize_rows(planes, start, length, size: int, tile: int):
  """Resizes axis 1 with a triangle filter, `[c, n, m] -> [c, size, m]`.

  Every `tile` output rows are one matmul with the input rows they may need.
  """
  n, step = planes.shape[1], length / size
  support = jnp.maximum(step, 1.0)  # below 1 the image grows: plain bilinear
  tile = min(tile, size)
  count, most = -(-size // tile), max(n / size, 1)
  # `length` is traced but shapes are not: `reach` is the number of input rows
  # that a tile needs for the largest window, all n rows.
  reach = min(n, math.ceil(tile * most) + 2 * math.ceil(most) + 2)
  first = jnp.floor(start + jnp.arange(count) * tile * step - support)
  first = jnp.clip(first.astype(int), 0, n - reach)  # [count]
  to = jnp.arange(count * tile).reshape(count, tile, 1)
  pixel = (first[:, None] + jnp.arange(reach)[None])[:, None]  # [count, 1, r]
  distance = jnp.abs(pixel + 0.5 - (start + (to + 0.5) * step))
  # Pillow crops before it resizes, so pixels outside the window do not count.
  inside = (pixel + 1 > start) & (pixel < start + length)
  weights = jnp.maximum(1 - distance / support, 0) * inside
  weights = weights / weights.sum(-1, keepdims=True)
  if reach == n:
    tiles = jnp.broadcast_to(planes, (count, *planes.shape))
  else:
    cut = functools.partial(jax.lax.dynamic_slice_in_dim, planes, axis=1)
    tiles = jax.vmap(lambda at: cut(at, slice_size=reach))(first)
  return _apply_weights(weights, tiles)[:, :size]


def _blur_rows(planes, sigma, radius: int):
  """Blurs along axis 1, `[c, n, m] -> [c, n, m]`, a tile of rows at a time."""
  n = planes.shape[1]
  radius, tile = min(radius, n - 1), min(_TILE, n)
  count = -(-n // tile)
  around, spare = (0, 0), count * tile - n
  planes = jnp.pad(planes, (around, (radius, radius), around), mode="reflect")
  # The last tile may be too short: zeros fill it, and the result drops them.
  planes = jnp.pad(planes, (around, (0, spare), around))
  reach = tile + 2 * radius
  starts = range(0, count * tile, tile)
  tiles = jnp.stack([planes[:, at : at + reach] for at in starts])
  distance = jnp.arange(reach)[None] - radius - jnp.arange(tile)[:, None]
  weights = jnp.exp(-0.5 * (distance / sigma) ** 2)
  weights = jnp.where(jnp.abs(distance) <= radius, weights, 0)
  weights = weights / weights.sum(1, keepdims=True)
  weights = jnp.broadcast_to(weights, (count, *weights.shape))
  return _apply_weights(weights, tiles)[:, :n]


def _apply_weights(weights, parts):
  """Multiplies `[i, t, r]` by tiles `[i, c, r, m]`; returns `[c, i t, m]`."""
  rows = jnp.einsum("itr,icrm->citm", weights, parts, precision=_PRECISION)
  count, tile, _ = weights.shape
  return rows.reshape(rows.shape[0], count * tile, -1)
