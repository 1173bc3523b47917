"""Deep InfoMax's factored critics of a global vector and a local map."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics.heads import inner


class EncodeAndDot(nn.Module):
  """Deep InfoMax's local critic: `x [b, d]`, `y [n, h, w, c] -> [b, n, h w]`.

  Both sides have a residual block of 1 x 1 convolutions and a layer norm. The
  score is their inner product, without scale or temperature.

  Differs from the paper: its appendix has a ReLU on the shortcut and no layer
  norm on the global side. This is the network of the published code.

  Attributes:
    units: size of the embeddings (published: 2048, and 1024 in the comparison
      with CPC).
  """

  units: int = 2048

  def setup(self):
    self.g = _ResidualBlock(self.units)
    self.h = _ResidualBlock(self.units)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Embeds the global features, `[b, units]`."""
    return self.g(x, train)

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Embeds the local features, `[n, h w, units]`."""
    return self.h(y.reshape(y.shape[0], -1, y.shape[-1]), train)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class MapAndDot(nn.Module):
  """Deep InfoMax's global critic, from its code: `x [b, d]`, a map -> `[b, n]`.

  The map `[n, h, w, c]` is encoded by layers like those of the encoder, with
  separate weights. x is multiplied by a matrix. The score is the inner product.

  Attributes:
    units: size of the embeddings.
    widths: channels of the 4 x 4 convolutions of stride 2.
    hidden: units of the dense layer after them.
  """

  units: int = 2048
  widths: tuple[int, ...] = (128, 256)
  hidden: int = 1024

  def setup(self):
    self.g = nn.Dense(self.units)
    self.h = _MapEncoder(self.units, self.widths, self.hidden)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Embeds the global features, `[b, units]`."""
    del train
    return self.g(x)

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Embeds the map, `[n, units]`."""
    return self.h(y, train)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class _MapEncoder(nn.Module):
  """Convolutions and two matmuls, `[n, h, w, c] -> [n, units]`."""

  units: int
  widths: tuple[int, ...]
  hidden: int

  @nn.compact
  def __call__(self, y: jax.Array, train: bool) -> jax.Array:
    for width in self.widths:
      y = nn.Conv(width, (4, 4), 2, padding=1, use_bias=False)(y)
      y = nn.relu(nn.BatchNorm(not train, momentum=0.9)(y))
    y = nn.Dense(self.hidden, use_bias=False)(y.reshape(len(y), -1))
    y = nn.relu(nn.BatchNorm(not train, momentum=0.9)(y))
    return nn.Dense(self.units)(y)


class _ResidualBlock(nn.Module):
  """LayerNorm(two 1 x 1 convolutions + a linear shortcut), `[..., units]`."""

  units: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    # Flattened to rows: with three axes XLA on a CPU would transpose the
    # gradients in memory, an eighth of their time.
    lead, x = x.shape[:-1], x.reshape(-1, x.shape[-1])
    h = nn.Dense(self.units, use_bias=False)(x)
    h = nn.relu(nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5)(h))
    h = nn.Dense(self.units)(h)
    shortcut = nn.Dense(
      self.units, use_bias=False, kernel_init=_noisy_copy, name="shortcut"
    )(x)
    y = nn.LayerNorm(epsilon=1e-5)(h + shortcut)
    return y.reshape(*lead, self.units)


def _noisy_copy(key, shape, dtype=jnp.float32):
  """Initializes as in the published code: 1 on the diagonal, else small noise.

  The noise is U(-0.01, 0.01).
  """
  noise = jax.random.uniform(key, shape, dtype, -0.01, 0.01)
  return jnp.where(jnp.eye(*shape, dtype=bool), 1.0, noise)
