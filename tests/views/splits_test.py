"""Splits of images against other libraries and loops, and their encoder."""

import itertools
import pathlib
import runpy
import warnings
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import skimage.color
import skimage.data

from infomin_jax import cli
from infomin_jax.encoders import ENCODERS, Encoder, Features
from infomin_jax.encoders.split import make_split
from infomin_jax.errors import UserError, build
from infomin_jax.train.experiment import make_learner
from infomin_jax.views import make_views
from infomin_jax.views.color_spaces import MEAN_PIXEL, SPACES
from infomin_jax.views.sheet import in_colors, stretched
from infomin_jax.views.splits import PARTS

CORNERS = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
# Of the numbers that skimage gives over all of RGB.
RANGES = {
  "hsv": (1, 1, 1),
  "lab": (100, 184.4, 202.3),
  "rgb": (1, 1, 1),
  "ycbcr": (219, 224, 224),
  "ydbdr": (1, 2.666, 2.666),
  "yiq": (1, 1.1918, 1.0455),
  "ypbpr": (1, 1, 1),
}
PUBLISHED = ("lab", "rgb", "ycbcr", "ydbdr")
LEARNED = dict(name="learned", depth=1, hidden=4, space="rgb")
SMALL = dict(name="small", dim=4)


class Small(Encoder):
  """An encoder that compiles in no time."""

  dim: int

  @nn.compact
  def __call__(self, images, train):
    local = nn.Dense(self.dim)(images)
    pool = jnp.mean(jnp.sin(3 * local), axis=(1, 2))
    return Features(local, pool, {"conv": local, "pool": pool})


@pytest.fixture(scope="module")
def photos():
  """Two real photographs, float32 [2, 16, 16, 3] in [0, 1]."""
  photo = skimage.data.astronaut()[:480:15, 16:496:15] / 255
  photo = photo.astype(np.float32)
  photo[0, :8] = CORNERS  # black, white and the pure hues
  return np.stack([photo[:16, :16], photo[16:, 16:]])


def reference(space, rgb):
  rgb = np.asarray(rgb, float)
  return rgb if space == "rgb" else getattr(skimage.color, f"rgb2{space}")(rgb)


def relative(space, values):
  return np.asarray(values, float) / np.array(RANGES[space])


# Color spaces.


@pytest.mark.parametrize("space", SPACES)
def test_spaces_are_skimages(space, photos):
  got = SPACES[space].forward(photos)
  assert got.dtype == jnp.float32
  want = relative(space, reference(space, photos))
  np.testing.assert_allclose(relative(space, got), want, atol=1e-5)
  back = SPACES[space].inverse(got)
  np.testing.assert_allclose(back, photos, atol=1e-5)
  normal = SPACES[space].normalize(photos)
  mean, std = np.array(SPACES[space].mean), np.array(SPACES[space].std)
  want = (reference(space, photos) - mean) / std
  np.testing.assert_allclose(normal, want, atol=2e-5 * (2 / std.min()))
  back = SPACES[space].denormalize(normal)
  np.testing.assert_allclose(back, photos, atol=1e-5)


def test_colors_beyond_rgb_come_back_from_lab():
  lab = np.array([[[50.0, 90.0, -40.0], [3.0, 1.0, 2.0], [99.0, -5.0, 9.0]]])
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    xyz = skimage.color.lab2xyz(lab)
  got = SPACES["lab"].inverse(jnp.asarray(lab, jnp.float32))
  # skimage clips to [0, 1].
  want = np.clip(skimage.color.xyz2rgb(xyz), 0, 1)
  np.testing.assert_allclose(np.clip(got, 0, 1), want, atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_channels_are_centerd_by_the_stated_rules(space):
  mean, std = np.array(SPACES[space].mean), np.array(SPACES[space].std)
  corners = reference(space, CORNERS[None])[0]
  half = (corners.max(0) - corners.min(0)) / 2
  pixel = reference(space, np.array([[MEAN_PIXEL]]))[0, 0]
  if SPACES[space].matrix is not None:
    tolerance = 0.004 if space in PUBLISHED else 1e-7
    np.testing.assert_allclose((mean - pixel) / std, 0, atol=tolerance)
  if space not in ("hsv", "rgb"):
    tolerance = 0.005 if space in PUBLISHED else 1e-7
    np.testing.assert_allclose(std, half, rtol=tolerance)


def test_black_has_a_gradient():
  black = jnp.zeros((1, 3))

  def total(x, space):
    return jnp.sum(SPACES[space].forward(x))

  slopes = jax.jit(lambda x: {s: jax.grad(total)(x, s) for s in SPACES})(black)
  assert all(np.isfinite(slope).all() for slope in slopes.values())


# Parts of an image.


def test_color_parts_are_channels_of_the_space(photos):
  first, rest = PARTS["colour"]("lab")(photos)
  mean, std = (50, 6.025, -6.69), (50, 92.208, 101.17)  # published
  want = (skimage.color.rgb2lab(photos.astype(float)) - mean) / std
  np.testing.assert_allclose(first, want[..., :1], atol=2e-5)
  np.testing.assert_allclose(rest, want[..., 1:], atol=2e-5)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.5])
