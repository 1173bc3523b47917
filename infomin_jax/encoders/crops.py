"""Encoders that encode overlapping crops of an image separately.

One network encodes crops whose side is a quarter of the image's, half a crop
apart. Convolutions pad each crop with zeros. So the map has 7 x 7 locations,
and each one depends only on the pixels of its crop and, in training, on the
batch statistics. These encoders are from Deep InfoMax's comparison with
contrastive predictive coding.
"""

import math
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.alexnet import LAYERS
from infomin_jax.encoders.convnet import (
  ConvLayer,
  DenseLayer,
  Output,
  torch_uniform,
)
from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)
from infomin_jax.encoders.layers import Conv, Dense
from infomin_jax.encoders.resnet import Bottleneck, batch_norm, conv
from infomin_jax.errors import UserError

dcgan_normal = nn.initializers.normal(0.02)


def unfold(images: jax.Array, size: int, stride: int) -> jax.Array:
  """Cuts square crops on a grid; drops pixels beyond the last whole crop.

  Args:
    images: `[b, h, w, c]`.
    size: side of a crop in pixels.
    stride: distance between neighboring crops in pixels.

  Returns:
    `[b, rows, columns, size, size, c]` with
    `rows = (h - size) // stride + 1`, and `columns` computed from w.

  Raises:
    UserError: crops are larger than the image.
  """
  height, width = images.shape[1:3]
  if size > min(height, width):
    raise UserError(
      f"Expected crops no larger than the image, got crops of {size} x {size} "
      f"from {height} x {width} pixels."
    )
  tops = range(0, height - size + 1, stride)
  lefts = range(0, width - size + 1, stride)
  # Slices instead of one gather: the gradient is a sum, not a scatter.
  strips = jnp.stack([images[:, i : i + size] for i in tops], axis=1)
  crops = [strips[:, :, :, j : j + size] for j in lefts]
  return jnp.stack(crops, axis=2)


def fold(maps: jax.Array, grid: tuple[int, ...]) -> jax.Array:
  """Arranges the features of all crops of an image as one map.

  Args:
    maps: `[b rows columns, h, w, d]`, in the order of `unfold`.
    grid: number of rows and columns.

  Returns:
    `[b, rows, columns, h w d]`.
  """
  return maps.reshape(-1, *grid, math.prod(maps.shape[1:]))


# A convolution with DCGAN's initial weights.
DcganConv = partial(ConvLayer, bias=True, kernel_init=dcgan_normal)


class AlexCrops(nn.Module):
  """AlexNet's convolutions on crops, `[b, 64, 64, c] -> [b, 7, 7, 2 width]`.

  Attributes:
    width: channels of the first convolution.
    layer: class of the convolutions, `ConvLayer` or `DcganConv`.
  """

  width: int
  layer: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    crops = unfold(x, 16, 8)  # [b, 7, 7, 16, 16, c]
    # The batch axis comes first, so a batch that is sharded over devices needs
    # no communication here.
    x = crops.reshape(-1, *crops.shape[3:])
    for i, (multiple, pooled) in enumerate(LAYERS):
      layer = self.layer(multiple * self.width, 3, 1, 1, name=f"layer{i}")
      x = layer(x, train)
      if pooled:
        x = nn.max_pool(x, (3, 3), (2, 2))  # 16 -> 7 -> 3 -> 1
    return fold(x, crops.shape[1:3])


