"""Multilayer perceptrons on flattened images."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)
from infomin_jax.encoders.layers import Dense
from infomin_jax.encoders.realnvp import near_zero


class MLP(Encoder):
  """Dense layers with ReLU between them, on `[b, h w c]`; no local map.

  The defaults are the encoder of "On MI maximization", 238,300 parameters on
  half of a 28x28 digit. It has no batch norm: batch statistics would leak
  information about one example of a batch into another.

  Attributes:
    hidden: units of each hidden layer; the last one is the tap `hidden`.
    dim: units of the linear layer y (tap `y`, `global_`).
    dtype: dtype of the computation, `float32` or `bfloat16`; y is float32.

  References:
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2020, section 3.2.
  """

  hidden: tuple[int, ...] = (300, 300)
  dim: int = 100
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    del train
    x = prepare(images, "mlp", self.dtype)
    x = x.reshape(x.shape[0], -1)  # [b, h, w, c] -> [b, h w c]
    for i, width in enumerate(self.hidden):
      x = nn.relu(dense(width, f"dense{i}", x.dtype)(x))
    y = dense(self.dim, "y", jnp.float32)(x)
    return make_features(None, y, {"hidden": x, "y": y})


class SkipMLP(Encoder):
  """Layers h <- ReLU(W h + b) + h, the last one without ReLU.

  Layers are as wide as the image, 770,280 parameters on half of a 28x28 digit.
  Initially the network is nearly the identity. In training it can become
  ill-conditioned or not invertible.

  Attributes:
    layers: number of layers, including the linear one.

  References:
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2020, section 3.1.
  """

  layers: int = 5

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    del train
    h = prepare(images, "skip_mlp", "float32")
    h = h.reshape(h.shape[0], -1)  # [b, h, w, c] -> [b, h w c]
    for i in range(self.layers):
      step = nn.Dense(h.shape[-1], kernel_init=near_zero, name=f"dense{i}")(h)
      h = h + (nn.relu(step) if i < self.layers - 1 else step)
    return make_features(None, h, {"y": h})


def dense(width: int, name: str, dtype) -> Dense:
  """Makes a layer with Keras's initial values: Glorot uniform, zero biases."""
  glorot = nn.initializers.glorot_uniform()
  return Dense(width, kernel_init=glorot, dtype=dtype, name=name)
