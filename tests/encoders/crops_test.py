"""Crop encoders: what a place sees, the published layers, how they start."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import abstract, count, encode, variables_for
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from infomin_jax.encoders import ENCODERS
from infomin_jax.encoders.crops import (
  BLOCKS,
  DcganConv,
  FoldedAlex,
  FoldedMultiAlex,
  FoldedResNet,
  fold,
  unfold,
)
from infomin_jax.errors import UserError

# A small member of each: how it is made, image side, side and step of a crop.
SMALL = {
  "alex": (partial(FoldedAlex, 4, width=4, hidden=8), 64, 16, 8),
  "multi": (partial(FoldedMultiAlex, width=4), 64, 16, 8),
  "resnet": (partial(FoldedResNet, 10, 4, width=4, hidden=8), 32, 8, 4),
}


@pytest.fixture(autouse=True)
def resnet10(monkeypatch):
  """A block a stage: the same code as depth 19, half the compilation."""
  monkeypatch.setitem(BLOCKS, 10, (1, 1, 1))


def small(name, **options):
  """A small encoder, its variables and two images."""
  make, side, _, _ = SMALL[name]
  images = np.random.default_rng(1).normal(size=(2, side, side, 1)).astype("f")
  encoder = make(**options)
  return encoder, variables_for(encoder, images.shape), images


@pytest.mark.parametrize(
  "shape, size, stride",
  [((2, 8, 8, 3), 4, 2), ((1, 7, 9, 2), 3, 3), ((2, 5, 6, 1), 5, 4)],
)
def test_crops_are_those_of_a_loop(shape, size, stride):
  images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  crops = unfold(images, size, stride)
  for i in range((shape[1] - size) // stride + 1):
    for j in range((shape[2] - size) // stride + 1):
      top, left = i * stride, j * stride
      want = images[:, top : top + size, left : left + size]
      np.testing.assert_array_equal(crops[:, i, j], want)
  assert crops.shape[1:3] == (i + 1, j + 1)
  rows = crops.reshape(-1, *crops.shape[3:])
  back = fold(rows, crops.shape[1:3])
  np.testing.assert_array_equal(back, crops.reshape(*crops.shape[:3], -1))


def test_crops_larger_than_the_image_are_refused():
  with pytest.raises(UserError, match=r"no larger.*16 x 16 from 32 x 8"):
    unfold(jnp.zeros((1, 32, 8, 3)), 16, 8)


def test_a_sharded_batch_stays_where_it_is():
  mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
  sharding = NamedSharding(mesh, PartitionSpec("data"))

  def there_and_back(images):
    crops = unfold(images, 4, 2)
    rows = crops.reshape(-1, *crops.shape[3:])
    return fold(2 * rows, crops.shape[1:3])

  images = jax.ShapeDtypeStruct((8, 8, 8, 1), jnp.float32, sharding=sharding)
  compiled = jax.jit(there_and_back).lower(images).compile()
  assert compiled.output_shardings.is_equivalent_to(sharding, 4)
  for collective in ("all-", "permute", "reduce-scatter"):
    assert collective not in compiled.as_text()


def seen_by(encoder, variables, images, read):
  """Rows and columns of the pixels that a number depends on."""

  @jax.jit
  @jax.grad
  def slope(x):
    return jnp.sum(read(encoder.apply(variables, x, False)))

  support = np.asarray(slope(images))[0, :, :, 0] != 0
  return np.flatnonzero(support.any(1)), np.flatnonzero(support.any(0))


@pytest.mark.parametrize("name", SMALL)
def test_a_place_sees_its_crop_and_nothing_else(name):
  _, _, side, step = SMALL[name]
  row, column = 2, 5
  got = seen_by(*small(name), lambda f: f.local[0, row, column])
  for pixels, place in zip(got, (row, column), strict=True):
    np.testing.assert_array_equal(pixels, np.arange(side) + step * place)


def test_each_of_the_25_summaries_sees_3_by_3_crops():
  row, column = 1, 4
  got = seen_by(*small("multi"), lambda f: f.taps["glob"][0, row, column])
  for pixels, place in zip(got, (row, column), strict=True):
    np.testing.assert_array_equal(pixels, np.arange(32) + 8 * place)


def test_global_of_many_summaries_is_their_map():
  got = encode(*small("multi"))
  flat = got.taps["glob"].reshape(2, -1)
  np.testing.assert_array_equal(got.global_, flat)
  assert np.std(flat) > 0.1


@pytest.mark.parametrize(
  "name, parameters",
  [
    # Weights, biases or batch norm, layer after layer.
    (
      "foldalex64x64",
      9 * (3 * 96 + 96 * 192 + 192 * 384 + 384 * 384 + 384 * 192)
      + 3 * (96 + 192 + 384 + 384 + 192)
      + 9 * 192 * 384
      + 2 * 384
      + (9 * 384 + 3) * 4096
      + (4096 + 1) * 64,
    ),
    (
      "foldmultialex64x64",
      9 * (3 * 96 + 96 * 192 + 192 * 384 + 384 * 384 + 384 * 192)
      + 2 * (96 + 192 + 384 + 384 + 192)
      + (9 * 192 + 2) * 192
      + (192 + 2) * 192,
    ),
  ],
)
def test_parameter_counts_by_hand(name, parameters):
  _, variables = abstract(ENCODERS[name](), (1, 64, 64, 3))
  assert count(variables["params"]) == parameters


@pytest.mark.parametrize("depth, blocks", [(19, (2, 2, 2)), (37, (3, 6, 3))])
def test_folded_resnets_are_their_table(depth, blocks):
  encoder = ENCODERS[f"foldresnet{depth}_32x32"]()

  def outputs(key, x):
    return encoder.init_with_output(
      key, x, False, capture_intermediates=True, mutable=True
    )[1]

  images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
  variables = jax.eval_shape(outputs, jax.random.key(0), images)
  maps = {
    name: sown["__call__"][0].shape
    for name, sown in variables["intermediates"].items()
    if name.startswith(("layer", "conv1"))
  }
  want = {"conv1": (98, 4, 4, 64)}  # 2 x 49 crops
  for i, many in enumerate(blocks):
    for j in range(many):
      want[f"layer{i + 1}_{j}"] = (98, 4 >> i, 4 >> i, 256 << i)
  assert maps == want
  kernels = jax.tree_util.tree_flatten_with_path(variables["params"])[0]
  paths = [jax.tree_util.keystr(path) for path, _ in kernels]
  convs = [p for p in paths if "conv" in p and "kernel" in p]
  assert len(convs) == depth


def test_dropout_takes_whole_channels_and_only_in_training():
  encoder, variables, images = small("alex", dropout=0.5)

  @partial(jax.jit, static_argnums=1)
  def mapped(key, train):
    features, state = encoder.apply(
      variables,
      images,
      train,
      rngs={"dropout": key},
      mutable=["batch_stats", "intermediates"],
      capture_intermediates=True,
    )
    return features.global_, state["intermediates"]["Dropout_0"]["__call__"][0]

  first, second = jax.random.split(jax.random.key(0))
  trained, dropped = mapped(first, True)
  off = np.asarray(dropped == 0)
  np.testing.assert_array_equal(off.all((1, 2)), off.any((1, 2)))
  assert 0.2 < off.mean() < 0.8
  assert np.abs(trained - mapped(second, True)[0]).max() > 0.01
  got, _ = mapped(first, False)
  np.testing.assert_array_equal(got, mapped(second, False)[0])


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_finite_and_reach_every_kernel(name):
  encoder, variables, images = small(name)
  stats = {"batch_stats": variables["batch_stats"]}

  @jax.jit
  @jax.grad
  def slopes(params):
    features, _ = encoder.apply(
      {"params": params, **stats},
      images,
      True,
      rngs={"dropout": jax.random.key(0)},
      mutable=["batch_stats"],
    )
    weights = jnp.arange(features.global_.size, dtype=jnp.float32)
    return jnp.sum(jnp.sin(weights) * features.global_.ravel())

  found = jax.tree_util.tree_flatten_with_path(slopes(variables["params"]))[0]
  for path, slope in found:
    assert np.all(np.isfinite(slope)), path
    if path[-1].key == "kernel":
      assert np.abs(slope).max() > 0, path


def test_the_single_summary_starts_as_dcgan_does():
  layer = DcganConv(64, 3, 1, 1)
  x = np.zeros((1, 4, 4, 32), np.float32)
  params = layer.init(jax.random.key(0), x, False)["params"]["conv"]
  np.testing.assert_allclose(params["kernel"].std(), 0.02, rtol=0.03)
  # Beyond three deviations: normal, not truncated.
  assert np.abs(params["kernel"]).max() > 0.06
  assert params["bias"].shape == (64,)
