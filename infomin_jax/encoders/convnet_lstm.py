"""An encoder of sequences of frames, and of still ones."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.convnet import ConvNet, Output, torch_uniform
from infomin_jax.encoders.features import Features, make_features


class ConvNetLSTM(nn.Module):
  """Two small convolutional networks: of still frames, and of sequences.

  A sequence's frames go one by one through the second and then, in order,
  through an LSTM; `global_` is made of its last output. Features of still
  frames are of the first network alone: `local` and the tap `conv` the last
  map, `global_` and the tap `pool` its mean over places. Both have widths[-1]
  numbers, so that they can be compared as they are.

  Attributes:
    widths: channels of each convolution.
    strides: of each convolution.
    dtype: what these compute in, `float32` or `bfloat16`.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1.
  """

  widths: tuple[int, ...] = (8, 16, 32, 64)
  strides: tuple[int, ...] = (2, 2, 2, 2)
  dtype: str = "float32"

  def setup(self):
    self.still = ConvNet(self.widths, self.strides, self.dtype)
    self.frame = ConvNet(self.widths, self.strides, self.dtype)
    cell = nn.OptimizedLSTMCell(
      self.widths[-1],
      kernel_init=torch_uniform,
      recurrent_kernel_init=torch_uniform,
    )
    self.lstm = nn.RNN(cell)
    self.output = Output(self.widths[-1])

  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = self.still(images, train).taps["conv"]  # [b, h, w, c]
    pool = jnp.mean(x, axis=(1, 2))
    return make_features(x, pool, {"conv": x, "pool": pool})

  def sequence(self, frames: jax.Array, train: bool) -> Features:
    """Features of sequences `[b, t, h, w, c]`; no map."""
    b, t = frames.shape[:2]
    each = self.frame(frames.reshape(b * t, *frames.shape[2:]), train)
    pooled = jnp.mean(each.taps["conv"], axis=(1, 2)).reshape(b, t, -1)
    states: Any = self.lstm(pooled)  # [b, t, c]
    return make_features(None, self.output(states[:, -1]), {})
