"""Image operations against Pillow and plain numpy, and what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import skimage.data
from PIL import Image

from infomin_jax.views import image_ops


@pytest.fixture(scope="module")
def photo():
  """A real photograph, uint8 [75, 81, 3]."""
  return skimage.data.astronaut()[:450:6, 40:445:5]


def to_float(image):
  return jnp.asarray(image, jnp.float32) / 255


def many_keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


# Crops and flips.


@pytest.mark.parametrize("size", [16, 64])
def test_crop_resize_is_pillows_crop_then_resize(photo, size):
  crop = jax.jit(image_ops.crop_resize, static_argnums=5)
  windows = [(0, 0, 75, 81), (3, 7, 40, 61), (20, 30, 11, 9), (70, 0, 5, 81)]
  for top, left, height, width in windows:
    box = (left, top, left + width, top + height)
    cut = Image.fromarray(photo).crop(box)
    expected = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR))
    got = 255 * crop(to_float(photo), top, left, height, width, size)
    # Pillow rounds to 8 bits after each of its two passes: half a level each.
    assert np.abs(got - expected.astype(float)).max() < 1.01


def test_crop_of_everything_at_its_own_size_changes_nothing(photo):
  image = to_float(photo[:, :75])
  got = image_ops.crop_resize(image, 0, 0, 75, 75, 75)
  np.testing.assert_allclose(got, image, atol=1e-6)


def test_crop_treats_channels_alike(photo):
  image = jnp.concatenate([to_float(photo), to_float(photo)[..., :2]], -1)
  got = image_ops.crop_resize(image, 5, 6, 30, 41, 16)
  for k in range(5):
    alone = image_ops.crop_resize(image[..., k : k + 1], 5, 6, 30, 41, 16)
    np.testing.assert_allclose(got[..., k : k + 1], alone, atol=1e-6)


def torchvision_window(rng, height, width, scale, ratio):
  """RandomResizedCrop.get_params, written with its loop."""
  for _ in range(10):
    area = height * width * rng.uniform(*scale)
    aspect = np.exp(rng.uniform(*np.log(ratio)))
    w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
  raise AssertionError("no window fits: choose other test sizes")


@pytest.mark.parametrize("shape", [(64, 64), (60, 90)])
def test_windows_are_distributed_as_torchvisions(shape):
  rng = np.random.default_rng(0)
  scale, ratio = (0.2, 1.0), (3 / 4, 4 / 3)
  expected = np.array(
    [torchvision_window(rng, *shape, scale, ratio) for _ in range(4000)]
  )
  sample = jax.vmap(
    lambda k: jnp.stack(image_ops.sample_window(k, *shape, scale, ratio))
  )
  got = np.asarray(jax.jit(sample)(many_keys(4000)))
  np.testing.assert_array_equal(got, np.round(got))
  assert (got[:, :2] >= 0).all()
  assert (got[:, :2] + got[:, 2:] <= shape).all()
  for window in (got, expected):
    area = window[:, 2] * window[:, 3] / np.prod(shape)
    aspect = window[:, 3] / window[:, 2]
    assert 0.18 < area.min() and area.max() <= 1
    assert 0.72 < aspect.min() and aspect.max() < 1.38  # rounding to pixels
  for column in range(4):
    test = scipy.stats.ks_2samp(got[:, column], expected[:, column])
    assert test.pvalue > 0.01


def test_windows_reach_every_border():
  square = ((9 / 16, 9 / 16), (1, 1))  # 3 x 3 of 4 x 4: four places

  def sample(key):
    return jnp.stack(image_ops.sample_window(key, 4, 4, *square))

  windows = np.asarray(jax.jit(jax.vmap(sample))(many_keys(2000)))
  assert (windows[:, 2:] == 3).all()
  counts = np.unique(windows, axis=0, return_counts=True)[1]
  assert scipy.stats.chisquare(counts, [500] * 4).pvalue > 0.01


@pytest.mark.parametrize(
  ("shape", "expected"),
  [
    ((10, 100), (0, 43, 10, 13)),  # 10 * 4/3 wide, in the middle
    ((100, 10), (43, 0, 13, 10)),
  ],
)
def test_without_a_fitting_window_the_middle_is_taken(shape, expected):
  def sample(key):
    return image_ops.sample_window(key, *shape, (0.9, 1.0), (3 / 4, 4 / 3))

  windows = jnp.stack(jax.jit(jax.vmap(sample))(many_keys(20)), -1)
  assert (windows == jnp.array(expected)[None]).all()


def test_flip_mirrors_half_of_the_images(photo):
  image = to_float(photo)
  np.testing.assert_array_equal(image_ops.flip(image), image[:, ::-1])
  small = image[:2, :3]
  flipped = jax.vmap(lambda k: image_ops.random_flip(k, small))(many_keys(4000))
  mirrored = (flipped == small[None, :, ::-1]).all((1, 2, 3))
  assert (mirrored | (flipped == small[None]).all((1, 2, 3))).all()
  assert abs(mirrored.mean() - 0.5) < 0.03  # 4 standard deviations


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (48, 48)])
def test_resize_center_is_pillows_resize_then_crop(photo, shape):
  image = photo[: shape[0], : shape[1]]
  got = image_ops.resize_center(jnp.asarray(image)[None], 36, 32)[0]
  scale = 36 / min(shape)
  resized = Image.fromarray(image).resize(
    (round(shape[1] * scale), round(shape[0] * scale)),
    Image.Resampling.BILINEAR,
  )
  top, left = (resized.height - 32) // 2, (resized.width - 32) // 2
  expected = np.asarray(resized)[top : top + 32, left : left + 32]
  # The cut's border may read up to a pixel more or less of the image.
  inner = (slice(2, -2), slice(2, -2))
  error = np.abs(255 * got - expected.astype(float))
  assert error[inner].max() < 1.01


# Blur.


@pytest.mark.parametrize("sigma", [0.1, 0.8, 2.0])
@pytest.mark.parametrize("radius", [1, 11])
def test_blur_is_a_truncated_gaussian_with_reflection(photo, sigma, radius):
  image = to_float(photo)[:30]
  got = image_ops.gaussian_blur(image, sigma, radius)
  expected = np.asarray(image, float)
  for axis in (0, 1):
    expected = scipy.ndimage.gaussian_filter1d(
      expected, sigma, axis, mode="mirror", radius=radius
    )
  np.testing.assert_allclose(got, expected, atol=1e-5)


def test_blur_of_a_small_image_reflects_once(photo):
  image = to_float(photo)[:8, :8]
  got = image_ops.gaussian_blur(image, 2.0, 11)
  np.testing.assert_array_equal(got, image_ops.gaussian_blur(image, 2.0, 7))
  flat = jnp.full((8, 8, 1), 0.3)
  np.testing.assert_allclose(
    image_ops.gaussian_blur(flat, 2.0, 11), flat, atol=1e-6
  )


def test_blur_probability_and_sigma(photo):
  image = jnp.zeros((25, 25, 1)).at[12, 12].set(1.0)

  def blur(key):
    return image_ops.random_gaussian_blur(key, image, 11, (0.5, 2.0))

  blurred = jax.jit(jax.vmap(blur))(many_keys(2000))
  peak = np.asarray(blurred[:, 12, 12, 0])
  assert abs((peak == 1).mean() - 0.5) < 0.045
  # Far inside the truncation the peak is 1 / (2 pi sigma^2).
  sigma = np.sqrt(1 / (2 * np.pi * peak[peak < 0.3]))
  expected = scipy.stats.uniform(sigma.min(), 2.0 - sigma.min())
  assert abs(sigma.max() - 2.0) < 0.02
  assert scipy.stats.kstest(sigma, expected.cdf).pvalue > 0.01


def test_simclr_kernel_follows_the_height():
  image = jnp.zeros((40, 40, 1)).at[20, 20].set(1.0)
  blurred = image_ops.random_gaussian_blur(
    jax.random.key(0), image, None, (2.0, 2.0), p=1.0
  )
  assert int((blurred > 0).sum()) == 25  # radius 40 // 20 = 2
