"""Critics that take x and y jointly: one forward pass per pair, in blocks."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics.heads import Head


class Concatenated(nn.Module):
  """f(x, y) = MLP([x, y]): the most expressive critic, b n forward passes.

  The first layer is applied to x and y separately, and rows are scored in
  blocks, so an array `[b, n, 2d]` is never built. Maps are flattened.

  Attributes:
    hidden: widths of the hidden layers, at least one.
    block: rows scored at a time; memory is `block * n * hidden[0]` floats.
  """

  hidden: tuple[int, ...] = (512, 512)
  block: int = 16

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    del train
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    # W [x, y] + c = (W_x x + c) + W_y y: only one of the two layers has a bias.
    gx = nn.Dense(self.hidden[0])(x)  # [b, h]
    hy = nn.Dense(self.hidden[0], use_bias=False)(y)  # [n, h]
    # An unbound module: Flax modules bound to this scope fail inside lax.map.
    rest = Head((*self.hidden[1:], 1), parent=None)
    params = self.param("rest", lambda key: rest.init(key, gx[:1])["params"])

    # Without recomputation the backward pass would keep the activations of all
    # blocks.
    @jax.checkpoint
    def score_row(row):
      hidden = nn.relu(row[None] + hy)  # [n, h]
      scores: Any = rest.apply({"params": params}, hidden)  # [n, 1]
      return scores[:, 0]

    scores = jax.lax.map(score_row, gx, batch_size=self.block)  # [b, n]
    return scores.astype(jnp.float32)


class ConcatAndConvolve(nn.Module):
  """Deep InfoMax's other local critic: `[b, d], [n, h, w, c] -> [b, n, h w]`.

  The global x is concatenated with the local y at every location, and an MLP (1
  x 1 convolutions) scores each location. Rows are scored in blocks, as in
  `Concatenated`.

  Attributes:
    hidden: widths of the hidden layers (published: 512, 512).
    block: rows scored at a time; memory is `block * n h w * hidden[0]` floats.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    section 3.2 and appendix, table 7.
  """

  hidden: tuple[int, ...] = (512, 512)
  block: int = 1

  def setup(self):
    self.pairs = Concatenated(self.hidden, self.block)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    scores = self.pairs(x, y.reshape(-1, y.shape[-1]), train)  # [b, n h w]
    return scores.reshape(len(x), len(y), -1)
