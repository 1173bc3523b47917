"""RandAugment against Pillow, and how often it does what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import skimage.data
from PIL import Image, ImageEnhance, ImageOps

from infomin_jax.errors import UserError
from infomin_jax.views import randaugment

pytestmark = pytest.mark.usefixtures("optimized")

FILL = (124, 116, 104)
NAMES = tuple(randaugment.OPS)
WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def pillow(name, image, m, sign=1, cubic=False, fill=FILL):
  """PyContrast's operation at level 10 m, by Pillow itself."""
  w, h = image.size
  how = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
  if image.mode == "L":
    fill = 115
  enhance = 0.1 + 1.8 * m

  def affine(*matrix):
    method = Image.Transform.AFFINE
    return image.transform((w, h), method, matrix, how, fillcolor=fill)

  def add():
    lifted = [min(255, i + int(110 * m)) if i < 128 else i for i in range(256)]
    return image.point(lifted * len(image.getbands()))

  return {
    "autocontrast": lambda: ImageOps.autocontrast(image),
    "equalize": lambda: ImageOps.equalize(image),
    "invert": lambda: ImageOps.invert(image),
    "rotate": lambda: image.rotate(30 * m * sign, how, fillcolor=fill),
    "posterize": lambda: ImageOps.posterize(image, max(1, int(4 * m))),
    "solarize": lambda: ImageOps.solarize(image, int(256 * m)),
    "solarize_add": add,
    "color": lambda: ImageEnhance.Color(image).enhance(enhance),
    "contrast": lambda: ImageEnhance.Contrast(image).enhance(enhance),
    "brightness": lambda: ImageEnhance.Brightness(image).enhance(enhance),
    "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(enhance),
    "shear_x": lambda: affine(1, 0.3 * m * sign, 0, 0, 1, 0),
    "shear_y": lambda: affine(1, 0, 0, 0.3 * m * sign, 1, 0),
    "translate_x": lambda: affine(1, 0, 0.45 * m * sign * w, 0, 1, 0),
    "translate_y": lambda: affine(1, 0, 0, 0, 1, 0.45 * m * sign * h),
    "identity": lambda: image,
  }[name]()


@jax.jit
def ours(image, which, m, sign, cubic):
  """Operation number `which` of `NAMES`, picked as RandAugment picks it."""
  makers = list(randaugment.OPS.values())
  maker = functools.partial(randaugment.choose, which, makers)
  return randaugment.apply(image, maker, m, sign, cubic)


def run(name, image, m, sign=1.0, cubic=False):
  """Levels 0 .. 255 of a uint8 image after the operation."""
  x = jnp.asarray(image, jnp.float32) / 255
  got = 255 * np.asarray(ours(x, NAMES.index(name), m, sign, cubic))
  np.testing.assert_allclose(got, np.round(got), atol=1e-3)
  return np.round(got).astype(int)


def photo(gray=False):
  image = Image.fromarray(skimage.data.astronaut()).resize((61, 48))
  return image.convert("L") if gray else image


def pixels(image):
  return np.asarray(image).reshape(image.height, image.width, -1)


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_operations_are_pillows(name, gray):
  """All within 1 gray level, and few pixels differ at all."""
  image = photo(gray)
  turns = [(s, c) for s in (1, -1) for c in (False, True)]
  for m in (1.0, 0.93, 0.5, 0.3):
    for sign, cubic in turns if name in WARPS else turns[:1]:
      expected = pixels(pillow(name, image, m, sign, cubic)).astype(int)
      error = np.abs(run(name, pixels(image), m, sign, cubic) - expected)
      assert error.max() <= 1
      # Warps truncate: a sum that is whole may round to just below it.
      assert (error > 0).mean() < (0.1 if name in WARPS else 0.001)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
@pytest.mark.parametrize(
  "kind", ["flat", "two values", "sparse", "skewed", "small"]
)
def test_histogram_operations_on_odd_images(name, kind):
  rng = np.random.default_rng(0)
  image = {
    "flat": np.full((48, 61, 3), 90),
    "two values": np.where(rng.random((48, 61, 3)) < 0.3, 20, 200),
    "sparse": np.pad(
      rng.integers(0, 256, (1, 61, 3)), [(47, 0), (0, 0), (0, 0)]
    ),
    "skewed": np.minimum(255, rng.exponential(20, (48, 61, 3))),
    "small": rng.integers(0, 256, (20, 25, 3)),  # entries above 255 are cut
  }[kind].astype(np.uint8)
  expected = pixels(pillow(name, Image.fromarray(image), 1.0)).astype(int)
  assert np.abs(run(name, image, 1.0) - expected).max() <= 1


