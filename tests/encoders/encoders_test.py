"""Encoders against published shapes and counts and against plain numpy."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import abstract, assert_close, count, encode, variables_for

from infomin_jax.encoders import ENCODERS, layers
from infomin_jax.encoders.convnet import (
  Basic,
  ConvLayer,
  ConvNet,
  DenseLayer,
  Output,
)
from infomin_jax.encoders.convnet_lstm import ConvNetLSTM
from infomin_jax.encoders.crops import FoldedMultiAlex
from infomin_jax.encoders.layernorm_convnet import LayerNormConvNet
from infomin_jax.encoders.mlp import MLP
from infomin_jax.encoders.resnet import (
  DEPTHS,
  BasicBlock,
  Bottleneck,
  ResNet,
)
from infomin_jax.errors import UserError, build

F32 = jnp.dtype("float32")
# name -> image side, local map, units of global_, taps; from the papers.
BASIC_TAPS = {"fc": (1024,), "y": (64,)}
SHAPES = {
  "basic28x28": (28, (7, 7, 128), 64, {"conv": (7, 7, 128), **BASIC_TAPS}),
  "basic32x32": (32, (8, 8, 128), 64, {"conv": (4, 4, 256), **BASIC_TAPS}),
  "basic64x64": (64, (8, 8, 256), 64, {"conv": (4, 4, 512), **BASIC_TAPS}),
  "alex64x64": (
    64,
    (15, 15, 384),
    64,
    {"conv": (7, 7, 192), "fc": (4096,), "y": (64,)},
  ),
  "convnet": (32, (4, 4, 128), 256, {"conv": (4, 4, 128), "pool": (256,)}),
  "convnet_layernorm": (
    28,
    (7, 7, 128),
    100,
    {"conv": (7, 7, 128), "y": (100,)},
  ),
  "convnet_lstm": (32, (2, 2, 64), 64, {"conv": (2, 2, 64), "pool": (64,)}),
  "foldalex64x64": (
    64,
    (7, 7, 192),
    64,
    {"conv": (7, 7, 192), "fc": (4096,), "y": (64,)},
  ),
  "foldmultialex64x64": (
    64,
    (7, 7, 192),
    4800,
    {"conv": (7, 7, 192), "glob": (5, 5, 192)},
  ),
  "mlp": (28, None, 100, {"hidden": (300,), "y": (100,)}),
}
for depth in (19, 37):
  last = (7, 7, 1024)
  taps = {"conv": last, **BASIC_TAPS}
  SHAPES[f"foldresnet{depth}_32x32"] = (32, last, 64, taps)
for depth in (18, 34, 50, 101, 152):
  units = 512 if depth < 50 else 2048
  last = (7, 7, units)
  earlier = {
    f"layer{i}": (112 >> i, 112 >> i, units >> 4 - i) for i in (1, 2, 3)
  }
  taps = {"conv": last, "pool": (units,), **earlier}
  SHAPES[f"resnet{depth}"] = (224, last, units, taps)
# Encoders to as many numbers as an image has: their options for 4x4x3.
SAME_SIZE = {"realnvp": {"size": 48}, "skip_mlp": {}}
# Made of other encoders: see splits_test.
COMPOSED = ("split",)
# A small member of each file, quick to compile: how it is made, image side.
SMALL = {
  "basic": (partial(Basic, 32, dim=8), 32),
  "convnet": (partial(ConvNet, (4, 8), (2, 2)), 8),
  "resnet": (partial(ResNet, 10, "small", "layer2", width=4), 8),
  "mlp": (partial(MLP, (16,), dim=8), 8),
  "convnet_layernorm": (partial(LayerNormConvNet, (4, 8), dim=8), 8),
  "frames": (partial(ConvNetLSTM, (4, 8), (2, 2)), 8),
  "crops": (partial(FoldedMultiAlex, width=4), 64),
}


@pytest.fixture(autouse=True)
def resnet10(monkeypatch):
  """Two blocks: the same code as ResNet-18, a quarter of the compilation."""
  monkeypatch.setitem(DEPTHS, 10, (BasicBlock, (1, 1)))


def small(name, **options):
  """A small encoder, its variables and four images."""
  make, side = SMALL[name]
  images = np.random.default_rng(1).normal(size=(4, side, side, 3))
  encoder = make(**options)
  variables = variables_for(encoder, images.shape)
  return encoder, variables, images.astype(np.float32)


# What the layers compute, written with loops over the kernel.


def conv_numpy(x, kernel, stride, padding):
  """Cross-correlation with zeros on all four sides, as PyTorch does it."""
  x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
  side = kernel.shape[0]
  rows = (x.shape[1] - side) // stride + 1
  columns = (x.shape[2] - side) // stride + 1
  out = np.zeros((len(x), rows, columns, kernel.shape[3]))
  for i in range(rows):
    for j in range(columns):
      top, left = i * stride, j * stride
      window = x[:, top : top + side, left : left + side]
      out[:, i, j] = np.einsum("bhwc,hwcd->bd", window, kernel)
  return out


def norm_numpy(x, params, stats):
  scale = params["scale"] / np.sqrt(stats["var"] + 1e-5)
  return (x - stats["mean"]) * scale + params["bias"]


def resnet_numpy(variables, images, depth, stem):
  """torchvision's ResNet in evaluation, one layer after the other."""
  params, stats = variables["params"], variables["batch_stats"]
  stride, padding = {"imagenet": (2, 3), "small": (1, 1)}[stem]
  x = conv_numpy(images, params["conv1"]["kernel"], stride, padding)
  x = np.maximum(norm_numpy(x, params["bn1"], stats["bn1"]), 0)
  if stem == "imagenet":
    side = (x.shape[1] - 1) // 2 + 1
    edge = ((0, 0), (1, 1), (1, 1), (0, 0))
    padded = np.pad(x, edge, constant_values=-np.inf)
    windows = [
      padded[:, i : i + 2 * side : 2, j : j + 2 * side : 2][:, :side, :side]
      for i in range(3)
      for j in range(3)
    ]
    x = np.max(windows, axis=0)
  block, counts = DEPTHS[depth]
  layers = (1, 3, 1) if block is Bottleneck else (3, 3)
  strided = layers.index(3)  # v1.5: the first 3x3 takes the stride
  for stage, blocks in enumerate(counts):
    for j in range(blocks):
      name = f"layer{stage + 1}_{j}"
      p, s = params[name], stats[name]
      stride = 2 if stage > 0 and j == 0 else 1
      y = x
      for k, kernel in enumerate(layers):
        step = stride if k == strided else 1
        y = conv_numpy(y, p[f"conv{k + 1}"]["kernel"], step, kernel // 2)
        y = norm_numpy(y, p[f"bn{k + 1}"], s[f"bn{k + 1}"])
        y = y if k == len(layers) - 1 else np.maximum(y, 0)
      if "downsample_0" in p:
        x = conv_numpy(x, p["downsample_0"]["kernel"], stride, 0)
        x = norm_numpy(x, p["downsample_1"], s["downsample_1"])
      x = np.maximum(x + y, 0)
  return x


@pytest.mark.parametrize(
  "name", [n for n in ENCODERS if n not in (*SAME_SIZE, *COMPOSED)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_of_all_outputs(name, channels):
  side, local, units, taps = SHAPES[name]
  features, _ = abstract(ENCODERS[name](), (2, side, side, channels))
  got = features.local
  assert (got if got is None else got.shape[1:]) == local
  assert features.global_.shape == (2, units)
  assert {k: tap.shape[1:] for k, tap in features.taps.items()} == taps


@pytest.mark.parametrize("name, options", SAME_SIZE.items())
def test_shapes_of_encoders_that_keep_every_number(name, options):
  encoder = build("encoder", {"name": name, **options}, ENCODERS)
  features, _ = abstract(encoder, (2, 4, 4, 3))
  assert features.local is None
  assert features.global_.shape == features.taps["y"].shape == (2, 48)


@pytest.mark.parametrize(
  "name, millions",
  [
    ("basic32x32", "4.92"),
    ("basic64x64", "11.2"),
    ("alex64x64", "58.4"),
    ("foldalex64x64", "17.9"),
    ("foldmultialex64x64", "3.2"),
  ],
)
def test_parameter_counts_of_deep_infomax(name, millions):
  side = SHAPES[name][0]
  _, variables = abstract(ENCODERS[name](), (1, side, side, 3))
  got = count(variables["params"]) / 1e6
  assert f"{got:.{len(millions.split('.')[1])}f}" == millions


@pytest.mark.parametrize(
  "name, parameters",
  [
    # torchvision's counts less those of its classifier.
    ("resnet18", 11_689_512 - 513_000),
    ("resnet34", 21_797_672 - 513_000),
    ("resnet50", 25_557_032 - 2_049_000),
    ("resnet101", 44_549_160 - 2_049_000),
    ("resnet152", 60_192_808 - 2_049_000),
  ],
)
def test_parameter_counts_of_resnets(name, parameters):
  _, variables = abstract(ENCODERS[name](), (1, 64, 64, 3))
  assert count(variables["params"]) == parameters


def test_parameter_count_of_the_mlp_on_half_a_digit():
  _, variables = abstract(ENCODERS["mlp"](), (1, 14, 28, 1))
  assert count(variables["params"]) == 238_300


@pytest.mark.parametrize("name, last", [("resnet18", 2), ("resnet50", 3)])
def test_resnet_names_are_those_of_torchvision(name, last):
  _, variables = abstract(ENCODERS[name](), (1, 64, 64, 3))
  paths = jax.tree_util.tree_flatten_with_path(variables["params"])[0]
  torch = {"kernel": "weight", "scale": "weight", "bias": "bias"}
  got = {
    ".".join([*(k.key.replace("_", ".") for k in path[:-1]), torch[leaf]])
    for path, _ in paths
    for leaf in [path[-1].key]
  }
  want = {"conv1.weight", "bn1.weight", "bn1.bias"}
  for stage, blocks in enumerate(DEPTHS[int(name[6:])][1]):
    for j in range(blocks):
      block = f"layer{stage + 1}.{j}"
      for k in range(1, last + 1):
        want.add(f"{block}.conv{k}.weight")
        want |= {f"{block}.bn{k}.weight", f"{block}.bn{k}.bias"}
      # A basic block of the first stage keeps the shape.
      if j == 0 and (stage > 0 or last == 3):
        want.add(f"{block}.downsample.0.weight")
        want |= {f"{block}.downsample.1.{leaf}" for leaf in ("weight", "bias")}
  assert got == want


@pytest.mark.parametrize(
  "kernel, stride, padding", [(4, 2, 1), (3, 2, 1), (5, 2, 2), (3, 1, 1)]
)
@pytest.mark.parametrize("side", [7, 8])
def test_convolutions_pad_all_sides_alike(kernel, stride, padding, side):
  layer = ConvLayer(5, kernel, stride, padding)
  x = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype("f")
  variables = variables_for(layer, x.shape)
  params, stats = variables["params"], variables["batch_stats"]
  want = conv_numpy(x, params["conv"]["kernel"], stride, padding)
  want = np.maximum(norm_numpy(want, params["bn"], stats["bn"]), 0)
  assert np.mean(want > 0) > 0.2
  assert_close(encode(layer, variables, x), want)


@pytest.mark.parametrize(
  "depth, stem, side, local", [(18, "imagenet", 64, 8), (50, "small", 12, 6)]
)
def test_resnet_is_that_of_torchvision(depth, stem, side, local):
  encoder = ResNet(depth, width=4, stem=stem, local="layer2")
  images = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype("f")
  variables = variables_for(encoder, images.shape)
  got = encode(encoder, variables, images)
  want = resnet_numpy(variables, images, depth, stem)
  scale = np.abs(want).max()
  assert_close(got.taps["conv"] / scale, want / scale)
  assert_close(got.global_ / scale, want.mean((1, 2)) / scale)
  assert got.local.shape[:3] == (2, local, local)


def test_deep_infomax_net_is_its_table():
  encoder, variables, images = small("basic")
  params, stats = variables["params"], variables["batch_stats"]
  x, maps = images, []
  for i in range(3):
    p, s = params[f"layer{i}"], stats[f"layer{i}"]
    x = conv_numpy(x, p["conv"]["kernel"], 2, 1)
    x = np.maximum(norm_numpy(x, p["bn"], s["bn"]), 0)
    maps.append(x)
  fc = x.reshape(4, -1) @ params["fc"]["dense"]["kernel"]
  fc = np.maximum(norm_numpy(fc, params["fc"]["bn"], stats["fc"]["bn"]), 0)
  y = fc @ params["y"]["dense"]["kernel"] + params["y"]["dense"]["bias"]
  got = encode(encoder, variables, images)
  assert_close(got.local, maps[1], 1e-4)
  assert_close(got.taps["conv"], maps[2], 1e-4)
  assert_close(got.taps["fc"], fc, 1e-4)
  assert_close(got.taps["y"], y, 1e-4)
  np.testing.assert_array_equal(got.global_, got.taps["y"])


def test_local_map_of_alexnet_is_the_third():
  # The fourth has the same shape, so only the values tell them apart.
  encoder = ENCODERS["alex64x64"](dim=2)
  images = np.random.default_rng(1).normal(size=(1, 64, 64, 1)).astype("f")
  variables = variables_for(encoder, images.shape)

  @jax.jit
  def local_and_third(x):
    features, sown = encoder.apply(
      variables, x, False, capture_intermediates=True, mutable="intermediates"
    )
    return features.local, sown["intermediates"]["layer2"]["__call__"][0]

  local, third = local_and_third(images)
  assert np.std(third) > 0.1
  np.testing.assert_array_equal(local, third)


def test_convnet_pools_the_mean_and_the_maximum():
  encoder, variables, images = small("convnet")
  got = encode(encoder, variables, images)
  maps = np.asarray(got.local)
  assert_close(
    got.global_, np.concatenate([maps.mean((1, 2)), maps.max((1, 2))], 1)
  )


def test_mlp_is_dense_layers_with_relu_between():
  encoder, variables, images = small("mlp")
  p = variables["params"]
  hidden = images.reshape(4, -1) @ p["dense0"]["kernel"]
  hidden = np.maximum(hidden + p["dense0"]["bias"][None], 0)
  got = encode(encoder, variables, images)
  assert_close(got.taps["hidden"], hidden)
  assert_close(got.global_, hidden @ p["y"]["kernel"] + p["y"]["bias"][None])
  assert got.local is None and "batch_stats" not in variables


@pytest.mark.parametrize(
  "name, step, before, after",
  # Two 4x4 layers of stride 2 see 10 pixels, place i from 4 i - 3 on; three
  # see 22 pixels; two 5x5 layers see 13.
  [("basic32x32", 4, 3, 6), ("basic64x64", 8, 7, 14), ("basic28x28", 4, 6, 6)],
)
def test_receptive_field_of_a_local_place(name, step, before, after):
  side = SHAPES[name][0]
  encoder = ENCODERS[name](dim=2)
  images = np.random.default_rng(1).uniform(size=(1, side, side, 1))
  variables = variables_for(encoder, images.shape)
  row, column = 3, 4

  @jax.jit
  @jax.grad
  def seen(x):
    return jnp.sum(encoder.apply(variables, x, False).local[0, row, column])

  support = np.asarray(seen(images.astype("f")))[0, :, :, 0] != 0
  for axis, place in ((1, row), (0, column)):
    pixels = np.arange(step * place - before, step * place + after + 1)
    np.testing.assert_array_equal(np.flatnonzero(support.any(axis)), pixels)


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_computes_so_but_keeps_float32(name):
  encoder, variables, images = small(name)
  half, half_variables, _ = small(name, dtype="bfloat16")
  jax.tree.map(np.testing.assert_array_equal, variables, half_variables)
  started = abstract(half, images.shape)[1]
  assert {leaf.dtype for leaf in jax.tree.leaves(started)} == {F32}

  @partial(jax.jit, static_argnums=0)
  def train(e):
    return e.apply(variables, images, True, mutable=["batch_stats"])

  want, got = train(encoder), train(half)
  assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {F32}
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
    error = np.abs(a - b).max() / np.abs(b).max()
    assert error < 0.1
  # Some rounding there must be, or the option does nothing.
  assert np.abs(got[0].global_ - want[0].global_).max() > 1e-5


def test_remat_changes_neither_parameters_nor_gradients():
  def gradients(remat):
    encoder, variables, images = small("resnet", remat=remat)
    stats = variables["batch_stats"]

    def loss(params):
      features, updated = encoder.apply(
        {"params": params, "batch_stats": stats},
        images,
        True,
        mutable=["batch_stats"],
      )
      return jnp.mean(features.global_**2), updated

    grad = jax.jit(jax.grad(loss, has_aux=True))
    text = str(jax.make_jaxpr(grad)(variables["params"]))
    return variables, jax.jit(grad)(variables["params"]), "remat" in text

  variables, (grads, stats), without = gradients(remat=False)
  variables_2, (grads_2, stats_2), with_remat = gradients(remat=True)
  assert with_remat and not without
  jax.tree.map(np.testing.assert_array_equal, variables, variables_2)
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), grads, grads_2)
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), stats, stats_2)


