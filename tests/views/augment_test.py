"""Recipes, options and shapes of views; a record's views are its own."""

import functools
import inspect
import json
import re
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from PIL import Image

from infomin_jax.errors import UserError
from infomin_jax.recipes import contrastive, learned_views
from infomin_jax.runs.workdir import as_json
from infomin_jax.train.checkpoint import check_workdir
from infomin_jax.views import augment, color, image_ops, make_views, sheet
from infomin_jax.views.randaugment import CMC_OPS, INFOMIN_OPS, randaugment

SHAPE = (24, 24, 3)


def photos(n=8, size=24):
  """Different pieces of one photograph, uint8 [n, size, size, 3]."""
  image = skimage.data.astronaut()[::4, ::4]
  return np.stack([image[5 * i :, 6 * i :][:size, :size] for i in range(n)])


def batch_of(images):
  return {"image": images, "index": 100 + np.arange(len(images))}


def jitted(shape=SHAPE, host_crops=False, **options):
  return jax.jit(make_views(options, shape, host_crops))


def step_names(recipe):
  return [step.func for step in augment.RECIPES[recipe]]


def test_recipes_have_the_steps_of_the_table_in_order():
  jitter, gray = color.color_jitter, color.random_grayscale
  blur = image_ops.random_gaussian_blur
  assert step_names("crop") == []
  assert step_names("A") == [jitter, gray]
  assert step_names("B") == [jitter, gray, blur]
  assert step_names("C") == [jitter]
  assert step_names("D") == [jitter, blur, randaugment, gray]
  assert step_names("E") == [jitter, blur, randaugment]
  assert step_names("simclr") == [jitter, gray, blur]
  names = ("moco_v1", "moco_v2", "cmc", "infomin", "cmc_v2")
  for letter, name in zip("ABCDE", names, strict=True):
    assert augment.RECIPES[letter] is augment.RECIPES[name]


@pytest.mark.parametrize(
  ("recipe", "ranges", "p"),
  [
    ("A", (0.4, 0.4, 0.4, 0.4), 1.0),
    ("B", (0.4, 0.4, 0.4, 0.1), 0.8),
    ("C", (0.4, 0.4, 0.4, 0.1), 1.0),
    ("D", (0.8, 0.8, 0.8, 0.2), 0.8),
    ("E", (0.4, 0.4, 0.4, 0.1), 0.8),
    ("simclr", (0.8, 0.8, 0.8, 0.2), 0.8),
  ],
)
def test_recipes_jitter_as_the_table_says(recipe, ranges, p):
  step = augment.RECIPES[recipe][0].keywords
  names = ("brightness", "contrast", "saturation", "hue")
  assert tuple(step[name] for name in names) == ranges
  assert step["p"] == p


def test_infomin_draws_from_15_operations_and_cmc_from_8():
  assert len(INFOMIN_OPS) == 15 and "identity" not in INFOMIN_OPS
  assert len(CMC_OPS) == 8
  assert augment.RECIPES["D"][2].keywords["names"] == INFOMIN_OPS
  assert augment.RECIPES["E"][2].keywords["names"] == CMC_OPS
  assert augment.RECIPES["D"][1].keywords["radius"] == 11


@pytest.mark.parametrize("name, at", [("D", 2), ("E", 2), ("randaugment", 0)])
def test_keys_of_randaugment_reach_it(name, at):
  recipe, own = augment.RECIPES[name], augment.RECIPES[name][at].keywords
  given = dict(count=3, p=0.9, magnitude=2.0, spread=0.0)
  step = augment.tuned(recipe, 1.0, None, None, given)[at]
  assert step.func is randaugment and step.keywords == own | given
  # Without them nothing changes, and the defaults are the function's own.
  for options in (None, {}, augment.RANDAUGMENT):
    assert augment.tuned(recipe, 1.0, None, None, options)[at] is recipe[at]
  for key, value in augment.RANDAUGMENT.items():
    assert inspect.signature(randaugment).parameters[key].default == value
  for none in (dict(count=0), dict(p=0.0)):
    steps = augment.tuned(recipe, 1.0, None, None, none)
    assert len(steps) == len(recipe) - 1


def test_magnitude_changes_the_views_of_a_config():
  """Nearly no shear and no rotation at magnitude 0.1, much at 10."""
  image = jnp.asarray(photos(4, 16)) / 255
  moved = []
  for magnitude in (0.1, 10.0):
    step = augment.tuned(
      augment.RECIPES["randaugment"],
      1.0,
      None,
      None,
      dict(magnitude=magnitude, spread=0.0, p=1.0),
    )[0]
    shear = jax.jit(
      jax.vmap(functools.partial(step, names=("shear_x", "rotate")))
    )
    keys = jax.random.split(jax.random.key(0), 4)
    moved.append(float(jnp.abs(shear(keys, image) - image).mean()))
  assert moved[0] < 0.01 < 0.1 < moved[1]


