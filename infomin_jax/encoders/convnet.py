"""Plain convolutional encoders: DCGAN-like ones of Deep InfoMax, a small one.

Every hidden layer is a convolution or a matmul without bias, batch norm and
ReLU, started as PyTorch starts them. Maps are flattened in the order h, w, c.

Differs from the paper: its code flattens in the order c, h, w (here the rows of
one matrix of independent random numbers are permuted, no more), and PyTorch's
running variances have n - 1 in the denominator, Flax's n.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features, make_features, prepare
from infomin_jax.encoders.layers import Conv, Dense
from infomin_jax.errors import UserError

# U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's start of every weight.
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ConvLayer(nn.Module):
  """Convolution, batch norm, ReLU: `[b, h, w, c] -> [b, h', w', width]`.

  Attributes:
    width: channels of the output.
    kernel: side of the kernel, in pixels.
    stride: step of the kernel, in pixels.
    padding: zeros on each of the four sides, so `h' = (h + 2 padding -
      kernel) // stride + 1`; XLA's "SAME" would pad unevenly.
    bias: whether the convolution has one, from zero; batch norm takes it out.
    kernel_init: where the weights start.
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

  It costs next to nothing, and its rounding would go straight into the scores.
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


# Side of the image -> number of convolutions, each twice as wide as the one
# before; kernel, padding, index of the local map. The stride is 2 everywhere.
BASIC = {
  28: (2, 5, 2, 1),
  32: (3, 4, 1, 1),
  64: (4, 4, 1, 2),
}


class Basic(nn.Module):
  """The DCGAN-like encoder of Deep InfoMax, for images of one size.

  | size | convolutions          | local       | conv tap    | parameters |
  |------|-----------------------|-------------|-------------|------------|
  | 28   | 64, 128; 5x5          | 7 x 7 x 128 | local       |  6.70 M    |
  | 32   | 64, 128, 256; 4x4     | 8 x 8 x 128 | 4 x 4 x 256 |  4.92 M    |
  | 64   | 64 up to 512; 4x4     | 8 x 8 x 256 | 4 x 4 x 512 | 11.2 M     |

  Then a hidden layer of 1024 (tap `fc`) and y, linear (tap `y`, `global_`).
  One place of size 32's local map sees 10 x 10 pixels, places are 4 apart.

  Attributes:
    size: height and width of the images.
    dim: units of y.
    dtype: what it computes in, `float32` or `bfloat16`.
    width: channels of the first convolution; all other widths but y's are in
      proportion. Published: 64.

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


class ConvNet(nn.Module):
  """A small encoder for quick runs: a few 3x3 convolutions.

  `local` and the tap `conv` are the last map; `global_` and the tap `pool` its
  mean and its maximum over places, `[b, 2 widths[-1]]`.

  Attributes:
    widths: channels of each convolution.
    strides: of each convolution; 2 halves the map.
    dtype: what it computes in, `float32` or `bfloat16`.
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
        f"{len(self.widths)}: give one stride a width."
      )
    for i, (width, stride) in enumerate(
      zip(self.widths, self.strides, strict=True)
    ):
      x = ConvLayer(width, 3, stride, 1, name=f"layer{i}")(x, train)
    places = x.reshape(x.shape[0], -1, x.shape[-1])  # [b, h w, c]
    mean = jnp.mean(places, axis=1, dtype=jnp.float32)
    # The gradient of `jnp.max` looks for the places that equal the maximum and
    # divides by their number: where the compiler computes x twice, with other
    # roundings, there is none, and the gradient is not a number.
    top = jnp.argmax(places, axis=1, keepdims=True)
    most = jnp.take_along_axis(places, top, axis=1)[:, 0]
    pool = jnp.concatenate([mean, most], axis=1)
    return make_features(x, pool, {"conv": x, "pool": pool})
