"""Factored critics: an inner product of an embedding of x and one of y."""

import flax.linen as nn
import jax

from infomin_jax.critics.heads import Head, inner, unit


class InnerProduct(nn.Module):
  """f(x, y) = <x, y> / t, or the cosine of x and y over t; no parameters.

  Attributes:
    temperature: t, a positive number.
    normalize: scale x and y to length one, so the score is a cosine / t.
  """

  temperature: float = 1.0
  normalize: bool = False

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Returns x / t, `[b, d]`, normalized before if `normalize` is set."""
    del train
    return (unit(x) if self.normalize else x) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Returns y, `[n, d]`, normalized if `normalize` is set."""
    del train
    return unit(y) if self.normalize else y

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class Bilinear(nn.Module):
  """f(x, y) = x^T W y / t with one matrix W; x and y may differ in size.

  Attributes:
    dim: size of y.
    temperature: t, a positive number.
  """

  dim: int
  temperature: float = 1.0

  def setup(self):
    self.w = nn.Dense(self.dim, use_bias=False)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Returns x^T W / t, `[b, dim]`."""
    del train
    return self.w(x) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Returns y, `[n, dim]`."""
    del train
    return y

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class LowRankBilinear(nn.Module):
  """f(x, y) = x^T U V^T y / t: a bilinear critic with few parameters.

  Attributes:
    rank: number of columns of U and V.
    temperature: t, a positive number.
  """

  rank: int
  temperature: float = 1.0

  def setup(self):
    self.u = nn.Dense(self.rank, use_bias=False)
    self.v = nn.Dense(self.rank, use_bias=False)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Returns x^T U / t, `[b, rank]`."""
    del train
    return self.u(x) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Returns y^T V, `[n, rank]`."""
    del train
    return self.v(y)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))


class Separable(nn.Module):
  """f(x, y) = <g(x), h(y)> / t with two MLPs; one matmul scores all pairs.

  With `shared`, g and h are one network: the projection head of SimCLR and
  MoCo. With `normalize` the score is a cosine / t.

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
    """Returns g(x) / t, `[b, dim]`, normalized before if `normalize` is set."""
    gx = self.g(x, train)
    return (unit(gx) if self.normalize else gx) / self.temperature

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Returns h(y), `[n, dim]`, normalized if `normalize` is set."""
    hy = self.h(y, train)
    return unit(hy) if self.normalize else hy

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))
