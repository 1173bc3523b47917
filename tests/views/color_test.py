"""Color operations against torchvision's formulas, and what jitter draws."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import skimage.color
import skimage.data
from PIL import Image

from infomin_jax.errors import UserError
from infomin_jax.views import color


@pytest.fixture(scope="module")
def photo():
  """A real photograph, uint8 [75, 81, 3]."""
  return skimage.data.astronaut()[:450:6, 40:445:5]


def to_float(image):
  return jnp.asarray(image, jnp.float32) / 255


def many_keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


def luma(x):
  return x @ np.array([0.299, 0.587, 0.114])


def blend(x, other, factor):
  return np.clip(factor * x + (1 - factor) * other, 0, 1)


def shift_hue(x, shift):
  hsv = skimage.color.rgb2hsv(x)
  hsv[..., :1] = (hsv[..., :1] + shift) % 1.0
  return skimage.color.hsv2rgb(hsv)


def brightness(x, factor):
  return blend(x, 0.0, factor)


def contrast(x, factor):
  mean = luma(x).mean((-2, -1))[..., None, None, None]
  return blend(x, mean, factor)


def saturation(x, factor):
  return blend(x, luma(x)[..., None], factor)


REFERENCE = (brightness, contrast, saturation, shift_hue)


@pytest.mark.parametrize(
  ("ours", "reference", "parameters"),
  [
    (color.adjust_brightness, brightness, (0.0, 0.4, 1.0, 1.8)),
    (color.adjust_contrast, contrast, (0.0, 0.4, 1.0, 1.8)),
    (color.adjust_saturation, saturation, (0.0, 0.4, 1.0, 1.8)),
    (color.adjust_hue, shift_hue, (-0.5, -0.13, 0.0, 0.2, 0.5)),
  ],
)
def test_adjustments(photo, ours, reference, parameters):
  image = to_float(photo)
  corners = jnp.array(list(itertools.product([0.0, 1.0], repeat=3)))
  image = image.at[0, :8].set(corners)  # black, white and the pure hues
  for parameter in parameters:
    expected = reference(np.asarray(image, float), parameter)
    np.testing.assert_allclose(ours(image, parameter), expected, atol=1e-5)


def test_grayscale_is_pillows_luma(photo):
  got = color.grayscale(to_float(photo))
  expected = np.asarray(Image.fromarray(photo).convert("L"), float)
  for k in range(3):
    assert np.abs(255 * got[..., k] - expected).max() < 0.51


def test_jitter_applies_the_four_in_any_order(photo):
  """Every result is one of 24 compositions, and all 24 are as likely."""
  n, image = 1200, np.asarray(to_float(photo))[10:70:15, :60:12]
  ranges = dict(brightness=0.6, contrast=0.7, saturation=0.8, hue=0.2)
  jitter = functools.partial(color.color_jitter, image=image, **ranges)
  got = jax.jit(jax.vmap(jitter))(many_keys(n))
  draw = jax.vmap(lambda k: jax.random.uniform(k, (9,)))
  u = np.asarray(draw(many_keys(n)), float)
  spread = 2 * u[:, (3, 4, 5, 7)] - 1
  drawn = np.array([1, 1, 1, 0]) + spread * np.array([0.6, 0.7, 0.8, 0.2])
  error = []
  for order in itertools.permutations(range(4)):
    x = np.broadcast_to(image, got.shape)
    for operation in order:
      x = REFERENCE[operation](x, drawn[:, operation, None, None, None])
    error.append(np.abs(x - got).max((1, 2, 3)))
  error = np.array(error)
  assert error.min(0).max() < 1e-4
  # Orders that agree for one image (nothing was clipped) share its count.
  agree = error < 1e-4
  counts = (agree / agree.sum(0)).sum(1)
  assert counts.sum() == pytest.approx(n)
  assert 25 < counts.min() and counts.max() < 90  # expected: 50


def test_jitter_factor_is_uniform_and_never_negative():
  image = jnp.full((1, 1, 3), 0.3)

  @jax.jit
  def brighter(keys, reach):
    jitter = functools.partial(color.color_jitter, brightness=reach)
    return jax.vmap(
      lambda k: jitter(k, image, contrast=0, saturation=0, hue=0)
    )(keys)

  for reach in (0.4, 1.5):
    factor = np.asarray(brighter(many_keys(4000), reach))[:, 0, 0, 0] / 0.3
    low = max(0, 1 - reach)
    expected = scipy.stats.uniform(low, 1 + reach - low)
    assert scipy.stats.kstest(factor, expected.cdf).pvalue > 0.01


def test_jitter_probability(photo):
  image = to_float(photo)[20:24, 20:24]

  @jax.jit
  def jittered(keys, p):
    def jitter(k):
      return color.color_jitter(k, image, 0.4, 0.4, 0.4, 0.1, p)

    return jax.vmap(jitter)(keys)

  for p, within in ((0.0, 0.0), (0.8, 0.04), (1.0, 0.0)):
    got = jittered(many_keys(2000), p)
    changed = (got != image[None]).any((1, 2, 3)).mean()
    assert abs(changed - p) <= within


def test_grayscale_probability(photo):
  image = to_float(photo)[30:32, 30:32]
  gray = jax.vmap(lambda k: color.random_grayscale(k, image))(many_keys(4000))
  assert abs((np.ptp(gray, axis=-1).max((1, 2)) == 0).mean() - 0.2) < 0.03


def test_one_channel_has_no_hue_or_saturation(photo):
  gray = to_float(photo)[..., :1]
  np.testing.assert_array_equal(color.adjust_hue(gray, 0.3), gray)
  np.testing.assert_allclose(
    color.adjust_saturation(gray, 1.7), gray, atol=1e-6
  )
  np.testing.assert_array_equal(color.grayscale(gray), gray)
  whole = color.color_jitter(jax.random.key(3), gray, 0.4, 0.4, 0.4, 0.1)
  part = color.color_jitter(jax.random.key(3), gray, 0.4, 0.4, 0.0, 0.0)
  np.testing.assert_allclose(whole, part, atol=1e-6)
  assert np.abs(whole - gray).max() > 0.01


def test_color_of_five_channels_is_refused_politely():
  with pytest.raises(UserError, match=r"got 5\. The views crop, none"):
    color.color_jitter(jax.random.key(0), jnp.ones((4, 4, 5)), 1, 1, 1, 0.1)
