"""SSIM against closed facts, a naive loop and scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from infomin_jax.errors import UserError
from infomin_jax.eval.probes.reconstruction import (
  reconstruction_scores,
  similarities,
  spread,
)
from infomin_jax.eval.probes.ssim import (
  WEIGHTS,
  ms_ssim,
  published_ssim,
  scales,
  ssim,
)

MEASURES = {
  "ssim": lambda x, y: ssim(x, y, data_range=1.0),
  "ms_ssim": lambda x, y: ms_ssim(x, y, data_range=1.0),
  "published": published_ssim,
}


def smooth(count, side, channels=3, seed=0):
  """Blurred noise in [0, 1], so that neighboring pixels are alike."""
  small = jax.random.uniform(jax.random.key(seed), (count, 8, 8, channels))
  big = jax.image.resize(small, (count, side, side, channels), "cubic")
  return jnp.clip(big, 0, 1)


def noisy(x, sigma, seed=1):
  return jnp.clip(
    x + sigma * jax.random.normal(jax.random.key(seed), x.shape), 0, 1
  )


def gaussian():
  places = np.arange(-5, 6)
  window = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 1.5**2))
  return window / window.sum()


def slow_maps(x, y, c1, c2):
  """Luminance and contrast at each window of two gray images, by loops."""
  window, h, w = gaussian(), *x.shape
  luminance, contrast = np.zeros((2, h - 10, w - 10))
  for i in range(h - 10):
    for j in range(w - 10):
      a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
      ma, mb = (window * a).sum(), (window * b).sum()
      va = (window * (a - ma) ** 2).sum()
      vb = (window * (b - mb) ** 2).sum()
      cov = (window * (a - ma) * (b - mb)).sum()
      luminance[i, j] = (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
      contrast[i, j] = (2 * cov + c2) / (va + vb + c2)
  return luminance, contrast


@pytest.mark.parametrize("name", MEASURES)
def test_an_image_is_like_itself(name):
  x = smooth(2, 32)
  np.testing.assert_allclose(MEASURES[name](x, x), 1, atol=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_noise_lowers_it(name):
  x = smooth(4, 48)
  values = [MEASURES[name](x, noisy(x, s)).mean() for s in (0.02, 0.05, 0.2)]
  assert 1 > values[0] > values[1] > values[2] > 0


@pytest.mark.parametrize("name", MEASURES)
def test_it_is_symmetric(name):
  x = smooth(2, 32)
  y = noisy(x, 0.1)
  np.testing.assert_allclose(
    MEASURES[name](x, y), MEASURES[name](y, x), atol=1e-6
  )


def test_ssim_of_flat_images_is_the_luminance_term():
  a, b = 0.2, 0.6
  x, y = jnp.full((1, 16, 16, 1), a), jnp.full((1, 16, 16, 1), b)
  c1 = 0.01**2
  want = (2 * a * b + c1) / (a**2 + b**2 + c1)
  np.testing.assert_allclose(ssim(x, y, data_range=1.0), want, rtol=1e-3)


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_is_the_mean_of_its_windows(data_range):
  x = np.asarray(smooth(1, 18, channels=1), np.float64)[0, ..., 0]
  y = np.asarray(noisy(jnp.asarray(x), 0.1), np.float64)
  c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
  luminance, contrast = slow_maps(x, y, c1, c2)
  got = ssim(
    jnp.float32(x)[None, ..., None],
    jnp.float32(y)[None, ..., None],
    data_range=data_range,
  )
  np.testing.assert_allclose(got, (luminance * contrast).mean(), atol=1e-5)


def test_ssim_is_that_of_scikit_image():
  x = smooth(1, 40)
  y = noisy(x, 0.1)
  want = structural_similarity(
    np.asarray(x[0]),
    np.asarray(y[0]),
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    data_range=1.0,
    channel_axis=-1,
  )
  np.testing.assert_allclose(ssim(x, y, data_range=1.0), want, atol=1e-5)


def test_published_ssim_pads_with_zeros_and_keeps_the_small_constants():
  x = np.asarray(smooth(1, 12, channels=1), np.float64)[0, ..., 0] * 2 - 1
  y = np.clip(x + 0.1, -1, 1)
  luminance, contrast = slow_maps(np.pad(x, 5), np.pad(y, 5), 1e-4, 9e-4)
  assert luminance.shape == x.shape
  got = published_ssim(
    jnp.float32(x)[None, ..., None], jnp.float32(y)[None, ..., None]
  )
  np.testing.assert_allclose(got, (luminance * contrast).mean(), atol=1e-4)


def test_ms_ssim_is_the_weighted_product_over_scales():
  x = np.asarray(smooth(1, 24, channels=1), np.float64)[0, ..., 0]
  y = np.asarray(noisy(jnp.asarray(x), 0.1), np.float64)
  assert scales(24) == 2

  def half(a):
    return a.reshape(12, 2, 12, 2).mean((1, 3))

  _, fine = slow_maps(x, y, 1e-4, 9e-4)
  luminance, coarse = slow_maps(half(x), half(y), 1e-4, 9e-4)
  first, second = np.array(WEIGHTS[:2]) / sum(WEIGHTS[:2])
  want = fine.mean() ** first * (luminance * coarse).mean() ** second
  got = ms_ssim(
    jnp.float32(x)[None, ..., None],
    jnp.float32(y)[None, ..., None],
    data_range=1.0,
  )
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_number_of_scales():
  sides = (11, 21, 22, 28, 32, 43, 44, 64, 87, 88, 175, 176, 224, 500)
  want = (1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5)
  assert tuple(scales(side) for side in sides) == want
  with pytest.raises(UserError, match="at least 11 pixels"):
    scales(8)


def test_opposite_images_are_unlike():
  x = jax.random.uniform(jax.random.key(0), (1, 32, 32, 1))
  assert ssim(x, 1 - x, data_range=1.0)[0] < -0.5
  assert ms_ssim(x, 1 - x, data_range=1.0)[0] == 0


def test_similarities_take_pixels_to_the_decoder_s_range():
  images = np.asarray(255 * smooth(3, 32)).astype(np.uint8)
  decoded = np.asarray(spread(images))
  assert decoded.min() >= -1 and decoded.max() <= 1
  np.testing.assert_allclose(similarities(decoded, images), 1, atol=1e-4)


@pytest.mark.slow
def test_features_that_hold_the_image_are_decoded_better():
  # Two numbers make each image; the other features know nothing of them.
  rng = np.random.default_rng(0)
  x = rng.uniform(0, 1, (384, 2)).astype(np.float32)
  ramp = np.linspace(0, 1, 12)
  images = x[:, 0, None, None] * ramp[None, :, None]
  images = images + x[:, 1, None, None] * (1 - ramp)[None, None, :]
  images = (127 * images).astype(np.uint8)[..., None]
  noise = rng.uniform(0, 1, (384, 2)).astype(np.float32)
  good, bad = (
    reconstruction_scores(
      f[:320], images[:320], f[320:], images[320:], epochs=10
    )
    for f in (x, noise)
  )
  assert set(good) == {
    "ssim (published as MS-SSIM)",
    "ssim",
    "ms_ssim (1 scales)",
  }
  assert all(good[name] > bad[name] for name in good)
