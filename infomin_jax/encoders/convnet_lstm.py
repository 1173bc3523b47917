"""An encoder of single frames and of sequences of frames."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.convnet import ConvNet, Output, torch_uniform
from infomin_jax.encoders.features import Encoder, Features, make_features


class ConvNetLSTM(Encoder):
  """Two small convolutional networks: one for still frames, one for sequences.

  The second network encodes each frame of a sequence, an LSTM then reads these
  in order, and `global_` is a linear map of its last output. Features of still
  frames are from the first network only. `local` and the tap `conv` are its
  last map. `global_` and the tap `pool` are the mean of this map over
  locations. In both cases `global_` has widths[-1] numbers, so the two can be
  compared directly.

  Attributes:
    widths: channels of each convolution.
    strides: stride of each convolution.
    dtype: dtype of the convolutions, `float32` or `bfloat16`.

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
    """Encodes sequences `[b, t, h, w, c]`; the features have no map."""
    b, t = frames.shape[:2]
    each = self.frame(frames.reshape(b * t, *frames.shape[2:]), train)
    pooled = jnp.mean(each.taps["conv"], axis=(1, 2)).reshape(b, t, -1)
    states: Any = self.lstm(pooled)  # [b, t, c]
    return make_features(None, self.output(states[:, -1]), {})