def test_only_training_moves_the_batch_statistics():
  encoder, variables, images = small("convnet")

  @partial(jax.jit, static_argnums=0)
  def updated(train):
    return encoder.apply(variables, images, train, mutable=["batch_stats"])[1]

  jax.tree.map(
    np.testing.assert_array_equal,
    updated(False)["batch_stats"],
    variables["batch_stats"],
  )
  kernel = variables["params"]["layer0"]["conv"]["kernel"]
  x = conv_numpy(images, kernel, 2, 1)
  old = variables["batch_stats"]["layer0"]["bn"]
  got = updated(True)["batch_stats"]["layer0"]["bn"]
  assert_close(got["mean"], 0.9 * old["mean"] + 0.1 * x.mean((0, 1, 2)))
  assert_close(got["var"], 0.9 * old["var"] + 0.1 * x.var((0, 1, 2)))


@pytest.mark.parametrize("name", ["basic", "convnet", "resnet"])
def test_every_batch_norm_keeps_nine_tenths(name):
  encoder, variables, images = small(name)
  old = variables["batch_stats"]

  @jax.jit
  def updated(stats):
    given = {"params": variables["params"], "batch_stats": stats}
    return encoder.apply(given, images, True, mutable=["batch_stats"])[1]

  # In training nothing else depends on the old statistics.
  new = updated(old)["batch_stats"]
  fresh = updated(jax.tree.map(np.zeros_like, old))["batch_stats"]
  jax.tree.map(lambda a, b, c: assert_close(a, 0.9 * b + c), new, old, fresh)


