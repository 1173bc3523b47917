"""Plain convolutional encoders: Deep InfoMax's DCGAN-like ones and a small one.

Every hidden layer is a convolution or a matmul without bias, followed by batch
norm and ReLU. Initial weights have PyTorch's default distribution. Maps are
flattened in the order h, w, c.

Differs from the paper: its code flattens in the order c, h, w, which only
permutes the rows of a matrix of independent random numbers. PyTorch's running
variances have n - 1 in the denominator, Flax's have n.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)
from infomin_jax.encoders.layers import Conv, Dense
from infomin_jax.errors import UserError

# U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for every weight.
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ConvLayer(nn.Module):
  """Convolution, batch norm, ReLU: `[b, h, w, c] -> [b, h', w', width]`.

  Attributes:
    width: channels of the output.
    kernel: side of the kernel in pixels.
    stride: step of the kernel in pixels.
    padding: zeros on each of the four sides, so
      `h' = (h + 2 padding - kernel) // stride + 1`; XLA's "SAME" would pad
      unevenly.
    bias: whether the convolution has a bias, initially zero. Batch norm
      subtracts it again.
    kernel_init: initializer of the weights.
  """

  width: int
  kernel: int
  stride: int
  padding: int
  bias: bool = False
  kernel_init: Callable[..., jax.Array] = torch_uniform

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    x = Conv(
      self.width,
      (self.kernel, self.kernel),
      strides=self.stride,
      padding=self.padding,
      use_bias=self.bias,
      kernel_init=self.kernel_init,
      dtype=x.dtype,
      name="conv",
    )(x)
    x = nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name="bn")(x)
    return nn.relu(x)


class DenseLayer(nn.Module):
  """Matmul, batch norm, ReLU: `[b, d] -> [b, width]`."""

  width: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    x = Dense(
      self.width,
      use_bias=False,
      kernel_init=torch_uniform,
      dtype=x.dtype,
      name="dense",
    )(x)
    x = nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name="bn")(x)
    return nn.relu(x)


class Output(nn.Module):
  """The linear layer y with bias, `[b, d] -> [b, dim]`, always float32.

  It is cheap, and rounding it to bfloat16 would change the scores directly.
  """

  dim: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    bound = x.shape[-1] ** -0.5

    def bias_init(key, shape, dtype):
      return jax.random.uniform(key, shape, dtype, -bound, bound)

    return Dense(
      self.dim,
      kernel_init=torch_uniform,
      bias_init=bias_init,
      dtype=jnp.float32,
      name="dense",
    )(x)


# Side of the image -> number of convolutions, kernel, padding, and index of the
# local map. Each convolution is twice as wide as the one before, with stride 2.
BASIC = {
  28: (2, 5, 2, 1),
  32: (3, 4, 1, 1),
  64: (4, 4, 1, 2),
}


class Basic(Encoder):
  """The DCGAN-like encoder of Deep InfoMax, for images of one size.

  | size | convolutions          | local       | conv tap    | parameters |
  |------|-----------------------|-------------|-------------|------------|
  | 28   | 64, 128; 5x5          | 7 x 7 x 128 | local       |  6.70 M    |
  | 32   | 64, 128, 256; 4x4     | 8 x 8 x 128 | 4 x 4 x 256 |  4.92 M    |
  | 64   | 64 up to 512; 4x4     | 8 x 8 x 256 | 4 x 4 x 512 | 11.2 M     |

  A hidden layer of 1024 units (tap `fc`) and a linear layer y (tap `y`,
  `global_`) follow. For size 32, a location of the local map has a receptive
  field of 10 x 10 pixels, and neighboring locations are 4 pixels apart.

  Attributes:
    size: height and width of the images.
    dim: units of y.
    dtype: dtype of the computation, `float32` or `bfloat16`.
    width: channels of the first convolution. All other widths except y's are
      proportional to it. Published: 64.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019;
    layers from the authors' code, `configs/convnets.py`.
  """

  size: int
  dim: int = 64
  dtype: str = "float32"
  width: int = 64

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    name = f"basic{self.size}x{self.size}"
    x = prepare(images, name, self.dtype, self.size)
    count, kernel, padding, local = BASIC[self.size]
    maps = []
    for i in range(count):
      width = self.width * 2**i
      x = ConvLayer(width, kernel, 2, padding, name=f"layer{i}")(x, train)
      maps.append(x)
    x = x.reshape(x.shape[0], -1)  # [b, h, w, c] -> [b, h w c]
    fc = DenseLayer(16 * self.width, name="fc")(x, train)
    y = Output(self.dim, name="y")(fc)
    return make_features(maps[local], y, {"conv": maps[-1], "fc": fc, "y": y})


class ConvNet(Encoder):
  """A small encoder for quick runs: a few 3x3 convolutions.

  `local` and the tap `conv` are the last map. `global_` and the tap `pool` are
  its mean and its maximum over locations, `[b, 2 widths[-1]]`.

  Attributes:
    widths: channels of each convolution.
    strides: stride of each convolution; 2 halves the map.
    dtype: dtype of the computation, `float32` or `bfloat16`.
  """

  widths: tuple[int, ...] = (32, 64, 128)
  strides: tuple[int, ...] = (2, 2, 2)
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, "convnet", self.dtype)
    if len(self.strides) != len(self.widths):
      raise UserError(
        f"config.encoder.strides has {len(self.strides)} numbers, widths "
        f"{len(self.widths)}: give one stride per width."
      )
    for i, (width, stride) in enumerate(
      zip(self.widths, self.strides, strict=True)
    ):
      x = ConvLayer(width, 3, stride, 1, name=f"layer{i}")(x, train)
    pixels = x.reshape(x.shape[0], -1, x.shape[-1])  # [b, h w, c]
    # Or a mean of bfloat16 values would be rounded to bfloat16.
    mean = jnp.mean(pixels, axis=1, dtype=jnp.float32)
    # Not `jnp.max`: its gradient divides by the number of locations that equal
    # the maximum. If the compiler computes x twice, with different rounding,
    # that number is 0 and the gradient is NaN.
    top = jnp.argmax(pixels, axis=1, keepdims=True)
    maximum = jnp.take_along_axis(pixels, top, axis=1)[:, 0]
    pool = jnp.concatenate([mean, maximum], axis=1)
    return make_features(x, pool, {"conv": x, "pool": pool})
