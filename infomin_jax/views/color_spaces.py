"""Color spaces: conversion from RGB in [0, 1] and back, means and deviations.

Every conversion is pointwise on float32 `[..., 3]`. None uses a matmul, which a
TPU would compute in bfloat16. `SPACES` holds the spaces by name.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.views.color import LUMA, from_hue, planes_of, stacked, to_hue

# The mean pixel of ImageNet, red, green and blue.
MEAN_PIXEL = (0.485, 0.456, 0.406)
# In the matrices below, rows are the channels of the space.
YIQ = (
  LUMA,
  (0.59590059, -0.27455667, -0.32134392),
  (0.21153661, -0.52273617, 0.31119955),
)
YDBDR = (LUMA, (-0.45, -0.883, 1.333), (-1.333, 1.116, 0.217))
YPBPR = (LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
# In units of 8 bits: luma from 16 to 235, the others from 16 to 240.
YCBCR = (
  (65.481, 128.553, 24.966),
  (-37.797, -74.203, 112.0),
  (112.0, -93.786, -18.214),
)
XYZ = (
  (0.412453, 0.35758, 0.180423),
  (0.212671, 0.71516, 0.072169),
  (0.019334, 0.119193, 0.950227),
)
D65 = (0.95047, 1.0, 1.08883)  # white in XYZ


class Space(NamedTuple):
  """One color space.

  Attributes:
    forward: maps RGB in [0, 1] to the space, `[..., 3]`.
    inverse: maps back to RGB.
    mean: subtracted from each channel.
    std: divides each channel after that.
    matrix: the linear map from RGB, one row per channel; None if not linear.
  """

  forward: Callable[[jax.Array], jax.Array]
  inverse: Callable[[jax.Array], jax.Array]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  matrix: tuple[tuple[float, ...], ...] | None = None

  def normalize(self, images: jax.Array) -> jax.Array:
    """Maps RGB in [0, 1] to `(channels - mean) / std`, `[..., 3]`."""
    planes = planes_of(self.forward(images))
    each = zip(planes, self.mean, self.std, strict=True)
    return stacked([(x - mean) / std for x, mean, std in each])

  def denormalize(self, images: jax.Array) -> jax.Array:
    """Inverts `normalize`: RGB `[..., 3]`, not clipped to [0, 1]."""
    each = zip(planes_of(images), self.mean, self.std, strict=True)
    return self.inverse(stacked([std * x + mean for x, mean, std in each]))


def linear(matrix, offset=(0.0, 0.0, 0.0), mean=None, std=None) -> Space:
  """Makes the space `matrix rgb + offset`.

  Args:
    matrix: one row per channel.
    offset: added to each channel.
    mean: default: the channels of `MEAN_PIXEL`. The published means of YDbDr
      and YCbCr differ from this by less than 0.004 std.
    std: default: half of each channel's range over all RGB colors, as in the
      published ones.
  """
  rows, shift = np.array(matrix), np.array(offset)
  back = np.linalg.inv(rows)
  if mean is None:
    mean = rows @ np.array(MEAN_PIXEL) + shift
  if std is None:
    std = np.abs(rows).sum(1) / 2
  return Space(
    lambda x: _affine(rows, shift, x),
    lambda x: _affine(back, -back @ shift, x),
    tuple(float(x) for x in mean),
    tuple(float(x) for x in std),
    tuple(map(tuple, matrix)),
  )


def rgb_to_hsv(images: jax.Array) -> jax.Array:
  """Converts RGB to hue in turns from 0 to 1 (0 for grays), saturation, value.

  Shapes are `[..., 3]`.
  """
  low, chroma, sixths = to_hue(planes_of(images))
  value = low + chroma
  turns = sixths / 6
  saturation = chroma / jnp.where(value > 0, value, 1)
  return stacked([turns - jnp.floor(turns), saturation, value])


def hsv_to_rgb(images: jax.Array) -> jax.Array:
  """Inverts `rgb_to_hsv`; hues are taken modulo one turn."""
  turns, saturation, value = planes_of(images)
  chroma = saturation * value
  return stacked(
    from_hue(value - chroma, chroma, 6 * (turns - jnp.floor(turns)))
  )


def rgb_to_lab(images: jax.Array) -> jax.Array:
  """Converts sRGB to CIE 1976 L*a*b*, white D65, 2-degree observer.

  L ranges from 0 to 100, a from -86.2 to 98.2, b from -107.9 to 94.5.
  """
  low = images / 12.92
  high = ((images + 0.055) / 1.055) ** 2.4
  light = jnp.where(images > 0.04045, high, low)
  each = zip(planes_of(_affine(XYZ, (0, 0, 0), light)), D65, strict=True)
  x, y, z = (_lab_curve(plane / white) for plane, white in each)
  return stacked([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def lab_to_rgb(images: jax.Array) -> jax.Array:
  """Inverts `rgb_to_lab`; colors outside RGB are below 0 or above 1."""
  lightness, a, b = planes_of(images)
  y = (lightness + 16) / 116
  curves = zip((y + a / 500, y, y - b / 200), D65, strict=True)
  xyz = stacked([white * _lab_uncurve(curve) for curve, white in curves])
  light = _affine(np.linalg.inv(np.array(XYZ)), (0, 0, 0), xyz)
  # Both branches of `where` are differentiated: without the maximum, a power of
  # a number <= 0 makes the gradient NaN, although this branch is not selected.
  high = 1.055 * jnp.maximum(light, 1e-3) ** (1 / 2.4) - 0.055
  return jnp.where(light > 0.0031308, high, 12.92 * light)


def _lab_curve(x):
  low = 7.787 * x + 16 / 116
  # The maximum keeps the gradient finite at 0, as in `lab_to_rgb`.
  return jnp.where(x > 0.008856, jnp.cbrt(jnp.maximum(x, 1e-3)), low)


def _lab_uncurve(x):
  return jnp.where(x > 0.2068966, x**3, (x - 16 / 116) / 7.787)


def _affine(matrix, offset, images):
  """Computes `matrix x + offset` on the last axis, in float32.

  Sums of planes instead of a matmul: a TPU would multiply in bfloat16.
  """
  planes = planes_of(images)
  rows = zip(np.asarray(matrix), offset, strict=True)
  return stacked(
    [
      sum(float(w) * x for w, x in zip(row, planes, strict=True)) + float(shift)
      for row, shift in rows
    ]
  )


# Mean and std of lab, ycbcr and ydbdr are from the code of CMC and InfoMin.
# Those of rgb are ImageNet's. For hsv, as for lab, they are the middle of the
# range and half of its length.
SPACES = {
  "hsv": Space(rgb_to_hsv, hsv_to_rgb, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
  "lab": Space(
    rgb_to_lab, lab_to_rgb, (50.0, 6.025, -6.69), (50.0, 92.208, 101.17)
  ),
  "rgb": linear(np.eye(3).tolist(), mean=MEAN_PIXEL, std=(0.229, 0.224, 0.225)),
  "ycbcr": linear(
    YCBCR,
    (16.0, 128.0, 128.0),
    mean=(116.151, 121.080, 132.342),
    std=(109.5, 111.855, 111.964),
  ),
  "ydbdr": linear(YDBDR, mean=(0.457, -0.082, -0.052), std=(0.5, 1.331, 1.333)),
  "yiq": linear(YIQ),
  "ypbpr": linear(YPBPR),
}