@pytest.mark.parametrize("name", SMALL)
def test_in_evaluation_an_image_is_encoded_alone(name):
  encoder, variables, images = small(name)
  other = np.concatenate([5 * images[3:], images[1:]])
  run = jax.jit(encoder.apply, static_argnums=2)
  before = run(variables, images, False)
  after = run(variables, other, False)
  jax.tree.map(lambda a, b: assert_close(a[1:], b[1:]), before, after)
  assert np.abs(before.global_[0] - after.global_[0]).max() > 0.01


@pytest.mark.parametrize(
  "layer, shape, fan_in",
  [
    (ConvLayer(128, 4, 2, 1), (1, 8, 8, 64), 64 * 16),
    (DenseLayer(256), (1, 1024), 1024),
    (Output(256), (1, 1024), 1024),
  ],
)
def test_deep_infomax_starts_as_pytorch_does(layer, shape, fan_in):
  given = () if isinstance(layer, Output) else (False,)
  params = layer.init(jax.random.key(0), np.zeros(shape, "f"), *given)["params"]
  # A batch norm starts at one and zero; all else is uniform, the bias of y too.
  norm = params.pop("bn", {"scale": np.ones(1), "bias": np.zeros(1)})
  assert (norm["scale"] == 1).all() and (norm["bias"] == 0).all()
  bound = fan_in**-0.5
  for drawn in jax.tree.leaves(params):
    assert 0.95 * bound < np.abs(drawn).max() <= bound
    np.testing.assert_allclose(np.std(drawn), bound / 3**0.5, rtol=0.1)
  (drawn,) = params.values()
  assert ("bias" in drawn) == isinstance(layer, Output)


