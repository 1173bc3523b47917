"""One device's part of a reduction of `fn(x @ y.T)`, strip by strip.

The columns are taken in strips; a strip's scores `[b, t]` are computed, reduced
and forgotten. The forward pass keeps one number a row and one a column; the
backward pass computes each strip again.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Elements of a strip, and its least and largest width: few enough for a cache,
# wide enough for fast matmuls.
_STRIP, _NARROWEST, _WIDEST = 2**20, 128, 1024


class Plan(NamedTuple):
  """What is static about a reduction; `columns` counts images, not places."""

  kind: str
  fn: Callable | None
  by_row: bool
  by_col: bool
  joint: bool
  columns: int
  locations: int


def forward(plan: Plan, x, y, rows, cols, mask, offset=0):
  """`(by row [b] or None, by column [n l] or None)`, before they are shaped.

  Args:
    plan: what is reduced, and how.
    x: `[b, d]`.
    y: `[n l, d]`.
    rows: pytree of `[b]`.
    cols: pytree of `[n l]`.
    mask: bool `[b, n]`, or None.
    offset: row i's positive is column i + offset.
  """
  exponential = plan.kind == "log_sum_exp"
  start = jnp.zeros(len(x))
  if exponential:
    # The largest score so far, and the sum relative to it: the largest of all
    # strips is not known before the last one.
    start = jnp.full(len(x), -jnp.inf), start

  def step(carry, strip):
    y, cols, ids = strip
    values = _values(plan, x, y, rows, cols)  # [b, t]
    counts = _counts(plan, len(x), ids, mask, offset)
    if exponential:
      values = jnp.where(counts, values, -jnp.inf)
      return _add_exponentials(plan, carry, values)
    # `where`, not a product: entries that do not count may be infinite.
    values = jnp.where(counts, values, 0)
    by_row = carry + jnp.sum(values, 1) if plan.by_row else carry
    return by_row, jnp.sum(values, 0) if plan.by_col else None

  carry, by_col = jax.lax.scan(step, start, _strips(len(x), plan, y, cols))
  by_row = None
  if plan.by_row:
    by_row = carry[0] + jnp.log(carry[1]) if exponential else carry
  return by_row, jax.tree.map(functools.partial(_flat, y), by_col)


def backward(plan: Plan, residuals, cotangents, offset=0):
  """Cotangents of x, y, and the float leaves of rows and cols.

  Args:
    plan: as in `forward`.
    residuals: its array arguments, and what it gave; or what all parts gave
      together of which this is one.
    cotangents: of its two results.
    offset: as in `forward`.
  """
  x, y, rows, cols, mask, (by_row, by_col) = residuals
  float_rows = floats(rows)

  def step(carry, strip):
    dx, drows = carry
    y, cols, ids, by_col, cotangent_col = strip

    def values(x, y, float_rows, float_cols):
      rest = _join(float_rows, rows), _join(float_cols, cols)
      return _values(plan, x, y, *rest)

    # Computed again, since `forward` has kept no scores.
    t, pull = jax.vjp(values, x, y, float_rows, floats(cols))
    counts = _counts(plan, len(x), ids, mask, offset)
    # An entry that does not count may exceed what is reduced. Its exponential
    # in `_slope` would overflow.
    t = jnp.where(counts, t, -jnp.inf)
    dt = jnp.zeros(())
    if plan.by_row:
      dt = dt + _slope(plan, t, by_row, cotangents[0], 1)
    if plan.by_col:
      dt = dt + _slope(plan, t, by_col, cotangent_col, 0)
    # The slope of a sum does not vanish at entries that do not count.
    more_x, dy, more_rows, dcols = pull(jnp.where(counts, dt, 0))
    drows = jax.tree.map(jnp.add, drows, more_rows)
    return (dx + more_x, drows), (dy, dcols)

  strips = _strips(len(x), plan, y, cols, by_col, cotangents[1])
  start = jax.tree.map(jnp.zeros_like, (x, float_rows))
  (dx, drows), by_strip = jax.lax.scan(step, start, strips)
  dy, dcols = jax.tree.map(functools.partial(_flat, y), by_strip)
  return dx, dy, drows, dcols


def _strips(b, plan, y, cols, *by_col):
  """Columns in strips `[k, t, ...]`; ids past the last are padding."""
  width = min(max(_STRIP // b, _NARROWEST), _WIDEST, len(y))
  # Rounded up and padded: a scan needs strips of one shape.
  number = -(-len(y) // width)

  def cut(a):
    pad = [(0, number * width - len(a))] + [(0, 0)] * (a.ndim - 1)
    return jnp.pad(a, pad).reshape(number, width, *a.shape[1:])

  # Ids are of images: all places of an image are positives, or masked, alike.
  ids = jnp.arange(number * width).reshape(number, width) // plan.locations
  return cut(y), jax.tree.map(cut, cols), ids, *jax.tree.map(cut, by_col)


def _flat(y, strips):
  """Joins what `_strips` cut, `[k, t, ...]`, to `[len(y), ...]`."""
  return strips.reshape(-1, *strips.shape[2:])[: len(y)]


def _values(plan, x, y, rows, cols):
  # "highest": by default a TPU would round x and y to bfloat16.
  scores = jnp.dot(x, y.T, precision="highest")
  if plan.fn is None:
    return scores
  rows = jax.tree.map(lambda r: r[:, None], rows)  # [b, 1]
  return plan.fn(scores, rows, jax.tree.map(lambda c: c[None], cols))


def _counts(plan, b, ids, mask, offset):
  """Marks the entries of a strip that are reduced, bool `[b, t]`."""
  counts = jnp.broadcast_to(ids[None] < plan.columns, (b, len(ids)))
  if not plan.joint:
    counts &= ids[None] != jnp.arange(b)[:, None] + offset
  if mask is not None:
    # Ids of padding lie beyond the mask; `counts` is False there already.
    counts &= jnp.take(mask, ids, axis=1, mode="clip")
  return counts


def _add_exponentials(plan, carry, values):
  """Adds one strip's sums of exponentials to those of the rows so far."""
  by_col = None
  if plan.by_row:
    top, sums = carry
    new = jnp.maximum(top, jnp.max(values, 1))  # [b]
    shift = _finite(new)
    e = jnp.exp(values - shift[:, None])
    # The sums so far are relative to `top`, which may be lower.
    carry = new, sums * jnp.exp(top - shift) + jnp.sum(e, 1)
  if plan.by_col:
    # A column lies in one strip, so nothing is carried.
    shift = _finite(jnp.max(values, 0))
    e = jnp.exp(values - shift[None])
    by_col = shift + jnp.log(jnp.sum(e, 0))
  return carry, by_col


def _slope(plan, values, reduced, cotangent, axis):
  """d (cotangent . reduction) / d values, before the mask."""
  cotangent = jnp.expand_dims(cotangent, axis)
  if plan.kind == "sum":
    return cotangent
  reduced = jnp.expand_dims(_finite(reduced), axis)
  # The share of an entry in its sum: it is at most 1 and cannot overflow.
  return cotangent * jnp.exp(values - reduced)


def _finite(a):
  """-inf, the maximum of nothing, made 0 so that it can be subtracted."""
  return jnp.where(jnp.isneginf(a), 0.0, a)


def floats(tree):
  """The float leaves of a tree, None in place of the others."""
  return jax.tree.map(
    lambda a: a if jnp.issubdtype(a.dtype, jnp.floating) else None, tree
  )


def _join(floats, tree):
  """`tree` with `floats` in place of its float leaves."""
  # None has no leaves for JAX, unless it is declared one.
  return jax.tree.map(
    lambda f, a: a if f is None else f,
    floats,
    tree,
    is_leaf=lambda f: f is None,
  )
