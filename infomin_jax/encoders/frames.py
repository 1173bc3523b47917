"""An encoder of sequences of frames, and of still ones."""

from typing import Any

import flax.linen as nn
import jax

from infomin_jax.encoders.convnet import ConvNet, Output
from infomin_jax.encoders.features import Features, make_features


class ConvNetLSTM(nn.Module):
  """Two small convolutional networks: of still frames, and of sequences.

  A sequence's frames go one by one through the second and then, in order,
  through an LSTM; the last output is the sequence's `global_`. Of still frames
  features are those of `convnet`, of the first network alone.

  Differs from the paper: the map is pooled by its mean and its maximum.

  Attributes:
    widths: channels of each convolution.
    strides: of each convolution.
    units: of the LSTM, and of a sequence's features.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1.
  """

  widths: tuple[int, ...] = (8, 16, 32, 64)
  strides: tuple[int, ...] = (2, 2, 2, 2)
  units: int = 64

  def setup(self):
    self.still = ConvNet(self.widths, self.strides)
    self.frame = ConvNet(self.widths, self.strides)
    self.lstm = nn.RNN(nn.OptimizedLSTMCell(self.units))
    self.output = Output(self.units)

  def __call__(self, images: jax.Array, train: bool) -> Features:
    return self.still(images, train)

  def sequence(self, frames: jax.Array, train: bool) -> Features:
    """Features of sequences `[b, t, h, w, c]`, no map: `[b, units]`."""
    b, t = frames.shape[:2]
    each = self.frame(frames.reshape(b * t, *frames.shape[2:]), train)
    states: Any = self.lstm(each.global_.reshape(b, t, -1))  # [b, t, units]
    return make_features(None, self.output(states[:, -1]), {})
