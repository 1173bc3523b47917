"""Learned color spaces: invertible maps of single pixels.

An invertible map preserves the information in a pixel. But it can reduce the
information that the first channel has about the other two. Views made of these
channels then share less.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import UserError, lookup
from infomin_jax.views.color_spaces import SPACES, Space
from infomin_jax.views.splits import check_rgb

LINEAR = {name: s for name, s in SPACES.items() if s.matrix is not None}


# Images are processed in up to this many pieces along the rows: the hidden
# units of one piece fit into the cache of a CPU core.
PIECES = 32


def spread(key, shape, dtype=jnp.float32):
  """Draws biases in [-1, 1], which spreads the kinks of the ReLUs."""
  return jax.random.uniform(key, shape, dtype, -1, 1)


class ColourFlow(nn.Module):
  """An invertible map of pixels, `[b, h, w, 3] -> [b, h, w, 3]`.

  Each block keeps one channel and changes the other two as a function of it:
  `x2 + F(x1)`, or `x2 * exp(G(x1)) + F(x1)`. The first, second and third
  channel are kept in turn. Images are RGB in [0, 1]. The initial map is the
  color space `space`, with centered and scaled channels.

  Differs from the paper: depth, widths and the limit of `G` are not published.

  Attributes:
    depth: number of blocks; with 3 or more, every channel is kept at least
      once.
    hidden: units of the one hidden layer of F and of G. One layer suffices,
      because F and G are functions of one number.
    volume_preserving: blocks only shift (NICE); otherwise they also scale
      (RealNVP).
    space: the initial color space, a linear one of `color_spaces.SPACES`.
    max_log_scale: bound on `|G|` in one block, applied by tanh, so that no
      channel vanishes or explodes.

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
        f"The learned color space has depth {self.depth}, hidden "
        f"{self.hidden}, max_log_scale {self.max_log_scale}: give 1 or more, 1 "
        "or more, and a number above 0."
      )
    nets = 1 if self.volume_preserving else 2  # F, and G
    hidden = (self.depth, nets, self.hidden)
    # With zero output layers F and G are 0: the initial map is `space` itself.
    zeros = nn.initializers.zeros
    self.nets = {
      "slope": self.param("slope", nn.initializers.normal(1.0), hidden),
      "bend": self.param("bend", spread, hidden),
      "out": self.param("out", zeros, (self.depth, nets, 2, self.hidden)),
      "bias": self.param("bias", zeros, (self.depth, nets, 2)),
    }

  def __call__(self, images: jax.Array) -> jax.Array:
    """Maps RGB in [0, 1] to the learned space, `[b, h, w, 3]` both."""
    return self._flow(images)[0]

  def log_det(self, images: jax.Array) -> jax.Array:
    """Returns `log |det|` of the map at each image, `[b]`, in nats.

    With `volume_preserving` it is the constant of the color space.
    """
    space, pixels = self._space(), math.prod(images.shape[1:3])
    # The mean is subtracted and does not change a volume; std divides it.
    rows = np.array(space.matrix) / np.array(space.std)[:, None]
    return pixels * np.linalg.slogdet(rows)[1] + self._flow(images)[1]

  def inverse(self, images: jax.Array) -> jax.Array:
    """Inverts `__call__`: the learned space to RGB, `[b, h, w, 3]` both."""
    x = jnp.moveaxis(images, -1, 0)
    for i in reversed(range(self.depth)):
      kept, changed = _apart(x, i % 3)
      shift, log_scale = self._block(self.nets, i, kept)
      x = _joined(kept, (changed - shift) * jnp.exp(-log_scale), i % 3)
    return self._space().denormalize(jnp.moveaxis(x, 0, -1))

  def _flow(self, images):
    """Returns the learned space, and `log |det|` of the blocks, `[b]`."""
    check_rgb(images, "A learned color space")
    b, h, w, _ = images.shape
    pieces = max(n for n in range(1, PIECES + 1) if h % n == 0)
    x = self._space().normalize(images).reshape(b, pieces, h // pieces, w, 3)
    # Computed piece by piece, and recomputed in the backward pass: the hidden
    # units of all pixels at once would dominate a step's memory and time.
    x, log_det = jax.lax.map(
      jax.checkpoint(functools.partial(self._blocks, self.nets)),
      jnp.moveaxis(x, (1, 4), (0, 1)),  # [pieces, 3, b, rows, w]
    )
    x = jnp.moveaxis(x, (0, 1), (1, 4)).reshape(images.shape)
    return x, jnp.sum(log_det, axis=0)

  def _blocks(self, nets, x):
    """Applies all blocks to channels `[3, b, rows, w]`."""
    log_det = jnp.zeros(x.shape[1])
    for i in range(self.depth):
      kept, changed = _apart(x, i % 3)
      shift, log_scale = self._block(nets, i, kept)
      x = _joined(kept, changed * jnp.exp(log_scale) + shift, i % 3)
      log_det += jnp.sum(log_scale, axis=(0, 2, 3))
    return x, log_det

  def _block(self, nets, i: int, kept):
    """Returns shift and log scale of block `i`, `[2, ...]` each."""
    net = jax.tree.map(lambda x: x[i], nets)
    x = kept.reshape(1, 1, -1)  # [1, 1, n]
    bent = net["slope"][..., None] * x + net["bend"][..., None]  # [k, h, n]
    out = jnp.einsum("kch,khn->kcn", net["out"], nn.relu(bent))
    out = (out + net["bias"][..., None]).reshape(-1, 2, *kept.shape)
    if self.volume_preserving:
      return out[0], jnp.zeros_like(out[0])
    limit = self.max_log_scale
    return out[0], limit * jnp.tanh(out[1] / limit)

  def _space(self) -> Space:
    return lookup("space of a learned color space", self.space, LINEAR)


def _apart(x, kept: int):
  """Returns channel `kept` of `[3, ...]`, and the other two in order."""
  return x[kept], jnp.delete(x, kept, axis=0)


def _joined(kept, changed, position: int):
  """Puts the kept channel back at its position between the other two."""
  channels = [changed[0], changed[1]]
  channels.insert(position, kept)
  return jnp.stack(channels)
