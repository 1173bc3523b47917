"""Critics of `estimate`: the log ratio of a copula plus a network.

A side is what one variable contributes, a dict of arrays `[n, ...]`:

  `u`  canonical coordinates `[n, d]`, `ranks` uniform ones `[n, d]`,
  `q`, `a`, `c` `[n]` and `b` `[n, k]`  terms of the copula (`copula.py`),
  `others` `[n, l]`  columns that the copula has left out;

or only `image`, `[n, h, w, c]` floats. Without a `b` there is no copula.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import inner

Side = dict[str, jax.Array]


class Parametric(nn.Module):
  """The log ratio of the copula alone, `[b, n]`; no parameters.

  Attributes:
    dims: dimensions of x and y.
    nu: degrees of freedom, inf for a Gaussian.
  """

  dims: tuple[int, int]
  nu: float

  def __call__(self, x: Side, y: Side) -> jax.Array:
    """Scores of all pairs, `[b, n]`."""
    if "b" not in x:
      return jnp.zeros((len(_first(x)), len(_first(y))))
    rows = {name: x[name][:, None] for name in ("q", "a", "c")}
    cols = {name: y[name][None] for name in ("q", "a")}
    form = rows["q"] + cols["q"] + rows["a"] + cols["a"]
    form = form + inner(x["b"], y["b"])
    return self._ratio(form, rows["q"], cols["q"]) + rows["c"]

  def pairs(self, x: Side, y: Side) -> jax.Array:
    """Scores of row i with row i, `[b]`."""
    if "b" not in x:
      return jnp.zeros(len(_first(x)))
    form = x["q"] + y["q"] + x["a"] + y["a"] + jnp.sum(x["b"] * y["b"], -1)
    return self._ratio(form, x["q"], y["q"]) + x["c"]

  def _ratio(self, form, x_form, y_form):
    def log_t(form, d):
      if self.nu == float("inf"):
        return -0.5 * form
      # Rounding may make the form of near copies negative.
      return -0.5 * (self.nu + d) * jnp.log1p(jnp.maximum(form, 0) / self.nu)

    dx, dy = self.dims
    joint = log_t(form, dx + dy)
    return joint - log_t(x_form, dx) - log_t(y_form, dy)


class Warped(nn.Module):
  """The log ratio of the copula plus an inner product of two networks.

  `T + <g(x), h(y)> + a(x) + b(y)`: any number of pairs costs one matmul. The
  coordinates g and h start as the canonical ones, which then add nothing to T.

  Attributes:
    start: the log ratio T of the copula.
    rank: size of the embeddings g and h.
    hidden: width of the two hidden layers.
  """

  start: Parametric
  rank: int = 8
  hidden: int = 64

  def setup(self):
    self.g = _Tower(self.hidden, self.rank + 1)
    self.h = _Tower(self.hidden, self.rank + 1)
    self.x_slope = self.param("x_slope", self._slope)
    self.y_slope = self.param("y_slope", self._slope)

  def _slope(self, key):
    del key
    return jnp.full(self.rank, 0.7)

  def _embed(self, x, y):
    gx, hy = self.g(x), self.h(y)
    u, v = (_padded(side, self.rank) for side in (x, y))
    return (
      u * self.x_slope[None] + gx[:, :-1],
      v * self.y_slope[None] + hy[:, :-1],
      gx[:, -1],
      hy[:, -1],
      0.7 * u,
      0.7 * v,
    )

  def __call__(self, x: Side, y: Side) -> jax.Array:
    """Scores of all pairs, `[b, n]`."""
    g, h, ax, by, g0, h0 = self._embed(x, y)
    # At first g is g0 and h is h0: the network adds zero, but its gradient is
    # not zero.
    left = jnp.concatenate([g, -g0], axis=1)
    more = inner(left, jnp.concatenate([h, h0], axis=1))
    return self.start(x, y) + more + ax[:, None] + by[None]

  def pairs(self, x: Side, y: Side) -> jax.Array:
    """Scores of row i with row i, `[b]`."""
    g, h, ax, by, g0, h0 = self._embed(x, y)
    more = jnp.sum(g * h - g0 * h0, axis=-1)
    return self.start.pairs(x, y) + more + ax + by


class Joined(nn.Module):
  """The log ratio of the copula plus an MLP of both sides, for few dimensions.

  The first layer acts on x and on y separately. The second layer acts on every
  pair.

  Attributes:
    start: the log ratio T of the copula.
    hidden: width of the two hidden layers.
  """

  start: Parametric
  hidden: int = 64

  def setup(self):
    self.x_in = nn.Dense(self.hidden)
    # The two layers are added, so one bias is enough.
    self.y_in = nn.Dense(self.hidden, use_bias=False)
    self.middle = nn.Dense(self.hidden)
    # 0 at first: training starts at the copula.
    self.out = nn.Dense(1, kernel_init=nn.initializers.zeros_init())

  def _rest(self, hidden):
    hidden = nn.relu(self.middle(nn.relu(hidden)))
    return self.out(hidden)[..., 0]

  def __call__(self, x: Side, y: Side) -> jax.Array:
    """Scores of all pairs, `[b, n]`."""
    hx, hy = self.x_in(_inputs(x)), self.y_in(_inputs(y))
    return self.start(x, y) + self._rest(hx[:, None] + hy[None])

  def pairs(self, x: Side, y: Side) -> jax.Array:
    """Scores of row i with row i, `[b]`."""
    hx, hy = self.x_in(_inputs(x)), self.y_in(_inputs(y))
    return self.start.pairs(x, y) + self._rest(hx + hy)


class _Tower(nn.Module):
  """An MLP from a side to `[n, width]`; zero at the start for columns.

  For images, it reads 16 features of each patch. That is a convolution without
  overlap, written as one matmul. In a `scan` on a CPU, XLA takes 100 times as
  long for the gradient of two ordinary convolutions.
  """

  hidden: int
  width: int

  @nn.compact
  def __call__(self, side: Side) -> jax.Array:
    if "u" in side:
      h = _inputs(side)
      last = nn.initializers.zeros_init()
    else:
      h = nn.gelu(nn.Dense(16)(_patches(side["image"])))
      h = h.reshape(len(h), -1)
      # Two sides that both start at zero would have no gradient.
      last = nn.initializers.normal(0.02)
    for _ in range(2):
      h = nn.gelu(nn.Dense(self.hidden)(h))
    return nn.Dense(self.width, kernel_init=last)(h)


def _patches(image: jax.Array, size: int = 4) -> jax.Array:
  """Returns squares of `image [n, h, w, c]`, `[n, squares, values]`."""
  n, h, w, c = image.shape
  down, across = -(-h // size), -(-w // size)
  more = (0, down * size - h), (0, across * size - w)
  image = jnp.pad(image, ((0, 0), *more, (0, 0)))
  squares = image.reshape(n, down, size, across, size, c)
  return squares.swapaxes(2, 3).reshape(n, down * across, size * size * c)


def _inputs(side: Side) -> jax.Array:
  """Returns network inputs of a side: bounded coordinates, length, products."""
  u, d = side["u"], side["u"].shape[1]
  length = jnp.log1p(side["q"] / d)[:, None] - 0.7  # about 0 for a Gaussian
  # Within 5 of zero: a t with few degrees of freedom has huge quantiles.
  bounded = u * jax.lax.rsqrt(1 + u**2 / 25)
  inputs = [bounded, length, bounded * length]
  if "others" in side:
    inputs.append(side["others"])
  if "ranks" in side:
    # From [0, 1] to [-3, 3], about the range of normal scores.
    inputs.append(3 * (2 * side["ranks"] - 1))
  return jnp.concatenate(inputs, axis=1)


def _padded(side: Side, rank: int) -> jax.Array:
  """Returns the first `rank` canonical coordinates, padded with zeros."""
  u = side.get("u", jnp.zeros((len(_first(side)), 0)))[:, :rank]
  return jnp.pad(u, ((0, 0), (0, rank - u.shape[1])))


def _first(side: Side) -> Any:
  return next(iter(side.values()))