def test_every_config_with_randaugment_has_its_keys():
  for row in learned_views.AUGMENTED:
    name = learned_views.views(row, 16)["name"]
    wanted = name in ("D", "E", "cmc_v2", "infomin", "randaugment")
    assert ("randaugment" in learned_views.views(row, 16)) == wanted
  for name in contrastive.RECIPES:
    sizes = contrastive.Sizes(16, (33, 8), 64, 32, 8, dict(name="x", width=2))
    views = contrastive.sections(name, sizes)["views"]
    wanted = views["name"] in ("D", "E", "infomin")
    assert ("randaugment" in views) == wanted


def test_a_run_of_before_its_keys_goes_on(tmp_path):
  get_config = runpy.run_path("configs/cifar10_infomin.py")["get_config"]
  config = get_config("infomin,tiny")
  old = as_json(config)
  del old["views"]["randaugment"]
  (tmp_path / "config.json").write_text(json.dumps(old))
  check_workdir(tmp_path, config)
  config.views.randaugment.magnitude = 5
  with pytest.raises(UserError, match=r"views.randaugment.magnitude \(10.0 t"):
    check_workdir(tmp_path, config)


@pytest.mark.parametrize("name", sorted(augment.RECIPES))
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_of_every_recipe(name, channels):
  views = make_views(
    {"name": name, "size": 20, "count": 3, "small_size": 8, "small_count": 2},
    (24, 30, channels),
  )
  batch = batch_of(np.zeros((4, 24, 30, channels), np.uint8))
  shapes = jax.eval_shape(views, jax.random.key(0), batch)
  assert [x.shape[1] for x in shapes] == [20, 20, 20, 8, 8]
  for x in shapes:
    assert x.shape == (4, x.shape[1], x.shape[1], channels)
    assert x.dtype == jnp.float32


@pytest.fixture(scope="module")
def infomin():
  return jitted(name="infomin", size=16)


def test_infomin_views_differ_and_stay_in_range(infomin):
  first, second = infomin(jax.random.key(0), batch_of(photos()))
  for x in (first, second):
    assert x.min() >= 0 and x.max() <= 1 and np.isfinite(x).all()
  assert np.abs(first - second).max((1, 2, 3)).min() > 0.05
  other, _ = infomin(jax.random.key(1), batch_of(photos()))
  assert np.abs(first - other).max((1, 2, 3)).min() > 0.05


def test_views_do_not_depend_on_the_batch(infomin):
  whole = batch_of(photos())
  order = np.array([3, 1, 7, 0, 2, 5, 4, 6])
  mixed = {key: value[order] for key, value in whole.items()}
  key = jax.random.key(0)
  for x, y in zip(infomin(key, whole), infomin(key, mixed), strict=True):
    np.testing.assert_array_equal(x[order], y)


def test_one_record_alone_gets_the_same_views():
  views = jitted(name="A", size=16)
  whole = batch_of(photos())
  alone = {key: value[5:6] for key, value in whole.items()}
  key = jax.random.key(0)
  for x, y in zip(views(key, whole), views(key, alone), strict=True):
    np.testing.assert_allclose(x[5:6], y, atol=1e-6)


def test_chunks_and_devices_change_nothing():
  """8 devices, and pieces of the batch, give the views of one go."""
  key, batch = jax.random.key(0), batch_of(photos(16))
  expected = jitted(name="crop", size=16)(key, batch)
  mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
  split = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
  for chunk, given in ((4, batch), (0, split), (8, split)):
    views = jitted(name="crop", size=16, chunk=chunk)
    compiled = views.lower(key, given).compile()
    assert not re.search("all-(gather|reduce|to-all)", compiled.as_text())
    for x, y in zip(compiled(key, given), expected, strict=True):
      np.testing.assert_allclose(x, y, atol=1e-6)
      if given is split:
        assert x.sharding.shard_shape(x.shape)[0] == 2  # still split


def test_crop_alone_is_the_image_or_its_mirror():
  images = np.repeat(photos(1), 2000, axis=0)
  views = jitted(
    name="crop", size=24, count=1, crop_scale=(1, 1), crop_ratio=(1, 1)
  )
  (got,) = views(jax.random.key(0), batch_of(images))
  image = images[:1] / 255
  same = np.abs(got - image).max((1, 2, 3)) < 1e-5
  mirrored = np.abs(got - image[:, :, ::-1]).max((1, 2, 3)) < 1e-5
  assert (same | mirrored).all()
  assert abs(mirrored.mean() - 0.5) < 0.045


