"""How alike two images are: SSIM, at one scale and at several."""

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import UserError

WINDOW = 11  # pixels of the Gaussian window's side
SIGMA = 1.5  # its standard deviation, in pixels
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, fine first


def ssim(
  x: jax.Array, y: jax.Array, *, data_range: float, padding: str = "VALID"
) -> jax.Array:
  """Structural similarity at one scale, `[b]`; 1 for equal images, else below.

  The mean over places and channels.

  Args:
    x: `[b, h, w, c]`.
    y: the same shape.
    data_range: largest value that pixels may have, less the smallest.
    padding: `VALID`, windows within the image; `SAME`, zeros around it.

  References:
    Wang et al., Image quality assessment: from error visibility to structural
    similarity, 2004, eq. 13, with its constants.
  """
  luminance, contrast = _similarities(x, y, data_range, padding)
  return jnp.mean(luminance * contrast, axis=(1, 2, 3))


def published_ssim(x: jax.Array, y: jax.Array) -> jax.Array:
  """Returns MS-SSIM as in table 4 of Deep InfoMax, `[b]`: SSIM at one scale.

  Of images in [-1, 1] with the constants for a range of 1, and zeros around
  them; in the authors' code, `functions/misc.py`.
  """
  return ssim(x, y, data_range=1.0, padding="SAME")


def ms_ssim(x: jax.Array, y: jax.Array, *, data_range: float) -> jax.Array:
  """Multi-scale structural similarity, `[b]`; 1 for equal images, else below.

  Images are halved by 2 x 2 means from scale to scale. Five scales need 176
  pixels; smaller images get as many as hold the window, `scales(side)`, whose
  weights are scaled to sum to 1. Where contrasts disagree on average (a
  negative mean), the value is 0.

  Args:
    x: `[b, h, w, c]`.
    y: the same shape.
    data_range: largest value that pixels may have, less the smallest.

  References:
    Wang, Simoncelli, Bovik, Multi-scale structural similarity for image quality
    assessment, 2003, eq. 7.
  """
  count = scales(min(x.shape[1:3]))
  weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
  product = jnp.ones((len(x), x.shape[-1]))
  for i, weight in enumerate(weights):
    luminance, contrast = _similarities(x, y, data_range, "VALID")
    last = i == count - 1
    found = luminance * contrast if last else contrast
    mean = jnp.mean(found, axis=(1, 2))  # [b, c]
    product = product * jnp.maximum(mean, 0) ** weight
    x, y = _halve(x), _halve(y)
  return jnp.mean(product, axis=1)


def scales(side: int) -> int:
  """Returns the scales of `ms_ssim` of images of so many pixels, at most 5."""
  if side < WINDOW:
    raise UserError(
      f"SSIM: expected images of at least {WINDOW} pixels, got {side}: raise "
      "config.views.size."
    )
  return min(len(WEIGHTS), 1 + int(np.log2(side / WINDOW)))


def _similarities(x, y, data_range, padding):
  """Luminance, and contrast times structure, at each place: `[b, h, w, c]`."""
  c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
  mean_x, mean_y = _blur(x, padding), _blur(y, padding)
  variance_x = _blur(x * x, padding) - mean_x**2
  variance_y = _blur(y * y, padding) - mean_y**2
  covariance = _blur(x * y, padding) - mean_x * mean_y
  luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
  contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
  return luminance, contrast


def _blur(x, padding):
  """The Gaussian mean around each place, channel by channel."""
  places = np.arange(WINDOW) - WINDOW // 2
  window = np.exp(-(places**2) / (2 * SIGMA**2))
  window = jnp.asarray(window / window.sum(), jnp.float32)
  channels = x.shape[-1]
  for shape in ((WINDOW, 1, 1, 1), (1, WINDOW, 1, 1)):
    x = jax.lax.conv_general_dilated(
      x,
      jnp.tile(window.reshape(shape), (1, 1, 1, channels)),
      (1, 1),
      padding,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      feature_group_count=channels,
      precision="highest",
    )
  return x


def _halve(x):
  """Means of 2 x 2 pixels; an odd last row or column is left out."""
  b, h, w, c = x.shape
  x = x[:, : h // 2 * 2, : w // 2 * 2]
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
