"""Components of critics: inner products, unit vectors, small networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def inner(gx: jax.Array, hy: jax.Array) -> jax.Array:
  """Computes all inner products, `[b, d], [n, *l, d] -> [b, n, *l]`."""
  # "highest": by default a TPU would round the embeddings to bfloat16.
  flat = jnp.einsum(
    "bd,nd->bn",
    gx.astype(jnp.float32),
    hy.reshape(-1, hy.shape[-1]).astype(jnp.float32),
    precision="highest",
  )
  return flat.reshape(len(gx), *hy.shape[:-1])


def unit(x: jax.Array) -> jax.Array:
  """Scales rows to length one, `[n, d]`; a zero row stays zero."""
  x = x.astype(jnp.float32)
  square = jnp.sum(x * x, axis=-1, keepdims=True)
  # The maximum keeps the gradient at a zero row finite.
  return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


class Head(nn.Module):
  """An MLP with ReLU between its layers: `[..., d] -> [..., widths[-1]]`.

  Attributes:
    widths: units of each layer; the last layer is linear. `()` is the identity.
    batch_norm: batch norm before each ReLU, as in SimCLR's projection head.
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


class LogBaseline(nn.Module):
  """log a(y) for `estimators.tuba` and `i_alpha`: an MLP, `[n, d] -> [n]`.

  With locations it maps `[n, l, d] -> [n, l]`. It is trained with the critic.
  The bound holds for any weights, and is tightest if a(y) is the mean of
  exp f(x, y) over x.

  Attributes:
    hidden: widths of the hidden layers.
  """

  hidden: tuple[int, ...] = (512, 512)

  @nn.compact
  def __call__(self, y: jax.Array) -> jax.Array:
    return Head((*self.hidden, 1))(y)[..., 0].astype(jnp.float32)
