"""Pillow's 8-bit pixel arithmetic in JAX.

A plane is one channel of an image: float32 `[h, w]` that holds whole numbers
from 0 to 255.
"""

import jax
import jax.numpy as jnp


def luma(planes):
  """Computes `convert("L")` of 1 or 3 planes, in 16-bit fixed point."""
  if len(planes) == 1:
    return planes[0]
  r, g, b = (x.astype(jnp.int32) for x in planes)
  return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(jnp.float32)


def histogram(plane):
  """Counts the values 0 to 255 of a plane: `[256]`."""
  return jnp.zeros(256).at[plane.astype(jnp.int32).ravel()].add(1)


def point(table, plane):
  """Replaces every pixel by its entry in `table`, `[256]`."""
  return table.at[plane.astype(jnp.int32)].get(mode="promise_in_bounds")


def blend(other, image, factor):
  """Computes `Image.blend`: clips and truncates; factor > 1 extrapolates."""
  return jnp.floor(jnp.clip(other + factor * (image - other), 0, 255))


def smooth(plane):
  """Applies `ImageFilter.SMOOTH`: a 3x3 mean with center weight 5.

  Pixels at the border are unchanged.
  """
  rows = plane[:-2] + plane[1:-1] + plane[2:]
  box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
  inner = jnp.floor((box + 4 * plane[1:-1, 1:-1]) / 13 + 0.5)
  return jax.lax.dynamic_update_slice(plane, inner, (1, 1))


def warp(planes, matrix, pivot, shift, cubic, fill):
  """Applies `Image.transform(AFFINE)` to 1 to 3 planes.

  Args:
    planes: list of `[h, w]`.
    matrix: `[2, 2]`, maps output (x, y) to input (x, y), both relative to the
      pivot.
    pivot: the fixed point, as a fraction of both sides.
    shift: `[2]`, added to the input (x, y), as a fraction of the sides.
    cubic: interpolate bicubically; otherwise bilinearly.
    fill: one value per plane, for points outside the image.

  Returns:
    List of planes `[h, w]`.
  """
  h, w = planes[0].shape
  x = jnp.arange(w)[None] + 0.5 - pivot * w
  y = jnp.arange(h)[:, None] + 0.5 - pivot * h
  at_x = matrix[0, 0] * x + matrix[0, 1] * y + (pivot + shift[0]) * w
  at_y = matrix[1, 0] * x + matrix[1, 1] * y + (pivot + shift[1]) * h
  inside = (at_x >= 0) & (at_x < w) & (at_y >= 0) & (at_y < h)
  left, top = jnp.floor(at_x - 0.5), jnp.floor(at_y - 0.5)
  weights_x = _taps(at_x - 0.5 - left, cubic)
  weights_y = jnp.stack(_taps(at_y - 0.5 - top, cubic))
  columns = [
    jnp.clip(left.astype(jnp.int32) + k, 0, w - 1) for k in range(-1, 3)
  ]

  # The gathers take most of the time, so all planes are packed into one int32
  # word per pixel and are read together.
  words = jnp.zeros(h * w, jnp.int32)
  for k, plane in enumerate(planes):
    words |= plane.astype(jnp.int32).ravel() << 8 * k

  def add_row(n, totals):
    row = w * jnp.clip(top.astype(jnp.int32) + n - 1, 0, h - 1)
    read = [words.at[row + c].get(mode="promise_in_bounds") for c in columns]
    sums = []
    for k, total in enumerate(totals):
      values = [((word >> 8 * k) & 255).astype(jnp.float32) for word in read]
      line = sum(a * b for a, b in zip(weights_x, values, strict=True))
      sums.append(total + weights_y[n] * line)
    return sums

  totals = jax.lax.fori_loop(0, 4, add_row, [jnp.zeros((h, w)) for _ in planes])
  # Pillow truncates. In float32 a sum that should be a whole number may be
  # slightly below it: without 1e-4 it would be truncated to the next lower one.
  return [
    jnp.where(inside, jnp.floor(jnp.clip(total + 1e-4, 0, 255)), outside)
    for total, outside in zip(totals, fill, strict=True)
  ]


def _taps(d, cubic):
  """Returns the weights of pixels -1, 0, 1, 2 at a fraction d.

  The cubic kernel is Pillow's for transforms, with a = -1.
  """
  square, cube = d**2, d**3
  sharp = (
    2 * square - d - cube,
    1 - 2 * square + cube,
    d + square - cube,
    cube - square,
  )
  linear = (0, 1 - d, d, 0)
  return [jnp.where(cubic, s, t) for s, t in zip(sharp, linear, strict=True)]