def test_frequency_parts_are_a_blur_and_the_rest(sigma, photos):
  low, high = jax.jit(PARTS["frequency"](sigma))(photos)
  want = scipy.ndimage.gaussian_filter(
    photos.astype(float), (0, sigma, sigma, 0), mode="mirror", truncate=4.4
  )
  np.testing.assert_allclose(low, want, atol=2e-5)
  np.testing.assert_allclose(low + high, photos, atol=1e-6)
  flat = np.full((1, 9, 9, 5), 0.3, np.float32)
  np.testing.assert_allclose(PARTS["frequency"](sigma)(flat)[1], 0, atol=1e-6)


def test_halves_are_top_and_bottom(photos):
  top, bottom = PARTS["halves"]()(photos)
  np.testing.assert_array_equal(top, photos[:, :8])
  np.testing.assert_array_equal(bottom, photos[:, 8:])


# Views.


def places(height, width):
  """One image whose pixels tell their place, uint8 `[1, h, w, 2]`."""
  grid = np.stack(np.mgrid[:height, :width], axis=-1)
  return grid[None].astype(np.uint8)


def corners_of(views, shape, count):
  """Places of both patches' first pixels, `[count, 2]` each."""
  image = np.repeat(places(*shape), count, axis=0)
  batch = {"image": jnp.asarray(image), "index": jnp.arange(count)}
  pair = jax.jit(views)(jax.random.key(0), batch)
  pair = [np.round(255 * np.asarray(x)).astype(int) for x in pair]
  for patch in pair:  # whole windows of the image, nothing resampled
    steps = patch - patch[:, :1, :1]
    inside = np.broadcast_to(places(3, 3)[0], steps.shape)
    np.testing.assert_array_equal(steps, inside)
  return [patch[:, 0, 0] for patch in pair]


def test_patches_lie_apart_and_anywhere():
  views = make_views(dict(name="patches", size=3, distance=4), (9, 11, 2))
  first, second = corners_of(views, (9, 11), 3000)
  np.testing.assert_array_equal(second, first + 4)
  counts = np.unique(first, axis=0, return_counts=True)[1]
  assert len(counts) == (9 - 7 + 1) * (11 - 7 + 1)
  assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_patches_that_just_fit_are_the_corners():
  views = make_views(dict(name="patches", size=3, distance=4), (7, 7, 2))
  first, second = corners_of(views, (7, 7), 5)
  assert (first == 0).all() and (second == 4).all()


def test_patches_depend_on_their_record_alone():
  views = make_views(dict(name="patches", size=3, distance=4), (9, 11, 2))
  views = jax.jit(views)
  image = jnp.repeat(jnp.asarray(places(9, 11)), 6, axis=0)
  index, key = jnp.arange(6), jax.random.key(0)
  whole = views(key, {"image": image, "index": index})
  some = views(key, {"image": image[:2], "index": index[3:5]})
  for x, y in zip(whole, some, strict=True):
    np.testing.assert_array_equal(x[3:5], y)
    assert len({patch.tobytes() for patch in np.asarray(x)}) > 1


