"""ResNets with torchvision's layers, so that weights can be exchanged.

Names are torchvision's with `_` for `.`: `layer1_0/downsample_1/scale` is
`layer1.0.downsample.1.weight`. This is version 1.5, where the 3x3 convolution
of a bottleneck has the stride. Initial weights of convolutions are Kaiming
normal (fan-out). Initial scales of all batch norms are one, also the last one
of a block. There is no classifier.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)
from infomin_jax.encoders.layers import Conv
from infomin_jax.encoders.norm import GroupedBatchNorm
from infomin_jax.errors import lookup

kaiming_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def conv(x, width: int, kernel: int, stride: int, name: str) -> jax.Array:
  """Applies a convolution without bias, padded by `kernel // 2` zeros."""
  return Conv(
    width,
    (kernel, kernel),
    strides=stride,
    padding=kernel // 2,
    use_bias=False,
    kernel_init=kaiming_fan_out,
    dtype=x.dtype,
    name=name,
  )(x)


def batch_norm(x, train: bool, name: str, groups: int = 1) -> jax.Array:
  """Applies batch norm, separately to each of `groups` parts of the batch."""
  # Flax's momentum 0.9 is PyTorch's 0.1: it weighs the old statistics.
  if groups > 1:
    norm = GroupedBatchNorm(groups, momentum=0.9, name=name)
    return norm(x, train)
  return nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name=name)(x)


def shortcut(
  x, width: int, stride: int, train: bool, groups: int = 1
) -> jax.Array:
  """Returns x, or its projection if the block changes the shape."""
  if stride == 1 and x.shape[-1] == width:
    return x
  x = conv(x, width, 1, stride, "downsample_0")
  return batch_norm(x, train, "downsample_1", groups)


class BasicBlock(nn.Module):
  """Two 3x3 convolutions and a shortcut, `[b, h, w, c] -> [b, h', w', width]`.

  Attributes:
    width: channels of the output.
    stride: stride of the first convolution; 2 halves the map.
    groups: number of groups of the batch with separate statistics.
  """

  width: int
  stride: int
  groups: int = 1
  expansion: ClassVar[int] = 1

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    y = conv(x, self.width, 3, self.stride, "conv1")
    y = nn.relu(batch_norm(y, train, "bn1", self.groups))
    y = conv(y, self.width, 3, 1, "conv2")
    y = batch_norm(y, train, "bn2", self.groups)
    return nn.relu(y + shortcut(x, self.width, self.stride, train, self.groups))


class Bottleneck(nn.Module):
  """1x1, 3x3, 1x1 and a shortcut, `[b, h, w, c] -> [b, h', w', 4 width]`.

  Attributes:
    width: channels inside the block, a quarter of the output's.
    stride: stride of the 3x3 convolution; 2 halves the map.
    groups: number of groups of the batch with separate statistics.
  """

  width: int
  stride: int
  groups: int = 1
  expansion: ClassVar[int] = 4

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    wide = self.expansion * self.width
    y = conv(x, self.width, 1, 1, "conv1")
    y = nn.relu(batch_norm(y, train, "bn1", self.groups))
    y = conv(y, self.width, 3, self.stride, "conv2")
    y = nn.relu(batch_norm(y, train, "bn2", self.groups))
    y = conv(y, wide, 1, 1, "conv3")
    y = batch_norm(y, train, "bn3", self.groups)
    return nn.relu(y + shortcut(x, wide, self.stride, train, self.groups))


# Depth -> class of the blocks, and blocks in each of the four stages.
DEPTHS = {
  18: (BasicBlock, (2, 2, 2, 2)),
  34: (BasicBlock, (3, 4, 6, 3)),
  50: (Bottleneck, (3, 4, 6, 3)),
  101: (Bottleneck, (3, 4, 23, 3)),
  152: (Bottleneck, (3, 8, 36, 3)),
}
# Stem -> kernel and stride of the first convolution, and whether to max pool.
STEMS = {"imagenet": (7, 2, True), "small": (3, 1, False)}


class ResNet(Encoder):
  """A residual network for images of any size.

  `global_` and the tap `pool` are the mean of the last map over locations. At
  the usual width these are 512 numbers (depth 18, 34) or 2048 (50 and more).
  The tap `conv` is the last map, the taps `layer1` to `layer3` are the maps of
  the stages before it.

  Attributes:
    depth: 18, 34, 50, 101 or 152.
    stem: `imagenet` (7x7 with stride 2 and a max pool: the last map has 1/32 of
      the image's side) or `small` (3x3, for images of 32 pixels: 1/8).
    local: the stage whose map is `local`, `layer1` to `layer4`.
    width: channels of the first stage; 32 gives the half-width networks that
      CMC trains on split channels.
    groups: number of groups of the batch with separate batch-norm statistics in
      training, as on devices that do not share them; 1 is the whole batch.
    remat: recompute each block in the backward pass, which takes less memory
      and more time; parameters are the same.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    He et al., `Deep Residual Learning for Image Recognition
    <https://arxiv.org/abs/1512.03385>`_, 2016, table 1.
  """

  depth: int
  stem: str = "imagenet"
  local: str = "layer4"
  width: int = 64
  groups: int = 1
  remat: bool = False
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, f"resnet{self.depth}", self.dtype)
    kernel, stride, pooled = lookup("stem of config.encoder", self.stem, STEMS)
    block, counts = DEPTHS[self.depth]
    if self.remat:
      block = nn.remat(block, static_argnums=(2,))  # `train`, after self and x

    x = conv(x, self.width, kernel, stride, "conv1")
    x = nn.relu(batch_norm(x, train, "bn1", self.groups))
    if pooled:
      # As PyTorch pads. "SAME" would pad unevenly.
      x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
    maps = {}
    for i, count in enumerate(counts):
      for j in range(count):
        stride = 2 if i > 0 and j == 0 else 1
        # An explicit name: with remat, Flax's automatic names would differ.
        layer = block(
          self.width * 2**i, stride, self.groups, name=f"layer{i + 1}_{j}"
        )
        x = layer(x, train)
      maps[f"layer{i + 1}"] = x
    local = lookup("local of config.encoder", self.local, maps)
    # Or a mean of bfloat16 values would be rounded to bfloat16.
    pool = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
    maps.popitem()  # the last stage, whose tap is `conv`
    return make_features(local, pool, {**maps, "conv": x, "pool": pool})