def test_resnet_starts_from_kaiming_and_ones():
  layer = BasicBlock(64, 2)
  x = np.zeros((1, 8, 8, 32), np.float32)
  p = jax.jit(layer.init, static_argnums=2)(jax.random.key(0), x, False)
  p = p["params"]
  kernel = p["conv1"]["kernel"]
  np.testing.assert_allclose(kernel.std(), (2 / (9 * 64)) ** 0.5, rtol=0.03)
  # Beyond two deviations: normal, not truncated.
  assert np.abs(kernel).max() > 3 * kernel.std()
  assert (p["bn2"]["scale"] == 1).all()


@pytest.mark.parametrize(
  "options, shape, words",
  [
    (
      {"name": "basic32x32"},
      (2, 28, 28, 3),
      "basic32x32: expected 32x32.*28x28.*config.views.size to 32",
    ),
    (
      {"name": "alex64x64"},
      (2, 64, 32, 3),
      "alex64x64: expected 64x64.*64x32",
    ),
    (
      {"name": "convnet"},
      (2, 2, 8, 8, 3),
      r"convnet: expected .*\[b, h, w, c\].*\(2, 2, 8, 8, 3\)",
    ),
    (
      {"name": "mlp", "dtype": "bfloat"},
      (2, 4, 4, 1),
      "dtype.*'bfloat'.*did you mean bfloat16",
    ),
    (
      {"name": "resnet18", "stem": "cifar"},
      (2, 8, 8, 3),
      "stem.*'cifar'.*small",
    ),
    (
      {"name": "resnet18", "local": "layer5"},
      (2, 8, 8, 3),
      "local.*'layer5'.*layer4",
    ),
  ],
)
def test_mistakes_are_named(options, shape, words):
  encoder = build("encoder", options, ENCODERS)
  with pytest.raises(UserError, match=words):
    abstract(encoder, shape)


