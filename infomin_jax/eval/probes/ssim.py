"""Structural similarity of images (SSIM), at one scale and at several."""

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import UserError

WINDOW = 11  # side of the Gaussian window, in pixels
SIGMA = 1.5  # standard deviation of the window, in pixels
K1, K2 = 0.01, 0.03  # the paper's stabilizers, relative to the range of pixels
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, fine first


def ssim(
  x: jax.Array, y: jax.Array, *, data_range: float, padding: str = "VALID"
) -> jax.Array:
  """Structural similarity at one scale, `[b]`; 1 for equal images, else below.

  It is the mean over places and channels.

  Args:
    x: `[b, h, w, c]`.
    y: the same shape.
    data_range: largest possible pixel value minus the smallest.
    padding: `VALID` for windows inside the image, `SAME` for zeros around it.

  References:
    Wang et al., Image quality assessment: from error visibility to structural
    similarity, 2004, eq. 13, with its constants.
  """
  luminance, contrast = _similarities(x, y, data_range, padding)
  return jnp.mean(luminance * contrast, axis=(1, 2, 3))


def published_ssim(x: jax.Array, y: jax.Array) -> jax.Array:
  """Returns the "MS-SSIM" of Deep InfoMax's table 4, `[b]`: SSIM at one scale.

  As in the authors' code, `functions/misc.py`, images are in [-1, 1], but the
  constants are those of a range of 1, and images are padded with zeros.
  """
  return ssim(x, y, data_range=1.0, padding="SAME")


def ms_ssim(x: jax.Array, y: jax.Array, *, data_range: float) -> jax.Array:
  """Multi-scale structural similarity, `[b]`; 1 for equal images, else below.

  Each scale halves the images by 2 x 2 means. Five scales need 176 pixels.
  Smaller images get as many scales as hold the window, `scales(side)`, with
  weights scaled to sum to 1. If the mean contrast is negative, the value is 0.

  Args:
    x: `[b, h, w, c]`.
    y: the same shape.
    data_range: largest possible pixel value minus the smallest.

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
    values = luminance * contrast if last else contrast
    mean = jnp.mean(values, axis=(1, 2))  # [b, c]
    # A fractional power of a negative mean would be NaN.
    product = product * jnp.maximum(mean, 0) ** weight
    x, y = _halve(x), _halve(y)
  return jnp.mean(product, axis=1)


def scales(side: int) -> int:
  """Returns the number of scales for images of `side` pixels, at most 5.

  Raises:
    UserError: the images are smaller than the window.
  """
  if side < WINDOW:
    raise UserError(
      f"SSIM: expected images of at least {WINDOW} pixels, got {side}: raise "
      "config.views.size."
    )
  return min(len(WEIGHTS), 1 + int(np.log2(side / WINDOW)))


def _similarities(x, y, data_range, padding):
  """Returns luminance, and contrast times structure, each `[b, h, w, c]`."""
  c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
  mean_x, mean_y = _blur(x, padding), _blur(y, padding)
  variance_x = _blur(x * x, padding) - mean_x**2
  variance_y = _blur(y * y, padding) - mean_y**2
  covariance = _blur(x * y, padding) - mean_x * mean_y
  luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
  contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
  return luminance, contrast


def _blur(x, padding):
  """Returns the Gaussian mean around each place, separately per channel."""
  places = np.arange(WINDOW) - WINDOW // 2
  window = np.exp(-(places**2) / (2 * SIGMA**2))
  window = jnp.asarray(window / window.sum(), jnp.float32)
  channels = x.shape[-1]
  # The window is separable: two 1-D convolutions instead of one 2-D. At the
  # default precision a TPU would multiply in bfloat16, and `_similarities`
  # takes differences of nearly equal means.
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
  """Returns means of 2 x 2 pixels; an odd last row or column is left out."""
  b, h, w, c = x.shape
  x = x[:, : h // 2 * 2, : w // 2 * 2]
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