def test_frequencies_can_be_views_of_one_encoder(photos):
  views = make_views(dict(name="frequency", size=12, sigma=1.0), (16, 16, 3))
  low, high = views(jax.random.key(0), {"image": photos})
  np.testing.assert_allclose(
    low + 2 * high - 1, photos[:, 2:14, 2:14], atol=1e-6
  )
  assert low.shape == high.shape == (2, 12, 12, 3)
  for x in (low, high):
    assert 0 <= x.min() and x.max() <= 1


@pytest.mark.parametrize(
  "make, words",
  [
    (
      lambda: make_views(
        dict(name="patches", size=64, distance=48), (96, 120, 3)
      ),
      "size 64 at config.views.distance 48 need images of 112 x 112.*96 x 120",
    ),
    (
      lambda: make_views(dict(name="patches", size=4, distance=1), None),
      "images vary in size",
    ),
    (
      lambda: make_views(dict(name="patches", size=4, distance=-1), (9, 9, 3)),
      "distance -1",
    ),
    (
      lambda: make_views(dict(name="frequency", size=8, sigma=0), (9, 9, 3)),
      "sigma of the frequency split is 0",
    ),
    (
      lambda: PARTS["colour"]("labs"),
      "Unknown space of a color split 'labs': did you mean lab",
    ),
    (
      lambda: PARTS["colour"]("lab")(jnp.zeros((1, 4, 4, 1))),
      "the color split lab needs images of 3 channels",
    ),
    (
      lambda: PARTS["halves"]()(jnp.zeros((1, 5, 4, 1))),
      "even height, the images have 5 rows",
    ),
  ],
)
def test_mistakes_in_splits_are_named(make, words):
  with pytest.raises(UserError, match=words):
    make()


# The encoder of parts.


def split_of(parts, encoder=SMALL, **options):
  entry = dict(name="split", parts=parts, encoder=encoder, **options)
  table = {"split": partial(make_split, {"small": Small, **ENCODERS})}
  return build("encoder", ml_collections.ConfigDict(entry), table)


def started(encoder, images):
  """Variables of an encoder, a generator's moved from where it starts."""
  init = jax.jit(lambda key, x: encoder.init(key, x, True))
  variables = init(jax.random.key(0), images)
  params = dict(variables["params"])
  if "generator" in params:
    params["generator"] = jax.tree.map(
      lambda x: x + 0.3 * np.cos(np.arange(x.size)).reshape(x.shape),
      params["generator"],
    )
  return {**variables, "params": params}


def test_parts_are_encoded_apart(photos):
  encoder = split_of(dict(name="colour", space="yiq"))
  variables = started(encoder, photos)
  assert encoder.count == 2

  @jax.jit
  def everything(variables):
    parts = encoder.apply(variables, photos, False, method="parts_of")
    return parts, encoder.apply(variables, photos, False)

  parts, whole = everything(variables)
  views = PARTS["colour"]("yiq")(photos)
  alone = Small(4)
  for i, (part, view) in enumerate(zip(parts, views, strict=True)):
    own = {kind: tree[f"encoders_{i}"] for kind, tree in variables.items()}
    want = alone.apply(own, view, False)
    np.testing.assert_allclose(part.global_, want.global_, atol=1e-5)
    np.testing.assert_allclose(part.local, want.local, atol=1e-5)
    np.testing.assert_allclose(part.taps["view"], view, atol=1e-6)
    np.testing.assert_array_equal(whole.taps[f"part{i}"], part.global_)
    np.testing.assert_array_equal(whole.taps[f"view{i}"], part.taps["view"])
  kernels = [
    variables["params"][f"encoders_{i}"]["Dense_0"]["kernel"] for i in range(2)
  ]
  assert np.abs(kernels[0][0] - kernels[1][0]).max() > 0.1  # started apart
  joined = {"global_": whole.global_, "local": whole.local, **whole.taps}
  for name in ("global_", "local", "conv", "pool"):
    both = [
      part.taps[name] if name in part.taps else getattr(part, name)
      for part in parts
    ]
    np.testing.assert_array_equal(joined[name], np.concatenate(both, axis=-1))
  assert set(whole.taps) == {
    *("conv", "pool", "part0", "part1", "view0", "view1")
  }


