"""Color operations on one float32 image `[h, w, c]` in [0, 1], c 1 or 3.

They equal torchvision's on float tensors: every result is clipped to [0, 1].
`random_grayscale` and `color_jitter` take a key and draw their parameters. The
other functions take the parameters. On images of 1 channel, saturation and hue
change nothing.
"""

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError

# Weights of red, green and blue in the luma of Rec. 601.
LUMA = (0.299, 0.587, 0.114)


def adjust_brightness(image: jax.Array, factor) -> jax.Array:
  """Multiplies by `factor` >= 0; 1 changes nothing, 0 is black."""
  return stacked(_blend(_planes(image), 0.0, factor))


def adjust_contrast(image: jax.Array, factor) -> jax.Array:
  """Blends with the mean luma; factor 1 changes nothing, 0 is uniform gray."""
  planes = _planes(image)
  return stacked(_blend(planes, _luma(planes).mean(), factor))


def adjust_saturation(image: jax.Array, factor) -> jax.Array:
  """Blends with the luma; factor 1 changes nothing, 0 is gray."""
  planes = _planes(image)
  return stacked(_blend(planes, _luma(planes), factor))


def adjust_hue(image: jax.Array, shift) -> jax.Array:
  """Adds `shift` turns, in [-0.5, 0.5], to the hue of HSV."""
  return stacked(_shift_hue(_planes(image), shift))


def grayscale(image: jax.Array) -> jax.Array:
  """Sets every channel to the luma; a 1-channel image is unchanged."""
  planes = _planes(image)
  return stacked([_luma(planes)] * len(planes))


def random_grayscale(key, image: jax.Array, p: float = 0.2) -> jax.Array:
  """Applies `grayscale` with probability `p`."""
  return jnp.where(jax.random.bernoulli(key, p), grayscale(image), image)


def color_jitter(
  key,
  image: jax.Array,
  brightness: float,
  contrast: float,
  saturation: float,
  hue: float,
  p: float = 1.0,
) -> jax.Array:
  """Applies torchvision's ColorJitter: 4 operations in random order.

  Args:
    key: one PRNG key.
    image: `[h, w, c]`, c 1 or 3; on 1 channel only the first two operations
      act.
    brightness, contrast, saturation: range r; the factor is uniform in
      `[max(0, 1 - r), 1 + r]`.
    hue: range r; the shift is uniform in `[-r, r]` turns. Values above 0.5 act
      as 0.5.
    p: probability that the image is changed at all.
  """
  u = jax.random.uniform(key, (9,))
  reach = jnp.array([brightness, contrast, saturation])
  low = jnp.maximum(1 - reach, 0)
  order = jnp.argsort(u[:3])
  factor = (low + (1 + reach - low) * u[3:6])[order]
  to_mean, to_luma = (order == 1) * 1.0, (order == 2) * 1.0
  # Under `vmap` a switch would run every branch. So every image takes the same
  # 7 steps. Brightness, contrast and saturation are one blend with different
  # targets. Hue costs more: it runs once, between two rounds of three blends.
  # Each blend acts in one of the two rounds, which gives all 24 orders.
  hue_slot = jnp.floor(4 * u[6])
  hue = min(hue, 0.5)
  before, planes = _planes(image), _planes(image)
  for side in range(2):
    for slot in range(3):
      acts = (slot < hue_slot) == (side == 0)
      luma = _luma(planes)
      toward = to_mean[slot] * luma.mean() + to_luma[slot] * luma
      planes = _blend(planes, toward, jnp.where(acts, factor[slot], 1.0))
    if side == 0:
      planes = _shift_hue(planes, hue * (2 * u[7] - 1))
  return stacked(
    [jnp.where(u[8] < p, x, y) for x, y in zip(planes, before, strict=True)]
  )


def planes_of(images):
  """Returns the channels as a list of planes `[..., h, w]`."""
  # XLA vectorizes over planes, but not over pixels `[..., 3]`. Transposing the
  # whole array at once cancels with the transposition in `stacked`.
  return list(jnp.moveaxis(images, -1, 0))


def stacked(planes):
  """Stacks planes `[..., h, w]` as channels: `[..., h, w, c]`."""
  return jnp.moveaxis(jnp.stack(planes), 0, -1)


def to_hue(planes):
  """Converts RGB to lowest channel, chroma and hue.

  Args:
    planes: red, green and blue, of one shape.

  Returns:
    `low, chroma, sixths`, each of that shape; the hue is in sixths of a turn,
    from -1 to 5.
  """
  r, g, b = planes
  high, low = (
    jnp.maximum(jnp.maximum(r, g), b),
    jnp.minimum(jnp.minimum(r, g), b),
  )
  chroma = high - low
  # Grays have no hue; their quotients are 0, not NaN.
  scale = 1 / jnp.where(chroma > 0, chroma, 1)
  sixths = jnp.where(
    high == r,
    (g - b) * scale,
    jnp.where(high == g, (b - r) * scale + 2, (r - g) * scale + 4),
  )
  return low, chroma, sixths


def from_hue(low, chroma, sixths):
  """Inverts `to_hue` for hues from 0 to 6: red, green and blue planes."""
  # Over the circle of hues each channel is a trapezoid, shifted by a third.
  share = (
    jnp.abs(sixths - 3) - 1,
    2 - jnp.abs(sixths - 2),
    2 - jnp.abs(sixths - 4),
  )
  return [low + chroma * jnp.clip(s, 0, 1) for s in share]


def _planes(image):
  if image.shape[-1] not in (1, 3):
    raise UserError(
      "Color operations need images of 1 or 3 channels, got "
      f"{image.shape[-1]}. The views crop, none and halves take any number."
    )
  return planes_of(image)


def _luma(planes):
  if len(planes) == 1:
    return planes[0]
  return LUMA[0] * planes[0] + LUMA[1] * planes[1] + LUMA[2] * planes[2]


def _blend(planes, toward, factor):
  rest = (1 - factor) * toward
  return [jnp.clip(factor * x + rest, 0, 1) for x in planes]


def _shift_hue(planes, shift):
  if len(planes) == 1:
    return planes
  low, chroma, sixths = to_hue(planes)
  sixths = sixths + 6 * shift
  sixths = sixths - 6 * jnp.floor(sixths / 6)
  return from_hue(low, chroma, sixths)