def test_options_tune_the_steps():
  """What `strength`, `grayscale` and `blur` make of recipe D's steps."""
  tuned = augment.tuned(augment.RECIPES["D"], 0.5, 0.7, 0)
  jitter, rand, gray = tuned  # a blur that never happens is left out
  for name, value in (("brightness", 0.4), ("hue", 0.1), ("p", 0.8)):
    assert jitter.keywords[name] == value
  assert rand is augment.RECIPES["D"][2]
  assert gray.keywords["p"] == 0.7
  assert augment.tuned(augment.RECIPES["D"], 1.0, None, None)[3].keywords == {
    "p": 0.2
  }


@pytest.mark.parametrize(("given", "share"), [(None, 0.2), (0.7, 0.7)])
def test_grayscale_option(given, share):
  images = np.repeat(photos(1, 8), 2000, axis=0)
  views = jitted(
    (8, 8, 3), name="A", size=8, count=1, strength=0, grayscale=given
  )
  (got,) = views(jax.random.key(0), batch_of(images))
  gray = np.ptp(np.asarray(got), axis=-1).max((1, 2)) < 1e-6
  assert abs(gray.mean() - share) < 0.045


def test_small_views_see_small_parts():
  """The image's value is its row, so a view's spread is its height."""
  rows = np.broadcast_to(
    np.arange(100, dtype=np.uint8)[:, None, None], (100,) * 2 + (1,)
  )
  images = np.repeat(rows[None], 200, axis=0)
  views = jitted(
    (100, 100, 1),
    name="crop",
    size=10,
    count=1,
    crop_scale=(0.8, 1.0),
    crop_ratio=(1, 1),
    small_size=6,
    small_count=1,
    small_scale=(0.04, 0.16),
  )
  large, small = views(jax.random.key(0), batch_of(images))
  assert large.shape == (200, 10, 10, 1) and small.shape == (200, 6, 6, 1)
  # The first and the last of n pixels lie (n - 1) / n of the height apart.
  height = 255 * np.ptp(np.asarray(large), (1, 2, 3)) / 0.9
  assert height.min() > 85 and height.max() < 101
  height = 255 * np.ptp(np.asarray(small), (1, 2, 3)) / (5 / 6)
  assert height.min() > 17 and height.max() < 41


def test_host_crops_are_not_cropped_again():
  crops = np.stack([photos(4), photos(4)[:, ::-1]], axis=1)  # [4, 2, ...]
  batch = batch_of(crops)
  options = dict(name="crop", size=24, flip=0)
  got = jitted(None, host_crops=True, **options)(jax.random.key(0), batch)
  for v in range(2):
    np.testing.assert_allclose(got[v], crops[:, v] / 255, atol=1e-6)
  options["size"] = 12
  (first, _) = jitted(None, host_crops=True, **options)(
    jax.random.key(0), batch
  )
  resized = Image.fromarray(crops[0, 0]).resize(
    (12, 12), Image.Resampling.BILINEAR
  )
  assert np.abs(255 * first[0] - np.asarray(resized, float)).max() < 1.01


def test_none_is_the_middle_and_halves_are_its_parts():
  images = photos(3)
  middle = images[:, 2:22, 2:22] / 255
  views = jitted(name="none", size=20, count=3)(
    jax.random.key(0), batch_of(images)
  )
  assert len(views) == 3
  for x in views:
    np.testing.assert_allclose(x, middle, atol=1e-6)
  top, bottom = jitted(name="halves", size=20)(
    jax.random.key(0), batch_of(images)
  )
  np.testing.assert_allclose(top, middle[:, :10], atol=1e-6)
  np.testing.assert_allclose(bottom, middle[:, 10:], atol=1e-6)