def test_half_width_networks_of_the_table_take_parts():
  shapes = {
    "alex64x64": (dict(width=4, hidden=8, dim=6), 64, (15, 15, 32), (12,)),
    "mlp": (dict(hidden=(8,), dim=6), 8, None, (12,)),
    "resnet18": (dict(width=32), 32, (1, 1, 512), (512,)),
  }
  for name, (options, side, local, units) in shapes.items():
    encoder = split_of(
      dict(name="frequency", sigma=1.0), dict(name=name, **options)
    )
    features, _ = jax.eval_shape(
      lambda x, e=encoder: e.init_with_output(jax.random.key(0), x, True),
      jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32),
    )
    got = features.local
    assert (got if got is None else got.shape[1:]) == local
    assert features.global_.shape[1:] == units


def gradients(encoder, variables, photos):
  """Makes `adversarial -> gradients of the parameters, values` in training.

  By what is differentiated:

  `features`: a function of the parts' features; `views`: of the parts as
  images; `whole`: of the features of the whole, side by side; `plain`: of them
  again, by networks that turn nothing.
  """

  def losses(params, factor):
    apply = partial(
      encoder.clone(adversarial=factor).apply,
      {**variables, "params": params},
      photos,
      True,
      mutable=["batch_stats"],
    )
    parts, whole = apply(method="parts_of")[0], apply()[0].global_
    views = [part.taps["view"] for part in parts]
    features = jnp.concatenate([part.global_ for part in parts], axis=-1)
    plain = [
      Small(4).apply({"params": params[f"encoders_{i}"]}, view, True).global_
      for i, view in enumerate(views)
    ]
    return {
      "features": jnp.sum(jnp.sin(3 * features)),
      "whole": jnp.sum(jnp.sin(3 * whole)),
      "views": sum(jnp.sum(jnp.sin(3 * view)) for view in views),
      "plain": jnp.sum(jnp.sin(3 * jnp.concatenate(plain, axis=-1))),
    }

  @jax.jit
  def grad(params, factor):
    values, pull = jax.vjp(partial(losses, factor=factor), params)
    return {
      name: pull({key: jnp.float32(key == name) for key in values})[0]
      for name in values
    }, values

  return partial(grad, variables["params"])


def assert_trees_close(got, want, factor=1.0):
  for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
    scale = np.abs(y).max() + 1e-6
    np.testing.assert_allclose(x / scale, factor * y / scale, atol=2e-4)


def largest(tree):
  return max(np.abs(x).max() for x in jax.tree.leaves(tree))


def test_only_the_generator_s_gradient_is_turned(photos):
  photos = photos[:, 6:12, :6]
  encoder = split_of(LEARNED, adversarial=0.5)
  assert encoder.adversarial == 0.5 and split_of(LEARNED).adversarial == 0
  grad = gradients(encoder, started(encoder, photos), photos)
  for factor in (0.0, 0.5):
    got, values = grad(factor)
    np.testing.assert_allclose(values["features"], values["plain"], rtol=1e-6)
    ours, plain = got["features"], got["plain"]
    assert largest(plain["generator"]) > 0.01
    assert_trees_close(ours["generator"], plain["generator"], -factor)
    for i in range(2):
      assert_trees_close(ours[f"encoders_{i}"], plain[f"encoders_{i}"])
    # Fine-tuning plays against nobody.
    assert_trees_close(got["whole"]["generator"], plain["generator"])
    # A classifier of the parts themselves has the gradient as it is.
    assert largest(got["views"]["generator"]) > 0.01


def test_a_frozen_generator_has_no_gradient(photos):
  photos = photos[:, 6:12, :6]
  encoder = split_of(LEARNED, adversarial=0.5, frozen=True)
  got, _ = gradients(encoder, started(encoder, photos), photos)(0.5)
  assert largest([tree["generator"] for tree in got.values()]) == 0
  assert largest(got["features"]["encoders_0"]) > 0.01


