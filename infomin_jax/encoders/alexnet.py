"""The AlexNet of Deep InfoMax for 64x64 images."""

import flax.linen as nn
import jax

from infomin_jax.encoders.convnet import ConvLayer, DenseLayer, Output
from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)

# For each 3x3 convolution: channels as a multiple of the first one's, and
# whether a max pool follows.
LAYERS = ((1, True), (2, True), (4, False), (4, False), (2, True))


class Alex64(Encoder):
  """Five 3x3 convolutions, two layers of 4096 units and y, for 64x64 images.

  `local` is the third map, 15 x 15 x 384. The taps are `conv` (the last map
  after its pool, 7 x 7 x 192), `fc` (the second layer of 4096) and `y`
  (`global_`). 58.4 million parameters.

  Attributes:
    dim: units of y.
    width: channels of the first convolution; 48 is the half-width network for
      one of two views that split the channels.
    hidden: units of each of the two hidden layers.
    dtype: dtype of the computation, `float32` or `bfloat16`.

  References:
    Hjelm et al., `Learning deep representations by mutual information
    estimation and maximization <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 2; layers from the authors' code, `configs/convnets.py`.
  """

  dim: int = 64
  width: int = 96
  hidden: int = 4096
  dtype: str = "float32"

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> Features:
    x = prepare(images, "alex64x64", self.dtype, 64)
    maps = []
    for i, (multiple, pooled) in enumerate(LAYERS):
      x = ConvLayer(multiple * self.width, 3, 1, 1, name=f"layer{i}")(x, train)
      if pooled:
        x = nn.max_pool(x, (3, 3), (2, 2))  # 64 -> 31 -> 15 -> 7
      maps.append(x)
    x = x.reshape(x.shape[0], -1)  # [b, h, w, c] -> [b, h w c]
    x = DenseLayer(self.hidden, name="fc0")(x, train)
    fc = DenseLayer(self.hidden, name="fc1")(x, train)
    y = Output(self.dim, name="y")(fc)
    return make_features(maps[2], y, {"conv": maps[-1], "fc": fc, "y": y})
