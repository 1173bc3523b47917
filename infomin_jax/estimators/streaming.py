"""Reductions of `fn(x @ y.T)` that never hold the matrix.

Memory is a strip of `t` columns (`tiles.py`) in place of all n, and value and
gradient are those of the whole matrix. Under a mesh (`jax.set_mesh`) every
device keeps its rows, and the columns go round in a ring: a device holds only
its own share of them and that of one other.

A sum of exponentials needs no maximum, and one exponential serves rows and
columns, where no score can be large: `|<x, y>| <= |x| |y|` tells before the
first strip. That is the case of every cosine with a usual temperature.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from infomin_jax.estimators import tiles
from infomin_jax.estimators.tiles import Plan

AXIS = "data"  # of the mesh
# Scores within this of zero need no shift: their exponentials, sums of 2^32 of
# them and the inverses of such sums are all normal numbers of float32.
_SPAN = 40.0


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
  """
  axes = (axis,) if isinstance(axis, int) else axis
  n, *places = y.shape[:-1]
  locations = places[0] if places else 1
  plan = Plan(kind, fn, 1 in axes, 0 in axes, joint, n, locations)
  x = x.astype(jnp.float32)
  y = y.reshape(-1, y.shape[-1]).astype(jnp.float32)  # [n l, d]
  cols = jax.tree.map(lambda c: c.reshape(-1), cols)
  operands = (x, y, rows, cols, mask)
  # Plain scores only: values of `fn` may exceed what the lengths allow.
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
  # Two `where`: the slope of log at 0 is infinite, and 0 times it is NaN.
  some = total > 0
  return jnp.where(some, jnp.log(jnp.where(some, total, 1)), -jnp.inf)


# A gradient of its own: that of a scan would keep the scores of all strips.
@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _reduce(plan, x, y, rows, cols, mask):
  """`([b] or None, [n l] or None)`."""
  return _forward(plan, x, y, rows, cols, mask)[0]


def _forward(plan, x, y, rows, cols, mask):
  if ring_size(len(x), plan.columns, mask) > 1:
    turn = functools.partial(_ring_forward, plan)
    found = _on_ring(turn, 2)(x, y, rows, cols)
  else:
    found = tiles.forward(plan, x, y, rows, cols, mask)
  return found, (x, y, rows, cols, mask, found)


def _backward(plan, residuals, cotangents):
  x, y, rows, cols, mask, found = residuals
  if ring_size(len(x), plan.columns, mask) > 1:
    turn = functools.partial(_ring_backward, plan)
    got = _on_ring(turn, 4)(x, y, rows, cols, found, cotangents)
  else:
    got = tiles.backward(plan, residuals, cotangents)
  # A mask has no gradient.
  return *got, None


_reduce.defvjp(_forward, _backward)


def ring_size(b: int, n: int, mask: jax.Array | None = None) -> int:
  """Devices of the mesh that share a reduction of `[b, n]`; 1 without a ring.

  Every device takes equally many rows and columns. A mask would have to be cut
  in the same way at each turn of the ring: reductions with one are not shared.
  """
  size = dict(jax.sharding.get_abstract_mesh().shape).get(AXIS, 1)
  shared = not (b % size or n % size) and mask is None
  return size if shared else 1


def _on_ring(turn, results: int):
  """`turn` on every device, of the first axes' shares, for as many results."""
  by_row = PartitionSpec(AXIS)
  return jax.shard_map(
    turn, in_specs=by_row, out_specs=(by_row,) * results, check_vma=False
  )


def _ring_forward(plan, x, y, rows, cols):
  """Each device's own rows and columns, reduced over those of all."""
  exponential = plan.kind == "log_sum_exp"
  add: Any = jnp.logaddexp if exponential else jnp.add
  nothing = -jnp.inf if exponential else 0.0
  offset_of, block = _places(plan, x)

  def turn(carry, k):
    by_row, moving = carry
    y, cols, by_col = moving
    more = tiles.forward(block, x, y, rows, cols, None, offset_of(k))
    if plan.by_row:
      by_row = add(by_row, more[0])
    if plan.by_col:
      by_col = add(by_col, more[1])
    return (by_row, _handed_on((y, cols, by_col))), None

  start = (
    jnp.full(len(x), nothing) if plan.by_row else None,
    (y, cols, jnp.full(len(y), nothing) if plan.by_col else None),
  )
  # After as many turns as devices, columns and their sums are at home again.
  (by_row, (_, _, by_col)), _ = jax.lax.scan(turn, start, _turns())
  return by_row, by_col


def _ring_backward(plan, x, y, rows, cols, found, cotangents):
  """The gradients of columns travel with them and come home with them."""
  offset_of, block = _places(plan, x)
  (by_row, by_col), (row_slope, col_slope) = found, cotangents

  def turn(carry, k):
    own, moving = carry
    y, cols, by_col, col_slope, theirs = moving
    # Reduced over all turns, not this one: slopes are shares of the whole.
    residuals = x, y, rows, cols, None, (by_row, by_col)
    slopes = row_slope, col_slope
    dx, dy, drows, dcols = tiles.backward(
      block, residuals, slopes, offset_of(k)
    )
    own = jax.tree.map(jnp.add, own, (dx, drows))
    theirs = jax.tree.map(jnp.add, theirs, (dy, dcols))
    return (own, _handed_on((y, cols, by_col, col_slope, theirs))), None

  own = jax.tree.map(jnp.zeros_like, (x, tiles.floats(rows)))
  theirs = jax.tree.map(jnp.zeros_like, (y, tiles.floats(cols)))
  start = own, (y, cols, by_col, col_slope, theirs)
  ((dx, drows), (*_, (dy, dcols))), _ = jax.lax.scan(turn, start, _turns())
  return dx, dy, drows, dcols


def _places(plan, x):
  """Returns the columns of a device at turn k, as `tiles.forward`'s offset."""
  size, own = jax.lax.axis_size(AXIS), jax.lax.axis_index(AXIS)
  block = plan._replace(columns=plan.columns // size)

  def offset_of(k):
    # `_handed_on` gives columns to the device before, so at turn k a device
    # holds those of the k-th device after it.
    return own * len(x) - (own + k) % size * block.columns

  return offset_of, block


def _turns():
  return jnp.arange(jax.lax.axis_size(AXIS))


def _handed_on(tree):
  """Hands what every device has to the one before it."""
  size = jax.lax.axis_size(AXIS)
  ring = [(i, (i - 1) % size) for i in range(size)]
  return jax.tree.map(lambda a: jax.lax.ppermute(a, AXIS, ring), tree)