def test_generated_channels_have_mean_0_and_variance_1(photos):
  encoder, photos = split_of(LEARNED), photos[:, 6:12, :6]
  variables = started(encoder, photos)

  @jax.jit
  def train(variables):
    return encoder.apply(
      variables, photos, True, method="views_of", mutable=["batch_stats"]
    )

  views, moved = train(variables)
  made = np.concatenate(views, axis=-1)
  np.testing.assert_allclose(made.mean((0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(made.var((0, 1, 2)), 1, atol=1e-3)
  raw = encoder.generator.apply(
    {"params": variables["params"]["generator"]}, photos
  )
  stats = moved["batch_stats"]["renormalize"]
  np.testing.assert_allclose(
    stats["mean"], 0.1 * raw.mean((0, 1, 2)), atol=1e-5
  )
  # In evaluation an image is split alone.
  moved = {**variables, **moved}
  whole, one = (
    encoder.apply(moved, x, False, method="views_of")
    for x in (photos, photos[:1])
  )
  for x, y in zip(whole, one, strict=True):
    np.testing.assert_allclose(x[:1], y, atol=1e-5)
  assert [x.shape[-1] for x in whole] == [1, 2]


@pytest.mark.parametrize(
  "make, words",
  [
    (lambda: split_of(dict(name="color")), "did you mean colour"),
    (
      lambda: split_of(dict(name="colour", sigma=1)),
      r"Unknown key config\.encoder\.parts\.sigma for 'colour'",
    ),
    (
      lambda: split_of(dict(name="halves"), dict(name="convent")),
      r"encoder\.encoder 'convent': did you mean convnet",
    ),
    (
      lambda: split_of(dict(name="halves"), frozen=True),
      "frozen is True.*parts 'halves' are not learned",
    ),
    (lambda: split_of(LEARNED, adversarial=-1.0), "adversarial is -1.0"),
    (
      lambda: build("encoder", dict(name="split", encoder=SMALL), ENCODERS),
      r"config\.encoder\.parts is missing",
    ),
  ],
)
def test_mistakes_in_the_encoder_are_named(make, words):
  with pytest.raises(UserError, match=words):
    make()


def test_every_row_of_the_config_builds_two_networks():
  path = pathlib.Path("configs/stl10_views.py")
  config_of = runpy.run_path(str(path))["get_config"]
  for row in (*SPACES, "frequency", "unsupervised"):
    learner = make_learner(config_of(row))
    encoder = learner.encoder
    assert encoder.count == 2 and encoder.encoders[0].width == 48
    assert (encoder.generator is None) == (row != "unsupervised")
    assert (encoder.adversarial == 1) == (row == "unsupervised")
  with pytest.raises(UserError, match="Unknown variant of --config 'labs'"):
    config_of("labs,tiny")


# Drawn.

CONFIG = """
import runpy

def get_config(variant="full"):
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.views = dict(name="none", size=32, count=1)
  config.normalize = dict(mean=(0.0,), std=(1.0,))
  config.encoder = dict(
    name="split", parts=dict(name="learned", depth=3, hidden=4, space="rgb"),
    encoder=dict(name="convnet", widths=(4, 8), strides=(4, 4)),
    frozen=False, adversarial=1.0,
  )
  config.objective = dict(supervised=dict(weight=1.0, classes=10))
  return config
"""


def test_parts_are_drawn_beside_their_view(tmp_path, capsys):
  path, out = tmp_path / "config.py", tmp_path / "parts.png"
  path.write_text(CONFIG)
  cli.main(["views", f"--config={path}", f"--out={out}", "--count=2"])
  assert "Drew 2 images" in capsys.readouterr().out
  assert out.read_bytes().startswith(b"\x89PNG")
  with pytest.raises(SystemExit):
    cli.main(["views", f"--config={path}", "--config.normalize.std=(0.5,)"])
  said = capsys.readouterr().err
  assert "the encoder 'split' takes images in [0, 1]" in said


def test_parts_are_stretched_to_be_drawn():
  x = np.stack([np.arange(8) - 3.0, np.full(8, 7.0)], -1).reshape(2, 2, 2, 2)
  got = in_colors(stretched(x))
  np.testing.assert_allclose(got[..., 0].ravel(), np.arange(8) / 7)
  assert (got[..., 1:] == 0).all() and got.shape[-1] == 3
