"""Learned colour spaces: invertible maps of single pixels.

What a pixel tells of anything it tells after the map too, but what its first
channel tells of the other two can be made less: views that share less.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import UserError, lookup
from infomin_jax.views.colour_spaces import SPACES, Space
from infomin_jax.views.splits import check_rgb

LINEAR = {name: s for name, s in SPACES.items() if s.matrix is not None}


def spread(key, shape, dtype=jnp.float32):
  """Biases from -1 to 1: where the ReLUs of a net of one number bend."""
  return jax.random.uniform(key, shape, dtype, -1, 1)


class PixelNet(nn.Module):
  """A 1x1 net of one number a pixel, `[..., 1] -> [..., 2]`; starts as 0.

  Attributes:
    hidden: units of its hidden layer, which is enough for any function of one
      number.
  """

  hidden: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    h = nn.relu(nn.Dense(self.hidden, bias_init=spread, name="in")(x))
    return nn.Dense(2, kernel_init=nn.initializers.zeros, name="out")(h)


class ColourFlow(nn.Module):
  """An invertible map of pixels, `[b, h, w, 3] -> [b, h, w, 3]`.

  Blocks keep one channel, the first, the second, the third in turn, and
  change the other two by it: `x2 + F(x1)`, or `x2 * exp(G(x1)) + F(x1)`. Images
  are RGB in [0, 1]; it starts as the colour space `space`, its channels
  centred and scaled.

  Differs from the paper: depth, widths and the limit of `G` are not published.

  Attributes:
    depth: number of blocks; from 3 on every channel is kept once.
    hidden: units of the hidden layer of F and of G.
    volume_preserving: shift only (NICE); otherwise scale too (RealNVP).
    space: what it starts from, a linear one of `colour_spaces.SPACES`.
    max_log_scale: limit of `|G|` in one block, by tanh, so that no channel
      vanishes or explodes.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.2; Dinh et al.,
    `NICE <https://arxiv.org/abs/1410.8516>`_, 2015, and `Density estimation
    using Real NVP <https://arxiv.org/abs/1605.08803>`_, 2017.
  """

  depth: int = 6
  hidden: int = 32
  volume_preserving: bool = False
  space: str = "rgb"
  max_log_scale: float = 1.0

  def setup(self):
    if self.depth < 1 or self.hidden < 1 or not self.max_log_scale > 0:
      raise UserError(
        f"The learned colour space has depth {self.depth}, hidden "
        f"{self.hidden}, max_log_scale {self.max_log_scale}: give 1 or more, 1 "
        "or more, and a number above 0."
      )
    self.shifts = [PixelNet(self.hidden) for _ in range(self.depth)]
    if not self.volume_preserving:
      self.scales = [PixelNet(self.hidden) for _ in range(self.depth)]

  def __call__(self, images: jax.Array) -> jax.Array:
    """RGB in [0, 1] to the learned space, `[b, h, w, 3]` each."""
    return self._flow(images)[0]

  def log_det(self, images: jax.Array) -> jax.Array:
    """`log |det|` of the map at images, `[b]`, in nats.

    With `volume_preserving` a constant: that of the colour space.
    """
    space, pixels = self._space(), math.prod(images.shape[1:3])
    rows = np.array(space.matrix) / np.array(space.std)[:, None]
    return pixels * np.linalg.slogdet(rows)[1] + self._flow(images)[1]

  def inverse(self, images: jax.Array) -> jax.Array:
    """The way back, to RGB; of what `__call__` gave, in [0, 1]."""
    x = images
    for i in reversed(range(self.depth)):
      kept, changed = _apart(x, i % 3)
      shift, log_scale = self._block(i, kept)
      x = _joined(kept, (changed - shift) * jnp.exp(-log_scale), i % 3)
    return self._space().denormalize(x)

  def _flow(self, images):
    """The learned space, and the blocks' own `log |det|`, `[b]`."""
    check_rgb(images, "A learned colour space")
    x = self._space().normalize(images)
    log_det = jnp.zeros(len(images))
    for i in range(self.depth):
      kept, changed = _apart(x, i % 3)
      shift, log_scale = self._block(i, kept)
      x = _joined(kept, changed * jnp.exp(log_scale) + shift, i % 3)
      log_det += jnp.sum(log_scale, axis=(1, 2, 3))
    return x, log_det

  def _block(self, i: int, kept):
    """Shift and log-scale of the two channels that block `i` changes."""
    shift = self.shifts[i](kept)
    if self.volume_preserving:
      return shift, jnp.zeros_like(shift)
    limit = self.max_log_scale
    return shift, limit * jnp.tanh(self.scales[i](kept) / limit)

  def _space(self) -> Space:
    return lookup("space of a learned colour space", self.space, LINEAR)


def _apart(x, kept: int):
  """Channel `kept` of `[..., 3]`, and the other two in their order."""
  return x[..., kept, None], jnp.delete(x, kept, axis=-1)


def _joined(kept, changed, position: int):
  """The kept channel back in its position among the two others."""
  parts = [changed[..., :1], changed[..., 1:]]
  parts.insert(position, kept)
  return jnp.concatenate(parts, axis=-1)