class FoldedAlex(Encoder):
  """AlexNet on 49 crops of a 64x64 image, with one global summary.

  Crops have 16 x 16 pixels and are 8 pixels apart. `local` and the tap `conv`
  are the map of crops, 7 x 7 x 192. A 3x3 convolution of stride 2, a layer of
  4096 units (tap `fc`) and a linear layer y (tap `y`, `global_`) follow. 17.9
  million parameters.

  Differs from the paper: initial biases before a batch norm are zero; in the
  authors' code they are random.

  Attributes:
    dim: units of y.
    width: channels of the first convolution.
    hidden: units of the hidden layer.
    dropout: fraction of channels, and of hidden units, zeroed in training.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 3; layers from the authors' code, `configs/convnets.py`.
  """

  dim: int = 64
  width: int = 96
  hidden: int = 4096
  dropout: float = 0.1
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, "foldalex64x64", self.dtype, 64)
    local = AlexCrops(self.width, DcganConv, name="crops")(x, train)
    x = Conv(
      4 * self.width,
      (3, 3),
      strides=2,
      padding=0,
      use_bias=False,
      kernel_init=torch_uniform,
      dtype=x.dtype,
      name="conv",
    )(local)
    # Whole channels are dropped: neighboring locations of a channel are so
    # similar that dropping single ones would have little effect.
    x = nn.Dropout(self.dropout, (1, 2), deterministic=not train)(x)
    x = nn.relu(batch_norm(x, train, "conv_bn"))
    x = x.reshape(x.shape[0], -1)  # [b, 3, 3, c] -> [b, 9 c]
    x = Dense(self.hidden, kernel_init=dcgan_normal, dtype=x.dtype, name="fc")(
      x
    )
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    fc = nn.relu(batch_norm(x, train, "fc_bn"))
    y = Output(self.dim, name="y")(fc)
    return make_features(local, y, {"conv": local, "fc": fc, "y": y})


class FoldedMultiAlex(Encoder):
  """AlexNet on 49 crops of a 64x64 image, with 25 summaries of 3 x 3 crops.

  `local` and the tap `conv` are the map of crops, 7 x 7 x 192. The tap `glob`
  is the map of summaries, 5 x 5 x 192, which local objectives use. `global_` is
  that map flattened to 4800 numbers, for uses that need one vector per image.
  3.2 million parameters.

  Attributes:
    width: channels of the first convolution.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 3; layers from the authors' code, `configs/convnets.py`.
  """

  width: int = 96
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, "foldmultialex64x64", self.dtype, 64)
    local = AlexCrops(self.width, ConvLayer, name="crops")(x, train)
    x = ConvLayer(2 * self.width, 3, 1, 0, name="block")(local, train)
    glob = ConvLayer(2 * self.width, 1, 1, 0, name="glob")(x, train)
    flat = glob.reshape(glob.shape[0], -1)  # [b, 5, 5, c] -> [b, 25 c]
    return make_features(local, flat, {"conv": local, "glob": glob})


# Depth -> blocks in each of the three stages.
BLOCKS = {19: (2, 2, 2), 37: (3, 6, 3)}


class FoldedResNet(Encoder):
  """ResNet on 49 crops of a 32x32 image, with one global summary.

  Crops have 8 x 8 pixels and are 4 pixels apart. Their maps are 4 x 4 after the
  first convolution and stage 1, 2 x 2 after stage 2, 1 x 1 after stage 3.
  `local` and the tap `conv` are the map of crops, 7 x 7 x 1024. A layer of 1024
  units (tap `fc`) and a linear layer y (tap `y`, `global_`) follow.

  Differs from the paper: initial weights of convolutions are Kaiming normal, as
  in torchvision's ResNets; the authors use PyTorch's default. Depth 37 is
  called 34 in their code and 50 in their paper.

  Attributes:
    depth: 19 or 37 convolutions.
    dim: units of y.
    width: channels of the first convolution.
    hidden: units of the hidden layer.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 3; layers from the authors' code, `configs/resnets.py`.
  """

  depth: int
  dim: int = 64
  width: int = 64
  hidden: int = 1024
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, f"foldresnet{self.depth}_32x32", self.dtype, 32)
    crops = unfold(x, 8, 4)  # [b, 7, 7, 8, 8, c]
    x = crops.reshape(-1, *crops.shape[3:])  # batch first, as in `AlexCrops`
    x = conv(x, self.width, 3, 2, "conv1")
    x = nn.relu(batch_norm(x, train, "bn1"))
    for i, count in enumerate(BLOCKS[self.depth]):
      for j in range(count):
        stride = 2 if i > 0 and j == 0 else 1
        name = f"layer{i + 1}_{j}"
        x = Bottleneck(self.width * 2**i, stride, name=name)(x, train)
    local = fold(x, crops.shape[1:3])
    x = local.reshape(local.shape[0], -1)  # [b, 7, 7, c] -> [b, 49 c]
    fc = DenseLayer(self.hidden, name="fc")(x, train)
    y = Output(self.dim, name="y")(fc)
    return make_features(local, y, {"conv": local, "fc": fc, "y": y})
