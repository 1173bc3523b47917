"""Densities to fit for `conditional.py` and `upper.py`: Gaussians and a flow.

Log densities are in nats. Everything here is conditioned on x, `[n, dx]`; a
marginal density of y is the case of no columns, for which x may be left out.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from infomin_jax.critics import Head
from infomin_jax.errors import UserError
from infomin_jax.estimators.scores import Factored

Array = jax.Array
_LOG_TWO_PI = 1.8378770664093453


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LinearGaussian:
  """y given x ~ N((x - mean_x) W + mean_y, L L^T).

  Attributes:
    mean_x: `[1, dx]`.
    mean_y: `[1, dy]`.
    weight: W, `[dx, dy]`.
    cholesky: L, lower triangular, `[dy, dy]`.
  """

  mean_x: Array
  mean_y: Array
  weight: Array
  cholesky: Array

  @property
  def log_volume(self) -> Array:
    """log det L: how much `whiten_y` shrinks."""
    return jnp.sum(jnp.log(jnp.diagonal(self.cholesky)))

  def whiten_y(self, y: Array) -> Array:
    """y less its mean, in units of L, `[n, dy]`."""
    return self._in_units(y - self.mean_y)

  def whiten_x(self, x: Array) -> Array:
    """Predicts `whiten_y` of the y of x, `[n, dy]`."""
    return self._in_units(_matmul(x - self.mean_x, self.weight))

  def log_prob(self, y: Array, x: Array | None = None) -> Array:
    """log q(y_i|x_i), `[n]`."""
    rest = self.whiten_y(y) - self.whiten_x(_or_nothing(x, y))
    return standard_normal(rest) - self.log_volume

  def scores(self, x: Array, y: Array) -> Factored:
    """log q(y_j|x_i), `[b, n]`, for `club` and `leave_one_out`."""
    own, expected = self.whiten_y(y), self.whiten_x(x)
    per_x = standard_normal(expected) - self.log_volume
    # The constant of the density is in `per_x`.
    per_y = -0.5 * jnp.sum(own * own, axis=1)
    # -|own - expected|^2 / 2, as an inner product.
    return Factored(
      jnp.column_stack([expected, jnp.ones(len(x)), per_x]),  # [b, dy + 2]
      jnp.column_stack([own, per_y, jnp.ones(len(y))]),  # [n, dy + 2]
    )

  def entropy(self) -> Array:
    """h(Y|X) of this density itself, in nats."""
    return 0.5 * self.mean_y.size * (1 + _LOG_TWO_PI) + self.log_volume

  def _in_units(self, values):
    solve = jax.scipy.linalg.solve_triangular
    return solve(self.cholesky, values.T, lower=True).T


def fit_linear_gaussian(y: Array, x: Array | None = None) -> LinearGaussian:
  """The most likely `LinearGaussian`, in closed form (least squares).

  Args:
    y: samples, `[n, dy]`.
    x: what they are conditioned on, `[n, dx]`; None for a marginal.
  """
  x = _or_nothing(x, y)
  if len(y) <= x.shape[1] + y.shape[1]:
    raise UserError(
      f"Expected more samples than the {x.shape[1]} + {y.shape[1]} columns of "
      f"x and y, got {len(y)}: their covariance is singular."
    )
  mean_x, mean_y = (jnp.mean(v, axis=0, keepdims=True) for v in (x, y))
  weight = jnp.zeros((0, y.shape[1]))
  if x.shape[1]:
    weight = jnp.linalg.lstsq(x - mean_x, y - mean_y)[0]
  rest = y - mean_y - _matmul(x - mean_x, weight)
  # The Cholesky factor of the covariance, without squaring: and jaxlib 0.10's
  # own fails on a CPU from 128 columns on, under `runtime`'s XLA flag.
  upper = jnp.linalg.qr(rest / jnp.sqrt(len(y)), mode="r")
  # QR leaves signs open, but `log_volume` takes logarithms of the diagonal.
  lower = (upper * jnp.sign(jnp.diagonal(upper))[:, None]).T
  return LinearGaussian(mean_x, mean_y, weight, lower)


class Flow(nn.Module):
  """log q(z|x) of an affine coupling flow, `z [n, d], x [n, dx] -> [n]`.

  Halves of z are shifted and scaled in turn, by a function of the other half
  and of x; it starts as the standard normal. A z of one column has no other
  half, so that its density given x is Gaussian.

  Attributes:
    couplings: how many.
    hidden: widths of the hidden layers of each.

  References:
    Dinh et al., `Density estimation using Real NVP
    <https://arxiv.org/abs/1605.08803>`_, 2017.
  """

  couplings: int = 4
  hidden: tuple[int, ...] = (64, 64)

  @nn.compact
  def __call__(self, z: Array, x: Array) -> Array:
    log_det = jnp.zeros(len(z))
    for i in range(self.couplings):
      kept, moved = jnp.split(z, [z.shape[1] // 2], axis=1)
      size = 2 * moved.shape[1]
      found = Head((*self.hidden, size))(jnp.concatenate([kept, x], axis=1))
      # 0 at first: the flow starts as the identity.
      gain = self.param(f"gain{i}", nn.initializers.zeros, (1, size))
      shift, log_scale = jnp.split(gain * found, 2, axis=1)
      log_scale = 2 * jnp.tanh(log_scale / 2)  # one step cannot explode it
      moved = moved * jnp.exp(log_scale) + shift
      # The halves change places, so the next coupling moves the other one.
      z = jnp.concatenate([moved, kept], axis=1)
      log_det += jnp.sum(log_scale, axis=1)
    return standard_normal(z) + log_det


def fit_flow(
  y: Array,
  x: Array | None = None,
  flow: Flow | None = None,
  seed: int = 0,
  **training,
) -> Callable[..., Array]:
  """Fits a `Flow` to what the best `LinearGaussian` leaves over.

  Args:
    y: samples, `[n, dy]`.
    x: what they are conditioned on, `[n, dx]`; None for a marginal.
    flow: the network, `Flow()` if None.
    seed: of its weights and of the batches.
    **training: options of `maximize_likelihood`.

  Returns:
    `log_prob(y, x=None) -> [n]`.
  """
  flow = Flow() if flow is None else flow
  linear = fit_linear_gaussian(y, x)

  def log_prob(params, y, x):
    rest = linear.whiten_y(y) - linear.whiten_x(x)
    whitened: Any = flow.apply(params, rest, x - linear.mean_x)
    return whitened - linear.log_volume

  key, init_key = jax.random.split(jax.random.key(seed))
  x = _or_nothing(x, y)
  params = flow.init(init_key, y[:1], x[:1])
  params = maximize_likelihood(log_prob, params, (y, x), key, **training)
  return lambda y, x=None: log_prob(params, y, _or_nothing(x, y))


def maximize_likelihood(
  log_prob: Callable[..., Array],
  params,
  data: tuple[Array, ...],
  key: Array,
  steps: int = 500,
  batch_size: int = 256,
  learning_rate: float = 3e-3,
):
  """Params that raise the mean of `log_prob(params, *batch)`, by Adam.

  Args:
    log_prob: `(params, *batch) -> [n]`.
    params: where to start.
    data: arrays of one length, of which batches are drawn with replacement.
    key: of the batches.
    steps: of Adam; the learning rate goes to zero by a cosine.
    batch_size: samples a step.
    learning_rate: of the first step.
  """
  optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

  def loss(params, batch):
    return -jnp.mean(log_prob(params, *batch))

  def step(carry, key):
    params, state = carry
    chosen = jax.random.randint(key, (batch_size,), 0, len(data[0]))
    grads = jax.grad(loss)(params, [values[chosen] for values in data])
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), None

  start = (params, optimizer.init(params))
  return jax.lax.scan(step, start, jax.random.split(key, steps))[0][0]


def standard_normal(z: Array) -> Array:
  """log N(z; 0, I), `[n, d] -> [n]`."""
  return -0.5 * jnp.sum(z * z + _LOG_TWO_PI, axis=-1)


def _or_nothing(x, y):
  return jnp.zeros((len(y), 0)) if x is None else x


def _matmul(a, b):
  # By default a TPU would round a and b to bfloat16.
  return jnp.matmul(a, b, precision="highest")
