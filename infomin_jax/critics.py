"""Critics f(x, y): how well do two representations belong together?

A critic turns `x [b, d]` and `y [n, d]` into `scores[i, j] = f(x_i, y_j)`,
`[b, n]`. Factored critics are an inner product of two embeddings; they expose
`embed_x` and `embed_y`, which is all that a queue, a tile-by-tile reduction or
another device needs. Scores are float32 and their matmuls keep it (a TPU would
multiply in bfloat16 otherwise).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def inner(gx: jax.Array, hy: jax.Array) -> jax.Array:
  """All inner products, `[b, d], [n, d] -> [b, n]`, in full float32."""
  return jnp.einsum(
    "bd,nd->bn",
    gx.astype(jnp.float32),
    hy.astype(jnp.float32),
    precision="highest",
  )


def unit(x: jax.Array) -> jax.Array:
  """Rows scaled to length one, `[n, d]`; a zero row stays zero."""
  x = x.astype(jnp.float32)
  square = jnp.sum(x * x, axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


class Head(nn.Module):
  """An MLP, ReLU between its layers: `[..., d] -> [..., widths[-1]]`.

  Attributes:
    widths: units of each layer, the last one linear; `()` is the identity.
    batch_norm: batch norm before each ReLU (SimCLR's projection head).
  """

  widths: tuple[int, ...]
  batch_norm: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    for i, width in enumerate(self.widths):
      last = i == len(self.widths) - 1
      normed = self.batch_norm and not last
      x = nn.Dense(width, use_bias=not normed)(x)
      if normed:
        x = nn.BatchNorm(not train, momentum=0.9)(x)
      if not last:
        x = nn.relu(x)
    return x


class InnerProduct(nn.Module):
  """f(x, y) = <x, y> / t, or their cosine / t; no parameters.

  Attributes:
    temperature: t, a positive number.
    normalize: compare directions only (cosine).
  """

  temperature: float = 1.0
  normalize: bool = False

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """`[b, d]`, the temperature divided out."""
    del train
    return (unit(x) if self.normalize else x) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """`[n, d]`."""
    del train
    return unit(y) if self.normalize else y

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class Bilinear(nn.Module):
  """f(x, y) = x^T W y / t: one matrix, so that x and y may differ in size.

  Attributes:
    dim: the size of y.
    temperature: t, a positive number.
  """

  dim: int
  temperature: float = 1.0

  def setup(self):
    self.w = nn.Dense(self.dim, use_bias=False)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """`[b, dim]`: x^T W, the temperature divided out."""
    del train
    return self.w(x) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """`[n, dim]`: y itself."""
    del train
    return y

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class Separable(nn.Module):
  """f(x, y) = <g(x), h(y)> / t with two MLPs; one matmul scores every pair.

  With `shared` g and h are one network, the projection head of SimCLR and
  MoCo; with `normalize` the score is a cosine.

  Attributes:
    dim: size of the embeddings.
    hidden: widths of the hidden layers; `()` makes g and h linear.
    temperature: t, a positive number.
    normalize: scale embeddings to length one.
    shared: one network for both sides.
    batch_norm: batch norm in the hidden layers.
  """

  dim: int
  hidden: tuple[int, ...] = ()
  temperature: float = 1.0
  normalize: bool = False
  shared: bool = False
  batch_norm: bool = False

  def setup(self):
    widths = (*self.hidden, self.dim)
    self.g = Head(widths, self.batch_norm)
    self.h = self.g if self.shared else Head(widths, self.batch_norm)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """`[b, dim]`: g(x), the temperature divided out."""
    gx = self.g(x, train)
    return (unit(gx) if self.normalize else gx) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """`[n, dim]`: h(y)."""
    hy = self.h(y, train)
    return unit(hy) if self.normalize else hy

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class Concatenated(nn.Module):
  """f(x, y) = MLP([x, y]): the most expressive, at b n forward passes.

  The first layer acts on x and y apart, and rows are scored in blocks, so that
  no `[b, n, 2d]` array ever exists.

  Attributes:
    hidden: widths of the hidden layers, at least one.
    block: rows scored at once; memory is `block * n * hidden[0]` floats.
  """

  hidden: tuple[int, ...] = (512, 512)
  block: int = 16

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    del train
    gx = nn.Dense(self.hidden[0])(x)  # [b, h]
    hy = nn.Dense(self.hidden[0], use_bias=False)(y)  # [n, h]
    # A pure network: lax.map cannot see into a bound module.
    rest = Head((*self.hidden[1:], 1), parent=None)
    params = self.param("rest", lambda key: rest.init(key, gx[:1])["params"])

    # Recomputed in the backward pass, or all blocks' activations would stay.
    @jax.checkpoint
    def score_row(row):
      hidden = nn.relu(row[None] + hy)  # [n, h]
      scores: Any = rest.apply({"params": params}, hidden)  # [n, 1]
      return scores[:, 0]

    scores = jax.lax.map(score_row, gx, batch_size=self.block)  # [b, n]
    return scores.astype(jnp.float32)


class EncodeAndDot(nn.Module):
  """Deep InfoMax's local critic: `x [b, d]`, `y [n, h, w, c] -> [b, n, h w]`.

  Both sides go through a residual block of 1 x 1 convolutions and a layer
  norm; the score is their inner product, without a scale or a temperature.

  Differs from the paper: its appendix has a ReLU on the shortcut and no layer
  norm on the global side; this is the network of the published code.

  Attributes:
    units: size of the embeddings (published: 2048; 1024 beside CPC).
  """

  units: int = 2048

  def setup(self):
    self.g = _ResidualBlock(self.units)
    self.h = _ResidualBlock(self.units)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """`[b, units]`, from the global features."""
    return self.g(x, train)

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """`[n, h w, units]`, from the local features."""
    return self.h(y.reshape(y.shape[0], -1, y.shape[-1]), train)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    gx, hy = self.embed_x(x, train), self.embed_y(y, train)
    n, locations, units = hy.shape
    scores = inner(gx, hy.reshape(-1, units))  # [b, n l]
    return scores.reshape(-1, n, locations)


class _ResidualBlock(nn.Module):
  """LayerNorm(two 1 x 1 convolutions + a linear shortcut), `[..., units]`."""

  units: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    h = nn.Dense(self.units, use_bias=False)(x)
    h = nn.relu(nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5)(h))
    h = nn.Dense(self.units)(h)
    shortcut = nn.Dense(
      self.units, use_bias=False, kernel_init=_noisy_copy, name="shortcut"
    )(x)
    return nn.LayerNorm(epsilon=1e-5)(h + shortcut)


def _noisy_copy(key, shape, dtype=jnp.float32):
  """An identity with U(-0.01, 0.01) elsewhere, as the published code starts."""
  noise = jax.random.uniform(key, shape, dtype, -0.01, 0.01)
  return jnp.where(jnp.eye(*shape, dtype=bool), 1.0, noise)


CRITICS = {
  "bilinear": Bilinear,
  "concatenated": Concatenated,
  "encode_and_dot": EncodeAndDot,
  "inner_product": InnerProduct,
  "separable": Separable,
}