@pytest.mark.parametrize("m", [0.0, 0.1, 0.2, 0.249])
def test_posterize_keeps_a_bit_at_any_magnitude(m):
  image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
  found = run("posterize", image, m)
  np.testing.assert_array_equal(found, 128 * (image >= 128))


def outcomes(image):
  """Every result at magnitude 10, by name; a warp has four."""
  turns = [(s, c) for s in (1.0, -1.0) for c in (False, True)]
  return {
    name: [
      run(name, image, 1.0, s, c)
      for s, c in (turns if name in WARPS else turns[:1])
    ]
    for name in NAMES
  }


def test_every_operation_is_drawn_as_often():
  n, image = 6000, pixels(photo())[10:26, 20:36]
  augment = functools.partial(
    randaugment.randaugment, image=image / 255, count=1, spread=0.0
  )
  keys = jax.random.split(jax.random.key(0), n)
  got = np.round(255 * np.asarray(jax.jit(jax.vmap(augment))(keys)))
  counts, left = [], n
  for name, results in outcomes(image).items():
    if name in ("identity", "solarize"):  # solarize at 10 changes nothing
      continue
    hits = [(np.abs(got - x).max((1, 2, 3)) <= 1).sum() for x in results]
    if name in WARPS:  # both signs and both resamplings
      assert min(hits) > 0.5 * n / 30 / 4
    counts.append(sum(hits))
    left -= sum(hits)
  # Each of the 15 acts with probability 1 / 30; 16 / 30 show no change.
  expected = np.array([*([n / 30] * 14), 16 * n / 30])
  assert scipy.stats.chisquare([*counts, left], expected).pvalue > 0.01


@pytest.mark.parametrize(("count", "p"), [(1, 0.5), (2, 0.5), (2, 1.0)])
def test_probability_and_number_of_operations(count, p):
  image = jnp.zeros((3, 3, 1))
  augment = functools.partial(
    randaugment.randaugment, image=image, names=("invert",), count=count, p=p
  )
  keys = jax.random.split(jax.random.key(1), 2000)
  inverted = (jax.jit(jax.vmap(augment))(keys) == 1).all((1, 2, 3)).mean()
  assert abs(inverted - (0.5 if p == 0.5 else 0.0)) < 0.045


def test_magnitude_is_a_clipped_normal():
  image = jnp.full((1, 1, 1), 130 / 255)
  augment = functools.partial(
    randaugment.randaugment, image=image, names=("brightness",), count=1, p=1.0
  )
  keys = jax.random.split(jax.random.key(2), 4000)
  out = 255 * np.asarray(jax.jit(jax.vmap(augment))(keys)).ravel()
  level = (out / 130 - 0.1) / 0.18
  assert abs((level > 9.95).mean() - 0.5) < 0.05  # clipped, or nearly
  for cut in (9.0, 9.5):
    expected = scipy.stats.norm.cdf(cut, 10, 0.5)
    assert abs((level < cut).mean() - expected) < 0.03


@pytest.mark.parametrize(
  "options, words",
  [
    (dict(magnitude=30), "magnitude is 30: expected a number from 0 to 10"),
    (dict(magnitude=float("nan")), "magnitude is nan: expected a number"),
    (dict(spread=-0.5), "spread is -0.5: expected a number from 0 to 10"),
    (dict(spread=float("inf")), "spread is inf: expected a number"),
    (dict(p=50), "p is 50: expected a probability from 0 to 1"),
    (dict(count=1.5), "count is 1.5: expected a whole number from 0 to 100"),
    (dict(count=True), "count is True: expected a whole number"),
    (dict(p="0.5"), "p is '0.5': expected a probability"),
  ],
)
def test_arguments_out_of_range_are_refused(options, words):
  with pytest.raises(UserError, match=words):
    randaugment.randaugment(jax.random.key(0), jnp.ones((4, 4, 3)), **options)


def test_unknown_operations_and_channels_are_refused():
  key = jax.random.key(0)
  with pytest.raises(UserError, match="did you mean rotate"):
    randaugment.randaugment(key, jnp.ones((4, 4, 3)), names=("rotato",))
  with pytest.raises(UserError, match="got 5"):
    randaugment.randaugment(jax.random.key(0), jnp.ones((4, 4, 5)))