@pytest.mark.parametrize(
  ("options", "shape", "message"),
  [
    (dict(name="simclrr", size=8), SHAPE, "did you mean simclr"),
    (dict(size=8), SHAPE, "Unknown views None"),
    (dict(name="A"), SHAPE, "config.views.size is missing"),
    (dict(name="A", size=8, scale=1), SHAPE, "config.views.scale"),
    (dict(name="A", size=0), SHAPE, "config.views.size is 0"),
    (dict(name="A", size=8, count=0), SHAPE, "config.views.count is 0"),
    (dict(name="A", size=8, small_count=1), SHAPE, "small_size is 0"),
    (dict(name="A", size=8, chunk=-1), SHAPE, "config.views.chunk is -1"),
    (dict(name="A", size=8, crop_scale=(0, 1)), SHAPE, "crop_scale is"),
    (dict(name="A", size=8, crop_scale=(0.5, 2)), SHAPE, "high <= 1"),
    (dict(name="A", size=8, crop_ratio=(2, 1)), SHAPE, "crop_ratio is"),
    (dict(name="A", size=8, flip=50), SHAPE, "flip is 50: give 0 to 1"),
    (dict(name="A", size=8, strength=-1), SHAPE, "strength is -1"),
    (dict(name="C", size=8, grayscale=0.2), SHAPE, "grayscale is 0.2, but"),
    (dict(name="A", size=8, blur=0.5), SHAPE, "blur is 0.5, but"),
    *(
      (dict(name=name, size=8, randaugment=options), SHAPE, words)
      for name, options, words in (
        ("D", dict(magnitude=11), "randaugment.magnitude is 11: expected a"),
        ("E", dict(count=2.5), "randaugment.count is 2.5: expected a whole"),
        ("D", dict(magnitde=5), "magnitde: did you mean magnitude"),
        ("D", 5, "randaugment is 5: expected a mapping"),
        ("A", dict(p=0.9), "randaugment.p is 0.9, but this recipe has no"),
      )
    ),
    (dict(name="A", size=8), None, "set config.data.host_crops"),
    (dict(name="simclr", size=8), (24, 24, 5), "got 5"),
    (dict(name="infomin", size=8), (24, 24, 2), "got 2"),
    (dict(name="none", size=25), SHAPE, "size is 25 but the images are 24"),
    (dict(name="none", size=25), None, "Use crop"),
    (dict(name="halves", size=26), SHAPE, "'halves' does not resize"),
    (dict(name="halves", size=9), SHAPE, "even"),
  ],
)
def test_bad_options_are_refused_in_one_line(options, shape, message):
  with pytest.raises(UserError) as error:
    make_views(options, shape)
  assert message in str(error.value)
  assert "\n" not in str(error.value)


def test_batches_of_the_wrong_kind_are_refused():
  key = jax.random.key(0)
  views = make_views({"name": "crop", "size": 8}, SHAPE)
  with pytest.raises(UserError, match="host_crops False"):
    views(key, batch_of(np.zeros((2, 2, 24, 24, 3), np.uint8)))
  views = make_views({"name": "crop", "size": 8, "count": 3}, SHAPE, True)
  with pytest.raises(UserError, match="host cut 2 crops"):
    views(key, batch_of(np.zeros((2, 2, 24, 24, 3), np.uint8)))
  with pytest.raises(UserError, match="'none' need whole images"):
    make_views({"name": "none", "size": 8}, SHAPE, host_crops=True)


def test_views_without_color_take_any_number_of_channels():
  for name in ("crop", "none", "halves"):
    views = make_views({"name": name, "size": 8}, (24, 24, 5))
    batch = batch_of(np.zeros((2, 24, 24, 5), np.uint8))
    for x in jax.eval_shape(views, jax.random.key(0), batch):
      assert x.shape[-1] == 5


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_sheet_draws_images_beside_their_views(tmp_path, channels):
  white = np.full((2, 8, 8, channels), 255, np.uint8)
  black = np.zeros((2, 4, 8, channels), np.float32)
  path = tmp_path / "sheet.png"
  sheet(white, [black, black], path, "halves, 8 pixels")
  drawn = np.asarray(Image.open(path).convert("L"), float)
  third = drawn.shape[1] // 3
  # The first column shows white images, the others black ones.
  assert (drawn[:, :third] < 30).mean() < 0.02
  assert (drawn[:, third:] < 30).mean() > 0.2


def test_a_recipe_that_is_added_is_a_name_of_views(monkeypatch):
  def fade(key, image, factor):
    del key
    return factor * image

  step = functools.partial(fade, factor=0.5)
  monkeypatch.setitem(augment.RECIPES, "faded", (step,))
  options = dict(name="faded", size=8, count=1, flip=0.0, crop_scale=(1.0, 1.0))
  batch = {
    "image": jnp.full((2, 8, 8, 3), 255, jnp.uint8),
    "index": jnp.arange(2),
  }
  for steps, value in (({}, 0.5), ({"fade": {"factor": 0.25}}, 0.25)):
    views = make_views({**options, "steps": steps}, (8, 8, 3))
    (view,) = views(jax.random.key(0), batch)
    np.testing.assert_allclose(view, value, atol=1e-6)
  with pytest.raises(UserError, match=r"steps\.fad: did you mean fade"):
    make_views({**options, "steps": {"fad": {}}}, (8, 8, 3))
  with pytest.raises(UserError, match=r"fade\.facto: did you mean factor"):
    make_views({**options, "steps": {"fade": {"facto": 1}}}, (8, 8, 3))
