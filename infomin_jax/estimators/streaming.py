"""Reductions of `fn(x @ y.T)` that never hold the matrix.

The columns are taken in strips; a strip's scores `[b, t]` are computed, reduced
and forgotten. The forward pass keeps one number a row and one a column; the
backward pass computes each strip again. So memory is `b t` floats in place of
`b n`, value and gradient are those of the whole matrix, and rows stay where a
mesh has sharded them (each strip of y goes to all devices).

A sum of exponentials needs no maximum, and one exponential serves rows and
columns, where no score can be large: `|<x, y>| <= |x| |y|` tells before the
first strip. That is the case of every cosine with a usual temperature.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# Scores within this of zero need no shift: their exponentials, sums of 2^32 of
# them and the inverses of such sums are all normal numbers of float32.
_SPAN = 40.0
# Elements of a strip, and its least and largest width: few enough for a cache,
# wide enough for fast matmuls.
_STRIP, _NARROWEST, _WIDEST = 2**20, 128, 1024


class _Plan(NamedTuple):
  """What is static about a reduction; `columns` counts images, not places."""

  kind: str
  fn: Callable | None
  by_row: bool
  by_col: bool
  joint: bool
  columns: int
  locations: int


def stream(
  kind: str,
  fn: Callable | None,
  axis: int | tuple[int, int],
  joint: bool,
  x: jax.Array,
  y: jax.Array,
  rows: Any,
  cols: Any,
  mask: jax.Array | None,
  weights: jax.Array | None,
) -> Any:
  """`scores.reduce` of the matrix `<x_i, y_j>`, from its two factors.

  Args:
    kind: `log_sum_exp` or `sum`.
    fn: elementwise `(score, row, col) -> value`, or None.
    axis: 1, 0 or `(1, 0)`.
    joint: whether the positives are reduced too.
    x: `[b, d]`.
    y: `[n, d]` or `[n, l, d]`.
    rows: pytree of `[b]`.
    cols: pytree of `[n, *l]`.
    mask: bool `[b, n]` or None.
    weights: `[b, n]` or None.
  """
  axes = (axis,) if isinstance(axis, int) else axis
  n, *places = y.shape[:-1]
  locations = places[0] if places else 1
  plan = _Plan(kind, fn, 1 in axes, 0 in axes, joint, n, locations)
  x = x.astype(jnp.float32)
  y = y.reshape(-1, y.shape[-1]).astype(jnp.float32)  # [n l, d]
  cols = jax.tree.map(lambda c: c.reshape(-1), cols)
  operands = (x, y, rows, cols, (mask, weights))
  if kind == "log_sum_exp" and fn is None:
    found = jax.lax.cond(
      _longest(x) * _longest(y) < _SPAN,
      functools.partial(_log_of_sum, plan),
      functools.partial(_reduce, plan),
      *operands,
    )
  else:
    found = _reduce(plan, *operands)
  by_axis = {1: found[0]}
  if plan.by_col:
    by_axis[0] = found[1].reshape(n, *places)
  return (
    by_axis[axis] if isinstance(axis, int) else tuple(map(by_axis.get, axis))
  )


def _longest(x):
  """The largest length of a row."""
  return jnp.sqrt(jnp.max(jnp.sum(jax.lax.stop_gradient(x) ** 2, axis=1)))


def _log_of_sum(plan, *operands):
  """log_sum_exp of small scores, as the logarithm of a sum."""
  sums = _reduce(plan._replace(kind="sum", fn=_exp), *operands)
  return jax.tree.map(_log, sums)


def _exp(score, row, col):
  """exp; finite too where, under vmap, it is computed and not used."""
  del row, col
  return jnp.exp(jnp.minimum(score, 2 * _SPAN))


def _log(total):
  """log, without a slope at nothing, 0."""
  some = total > 0
  return jnp.where(some, jnp.log(jnp.where(some, total, 1)), -jnp.inf)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _reduce(plan, x, y, rows, cols, kept):
  """`([b] or None, [n l] or None)`."""
  return _forward(plan, x, y, rows, cols, kept)[0]


def _forward(plan, x, y, rows, cols, kept):
  exponential = plan.kind == "log_sum_exp"
  start = jnp.zeros(len(x))
  if exponential:
    start = jnp.full(len(x), -jnp.inf), start

  def step(carry, strip):
    y, cols, ids = strip
    values = _values(plan, x, y, rows, cols)  # [b, t]
    counts, weights = _which(plan, len(x), ids, kept)
    if exponential:
      values = jnp.where(counts, values, -jnp.inf)
      return _add_exponentials(plan, carry, values, weights)
    values = jnp.where(counts, values, 0) * weights
    by_row = carry + jnp.sum(values, 1) if plan.by_row else carry
    return by_row, jnp.sum(values, 0) if plan.by_col else None

  carry, by_col = jax.lax.scan(step, start, _strips(len(x), plan, y, cols))
  by_row = None
  if plan.by_row:
    by_row = carry[0] + jnp.log(carry[1]) if exponential else carry
  found = by_row, jax.tree.map(functools.partial(_flat, y), by_col)
  return found, (x, y, rows, cols, kept, found)


def _backward(plan, residuals, cotangents):
  x, y, rows, cols, kept, (by_row, by_col) = residuals
  float_rows = _floats(rows)

  def step(carry, strip):
    dx, drows = carry
    y, cols, ids, by_col, cotangent_col = strip

    def values(x, y, float_rows, float_cols):
      rest = _join(float_rows, rows), _join(float_cols, cols)
      return _values(plan, x, y, *rest)

    t, pull = jax.vjp(values, x, y, float_rows, _floats(cols))
    counts, weights = _which(plan, len(x), ids, kept)
    t = jnp.where(counts, t, -jnp.inf)
    dt = jnp.zeros(())
    if plan.by_row:
      dt = dt + _slope(plan, t, by_row, cotangents[0], 1)
    if plan.by_col:
      dt = dt + _slope(plan, t, by_col, cotangent_col, 0)
    more_x, dy, more_rows, dcols = pull(jnp.where(counts, dt, 0) * weights)
    drows = jax.tree.map(jnp.add, drows, more_rows)
    return (dx + more_x, drows), (dy, dcols)

  strips = _strips(len(x), plan, y, cols, by_col, cotangents[1])
  start = jax.tree.map(jnp.zeros_like, (x, float_rows))
  (dx, drows), by_strip = jax.lax.scan(step, start, strips)
  dy, dcols = jax.tree.map(functools.partial(_flat, y), by_strip)
  return dx, dy, drows, dcols, None


_reduce.defvjp(_forward, _backward)


def _strips(b, plan, y, cols, *by_col):
  """Columns in strips `[k, t, ...]`; ids past the last are padding."""
  width = min(max(_STRIP // b, _NARROWEST), _WIDEST, len(y))
  number = -(-len(y) // width)

  def cut(a):
    pad = [(0, number * width - len(a))] + [(0, 0)] * (a.ndim - 1)
    return jnp.pad(a, pad).reshape(number, width, *a.shape[1:])

  ids = jnp.arange(number * width).reshape(number, width) // plan.locations
  return cut(y), jax.tree.map(cut, cols), ids, *jax.tree.map(cut, by_col)


def _flat(y, strips):
  """What `_strips` cut, `[k, t, ...]`, in one piece, `[len(y), ...]`."""
  return strips.reshape(-1, *strips.shape[2:])[: len(y)]


def _values(plan, x, y, rows, cols):
  scores = jnp.dot(x, y.T, precision="highest")
  if plan.fn is None:
    return scores
  rows = jax.tree.map(lambda r: r[:, None], rows)
  return plan.fn(scores, rows, jax.tree.map(lambda c: c[None], cols))


def _which(plan, b, ids, kept):
  """Which entries of a strip are reduced, `[b, t]`, and their weights."""
  mask, weights = kept
  counts = jnp.broadcast_to(ids[None] < plan.columns, (b, len(ids)))
  if not plan.joint:
    counts &= ids[None] != jnp.arange(b)[:, None]
  if mask is not None:
    counts &= jnp.take(mask, ids, axis=1, mode="clip")
  if weights is None:
    return counts, 1.0
  weights = jnp.take(weights, ids, axis=1, mode="clip").astype(jnp.float32)
  return counts & (weights > 0), weights


def _add_exponentials(plan, carry, values, weights):
  """One strip's sums of exponentials, added to those of the rows so far."""
  by_col = None
  if plan.by_row:
    top, sums = carry
    new = jnp.maximum(top, jnp.max(values, 1))
    shift = _finite(new)
    e = jnp.exp(values - shift[:, None]) * weights
    carry = new, sums * jnp.exp(top - shift) + jnp.sum(e, 1)
  if plan.by_col:
    shift = _finite(jnp.max(values, 0))
    e = jnp.exp(values - shift[None]) * weights
    by_col = shift + jnp.log(jnp.sum(e, 0))
  return carry, by_col


def _slope(plan, values, reduced, cotangent, axis):
  """d (cotangent . reduction) / d values, before mask and weights."""
  cotangent = jnp.expand_dims(cotangent, axis)
  if plan.kind == "sum":
    return cotangent
  reduced = jnp.expand_dims(_finite(reduced), axis)
  return cotangent * jnp.exp(values - reduced)


def _finite(a):
  """-inf, the maximum of nothing, made 0 so that it can be subtracted."""
  return jnp.where(jnp.isneginf(a), 0.0, a)


def _floats(tree):
  """The float leaves of a tree, None in place of the others."""
  return jax.tree.map(
    lambda a: a if jnp.issubdtype(a.dtype, jnp.floating) else None, tree
  )


def _join(floats, tree):
  """`tree` with `floats` in place of its float leaves."""
  return jax.tree.map(
    lambda f, a: a if f is None else f,
    floats,
    tree,
    is_leaf=lambda f: f is None,
  )
