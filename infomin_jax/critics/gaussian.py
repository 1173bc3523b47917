"""A critic that is a log density: f(x, y) = log q(y|x)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics.heads import Head, inner

_LOG_TWO_PI = 1.8378770664093453


class ConditionalGaussian(nn.Module):
  """f(x, y) = log N(y; mean(x), diagonal variance(x)), factored.

  It can be trained as a critic with any bound. Trained by the likelihood of
  pairs (`log_prob`), it is the q(y|x) of vCLUB and of Barber and Agakov. Scale
  y to about variance one: far from zero, the inner product adds large numbers
  that cancel.

  Attributes:
    dim: size of y.
    hidden: widths of the hidden layers.
  """

  dim: int
  hidden: tuple[int, ...] = (256,)

  def setup(self):
    self.moments = Head((*self.hidden, 2 * self.dim))

  def mean_and_log_variance(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns both, `[b, dim]`; log variances are in [-10, 10]."""
    mean, raw = jnp.split(self.moments(x).astype(jnp.float32), 2, axis=-1)
    return mean, 10 * jnp.tanh(raw / 10)

  def log_prob(self, x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns log q(y_i|x_i) for each pair, `[b]`, in nats."""
    mean, log_variance = self.mean_and_log_variance(x)
    error = (y - mean) ** 2 * jnp.exp(-log_variance)
    return -0.5 * jnp.sum(error + log_variance + _LOG_TWO_PI, axis=-1)

  def embed_x(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Returns the coefficients of y^2, y and 1 in log q, `[b, 2 dim + 1]`."""
    del train
    mean, log_variance = self.mean_and_log_variance(x)
    precision = jnp.exp(-log_variance)
    rest = mean**2 * precision + log_variance + _LOG_TWO_PI
    rest = -0.5 * jnp.sum(rest, axis=-1, keepdims=True)
    return jnp.concatenate([-0.5 * precision, mean * precision, rest], axis=-1)

  def embed_y(self, y: jax.Array, train: bool = True) -> jax.Array:
    """Returns y^2, y and 1, `[n, 2 dim + 1]`."""
    del train
    y = y.astype(jnp.float32)
    return jnp.concatenate([y * y, y, jnp.ones_like(y[..., :1])], axis=-1)

  def __call__(self, x: jax.Array, y: jax.Array, train: bool = True):
    return inner(self.embed_x(x, train), self.embed_y(y, train))
