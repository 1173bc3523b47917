"""From a vector back to an image: the decoders of Deep InfoMax.

`Decoder` is the decoder or generator of its baselines, `Reconstructor` shows
how much of an image a trained encoder's features keep. Both start as PyTorch
starts them. Vectors unfold to maps in the order h, w, c.

Differs from the paper: its code unfolds in the order c, h, w, and draws biases
that a batch norm follows; here they start at zero.
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
  """The decoder, or generator, of VAE, AAE and BiGAN.

  | size | linear      | transposed convolutions | parameters from 64 numbers |
  |------|-------------|-------------------------|----------------------------|
  | 28   | 7 x 7 x 128 | 64, 64                  | 0.61 M                     |
  | 32   | 4 x 4 x 256 | 128, 64, 64             | 0.99 M                     |
  | 64   | 4 x 4 x 512 | 256, 128, 64, 64        | 3.35 M                     |

  Each with batch norm and ReLU; then a 3x3 convolution and tanh.

  Attributes:
    size: height and width of the images, 4 to 7 times a power of two.
    channels: of the images.
    width: channels of the last transposed convolution.
    dtype: what it computes in, `float32` or `bfloat16`.

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
    """`[b, d] -> [b, size, size, channels]` float32 in [-1, 1]."""
    side, doublings = first_map(self.size)
    widths = [self.width * 2**i for i in reversed(range(doublings))]
    x = Output(side * side * widths[0], name="linear")(vectors(y))
    x = x.astype(lookup("dtype of the decoder", self.dtype, DTYPES))
    x = x.reshape(-1, side, side, widths[0])
    x = nn.relu(batch_norm(x, train, "bn"))
    return grow(x, (*widths[1:], self.width), self.channels, False, train)


class Reconstructor(nn.Module):
  """The decoder that measures what features keep, for the MS-SSIM of table 4.

  For 32 pixels: linear 4 x 4 x 512; transposed convolutions of 256, 128 and 64;
  each with batch norm and ReLU; then a 3x3 convolution and tanh. 3.30 million
  parameters from 64 numbers. Other sizes start as `Decoder` does, twice as
  wide.

  Attributes:
    size: height and width of the images, 4 to 7 times a power of two.
    channels: of the images.
    width: channels of the last transposed convolution.
    dtype: what it computes in, `float32` or `bfloat16`.

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
    """`[b, d] -> [b, size, size, channels]` float32 in [-1, 1]."""
    side, doublings = first_map(self.size)
    widths = [self.width * 2**i for i in reversed(range(doublings + 1))]
    x = vectors(y).astype(lookup("dtype of the decoder", self.dtype, DTYPES))
    x = DenseLayer(side * side * widths[0], name="linear")(x, train)
    x = x.reshape(-1, side, side, widths[0])
    return grow(x, widths[1:], self.channels, True, train)


def grow(x, widths, channels: int, bias: bool, train: bool) -> jax.Array:
  """Transposed convolutions with batch norm and ReLU, then the image."""
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
  """PyTorch's `ConvTranspose2d(.., 4, 2, 1)`: a map twice as high and wide.

  Input place i adds its kernel to the output from place `2 i - 1` on. So every
  output place hears of 2 x 2 inputs through 2 x 2 weights, other ones for even
  and odd rows and columns: one matmul, as XLA on a CPU takes ten times longer
  for the gradient of a transposed convolution.

  The kernel is `[4, 4, width, c]`, PyTorch's with the axes (2, 3, 1, 0); so the
  start's `fan_in` counts the channels of the output, as it does in PyTorch.

  Attributes:
    width: channels of the output.
    bias: whether it has one, which starts at zero.
  """

  width: int
  bias: bool

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    b, h, w, c = x.shape
    width = self.width
    kernel = self.param("kernel", torch_uniform, (4, 4, width, c))
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    pairs = [(i, j) for i in range(2) for j in range(2)]
    places = [padded[:, i : i + h + 1, j : j + w + 1] for i, j in pairs]
    # Rows of the kernel that an even and an odd output place hear.
    rows = jnp.array([[3, 1], [2, 0]])
    parts = kernel[rows][:, :, rows]  # [even or odd, 2, even or odd, 2, ...]
    parts = parts.transpose(1, 3, 5, 0, 2, 4).reshape(4 * c, 4 * width)
    y = matmul(jnp.concatenate(places, axis=-1), parts)
    y = y.reshape(b, h + 1, w + 1, 2, 2, width)
    y = jnp.stack([y[:, :h, :, 0], y[:, 1:, :, 1]], axis=2)
    y = jnp.stack([y[:, :, :, :w, 0], y[:, :, :, 1:, 1]], axis=4)
    y = y.reshape(b, 2 * h, 2 * w, width)
    if self.bias:
      bias = self.param("bias", nn.initializers.zeros, (width,))
      y = (y + bias[None, None, None]).astype(x.dtype)
    return y


def first_map(size: int) -> tuple[int, int]:
  """The side to start from, 4 to 7, and how often to double it."""
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
  """y, checked to be `[b, d]`."""
  if y.ndim != 2:
    raise UserError(
      f"decoder: expected vectors of shape [b, d], got {y.shape}. "
      "Flatten the map, or decode global_."
    )
  return y
