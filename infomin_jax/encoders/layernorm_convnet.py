"""A small convolutional encoder with layer norm, for bounds with heavy tails.

Layer norm normalizes each image separately. Batch norm would leak information
about one example of a batch into another, which a critic can exploit.
"""

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
from infomin_jax.encoders.mlp import dense

_glorot = nn.initializers.glorot_uniform()


class LayerNormConvNet(Encoder):
  """Two 5x5 convolutions, layer norm, mean over locations, linear y.

  219,748 parameters on half of a 28x28 digit. `local` and the tap `conv` are
  the normalized map, `[b, h / 4, w / 4, 128]`. y is `global_`.

  Attributes:
    widths: channels of the convolutions, each of stride 2.
    dim: units of y, linear.
    dtype: dtype of the computation, `float32` or `bfloat16`; y is float32.

  References:
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2020, section 3.3.
  """

  widths: tuple[int, ...] = (64, 128)
  dim: int = 100
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    del train
    x = prepare(images, "convnet_layernorm", self.dtype)
    for i, width in enumerate(self.widths):
      x = Conv(
        width, (5, 5), 2, kernel_init=_glorot, dtype=x.dtype, name=f"conv{i}"
      )(x)
      x = nn.relu(x)
    x = ImageNorm(name="norm")(x)
    y = dense(self.dim, "y", jnp.float32)(jnp.mean(x, axis=(1, 2)))
    return make_features(x, y, {"conv": x, "y": y})


class ImageNorm(nn.Module):
  """Normalizes each image to mean 0 and deviation 1, `[b, h, w, c]`.

  Mean and deviation are over height, width and channels. Scale and bias are one
  number per channel. As published, 1e-6 is added to the deviation, not to the
  variance.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (x.shape[-1],)
    scale = self.param("scale", nn.initializers.ones, shape)
    bias = self.param("bias", nn.initializers.zeros, shape)
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, axis=(1, 2, 3), keepdims=True)
    variance = jnp.mean((wide - mean) ** 2, axis=(1, 2, 3), keepdims=True)
    # The variance of a blank image is 0, where sqrt has an infinite gradient.
    deviation = jnp.sqrt(jnp.maximum(variance, 1e-12)) + 1e-6
    normed = (wide - mean) / deviation
    return (normed * scale[None, None, None] + bias[None, None, None]).astype(
      x.dtype
    )