def test_integer_images_are_refused():
  encoder = ENCODERS["convnet"]()
  with pytest.raises(UserError, match=r"expected float images, got uint8"):
    encoder.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.uint8), False)


def test_an_option_the_encoder_lacks_is_refused():
  with pytest.raises(
    UserError, match=r"config\.encoder\.dim.*'resnet18'.*stem"
  ):
    build("encoder", {"name": "resnet18", "dim": 64}, ENCODERS)


@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_weights_of_bfloat16_layers_learn_in_float32(layer):
  made = {
    "conv": (layers.Conv, nn.Conv, (8, (3, 3), 2, 1)),
    "dense": (layers.Dense, nn.Dense, (8,)),
  }
  ours, flaxs, args = made[layer]
  x = jax.random.normal(jax.random.key(0), (64, 8, 8, 4)).astype("bfloat16")
  half, single = ours(*args, dtype=jnp.bfloat16), flaxs(*args)
  params = single.init(jax.random.key(1), x)
  # Numbers that bfloat16 holds, so that the products alone are rounded.
  params = jax.tree.map(
    lambda p: p.astype("bfloat16").astype("float32"), params
  )

  def grads(module, x):
    out, pull = jax.vjp(lambda p: module.apply(p, x), params)
    slope = jax.random.normal(jax.random.key(2), out.shape)
    return out, pull(slope.astype("bfloat16").astype(out.dtype))[0]

  got, want = grads(half, x), grads(single, x.astype("float32"))
  assert got[0].dtype == jnp.bfloat16
  np.testing.assert_allclose(got[0].astype("float32"), want[0], atol=0.02)
  chex.assert_trees_all_close(got[1], want[1], rtol=1e-5, atol=1e-4)
