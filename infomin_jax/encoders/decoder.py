"""Decoders of Deep InfoMax, from a vector to an image.

`Decoder` is the decoder or generator of the paper's baselines. `Reconstructor`
measures how much of an image can be reconstructed from features. Initial
weights have PyTorch's default distribution. Vectors are reshaped to maps in the
order h, w, c.

Differs from the paper: its code reshapes in the order c, h, w. Initial biases
before a batch norm are random there and zero here.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.convnet import DenseLayer, Output, torch_uniform
from infomin_jax.encoders.features import DTYPES
from infomin_jax.encoders.layers import Conv, matmul
from infomin_jax.encoders.resnet import batch_norm
from infomin_jax.errors import UserError, lookup


class Decoder(nn.Module):
  """The decoder of VAE and AAE, and the generator of BiGAN.

  | size | linear      | transposed convolutions | parameters from 64 numbers |
  |------|-------------|-------------------------|----------------------------|
  | 28   | 7 x 7 x 128 | 64, 64                  | 0.61 M                     |
  | 32   | 4 x 4 x 256 | 128, 64, 64             | 0.99 M                     |
  | 64   | 4 x 4 x 512 | 256, 128, 64, 64        | 3.35 M                     |

  Batch norm and ReLU follow each layer; a 3x3 convolution and tanh are last.

  Attributes:
    size: height and width of the images, 4 to 7 times a power of two.
    channels: channels of the images.
    width: channels of the last transposed convolution.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019;
    layers from the authors' framework, `networks/conv_decoders.py`.
  """

  size: int
  channels: int = 3
  width: int = 64
  dtype: str = "float32"

  @nn.compact
  def __call__(self, y: jax.Array, train: bool) -> jax.Array:
    """Decodes `[b, d]` to `[b, size, size, channels]`, in [-1, 1]."""
    side, doublings = first_map(self.size)
    widths = [self.width * 2**i for i in reversed(range(doublings))]
    x = Output(side * side * widths[0], name="linear")(vectors(y))
    x = x.astype(lookup("dtype of the decoder", self.dtype, DTYPES))
    x = x.reshape(-1, side, side, widths[0])
    x = nn.relu(batch_norm(x, train, "bn"))
    return grow(x, (*widths[1:], self.width), self.channels, False, train)


class Reconstructor(nn.Module):
  """The decoder that reconstructs images from features, for MS-SSIM (table 4).

  For 32 pixels it has a linear layer of 4 x 4 x 512 and transposed convolutions
  of 256, 128 and 64 channels, each followed by batch norm and ReLU. A 3x3
  convolution and tanh are last. It has 3.30 million parameters from 64 numbers.
  For other sizes the first map has the side of `Decoder`'s and twice the width.

  Attributes:
    size: height and width of the images, 4 to 7 times a power of two.
    channels: channels of the images.
    width: channels of the last transposed convolution.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 4; layers from the authors' code, `configs/deconvnets.py`.
  """

  size: int = 32
  channels: int = 3
  width: int = 64
  dtype: str = "float32"

  @nn.compact
  def __call__(self, y: jax.Array, train: bool) -> jax.Array:
    """Decodes `[b, d]` to `[b, size, size, channels]`, in [-1, 1]."""
    side, doublings = first_map(self.size)
    widths = [self.width * 2**i for i in reversed(range(doublings + 1))]
    x = vectors(y).astype(lookup("dtype of the decoder", self.dtype, DTYPES))
    x = DenseLayer(side * side * widths[0], name="linear")(x, train)
    x = x.reshape(-1, side, side, widths[0])
    return grow(x, widths[1:], self.channels, True, train)


def grow(x, widths, channels: int, bias: bool, train: bool) -> jax.Array:
  """Applies transposed convolutions, then computes the image in [-1, 1]."""
  for i, width in enumerate(widths):
    x = Double(width, bias, name=f"tconv{i}")(x)
    x = nn.relu(batch_norm(x, train, f"tconv{i}_bn"))
  x = Conv(
    channels,
    (3, 3),
    padding=1,
    use_bias=False,
    kernel_init=torch_uniform,
    dtype=x.dtype,
    name="conv",
  )(x)
  return jnp.tanh(x.astype(jnp.float32))


class Double(nn.Module):
  """PyTorch's `ConvTranspose2d(.., 4, 2, 1)`: doubles height and width.

  Input location i adds its kernel to the output from location `2 i - 1` on. So
  every output location is a sum over 2 x 2 inputs with 2 x 2 weights. These
  weights differ between even and odd rows, and between even and odd columns. It
  is computed as one matmul.

  The kernel is `[4, 4, width, c]`, PyTorch's with the axes (2, 3, 1, 0). The
  initializer's `fan_in` then counts the output channels, as in PyTorch.

  Attributes:
    width: channels of the output.
    bias: whether it has a bias, initially zero.
  """

  width: int
  bias: bool

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    b, h, w, c = x.shape
    width = self.width
    kernel = self.param("kernel", torch_uniform, (4, 4, width, c))
    # One matmul instead of a transposed convolution, whose gradient takes XLA
    # ten times longer on a CPU.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    pairs = [(i, j) for i in range(2) for j in range(2)]
    inputs = [padded[:, i : i + h + 1, j : j + w + 1] for i, j in pairs]
    # Rows of the kernel that contribute to an even and to an odd output row.
    rows = jnp.array([[3, 1], [2, 0]])
    weights = kernel[rows][:, :, rows]  # [even or odd, 2, even or odd, 2, ...]
    weights = weights.transpose(1, 3, 5, 0, 2, 4).reshape(4 * c, 4 * width)
    y = matmul(jnp.concatenate(inputs, axis=-1), weights)
    y = y.reshape(b, h + 1, w + 1, 2, 2, width)
    y = jnp.stack([y[:, :h, :, 0], y[:, 1:, :, 1]], axis=2)
    y = jnp.stack([y[:, :, :, :w, 0], y[:, :, :, 1:, 1]], axis=4)
    y = y.reshape(b, 2 * h, 2 * w, width)
    if self.bias:
      bias = self.param("bias", nn.initializers.zeros, (width,))
      y = (y + bias[None, None, None]).astype(x.dtype)
    return y


def first_map(size: int) -> tuple[int, int]:
  """Returns the side of the first map, 4 to 7, and the number of doublings.

  Raises:
    UserError: `size` is not 4 to 7 times a power of two.
  """
  side, doublings = size, 0
  while side > 7 and side % 2 == 0:
    side, doublings = side // 2, doublings + 1
  if not 4 <= side <= 7 or doublings == 0:
    raise UserError(
      "decoder: expected a size that is 4 to 7 times a power of two, such as "
      f"28, 32 or 64, got {size}."
    )
  return side, doublings


def vectors(y: jax.Array) -> jax.Array:
  """Checks that y is `[b, d]` and returns it."""
  if y.ndim != 2:
    raise UserError(
      f"decoder: expected vectors of shape [b, d], got {y.shape}. "
      "Flatten the map, or decode global_."
    )
  return y
