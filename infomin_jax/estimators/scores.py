"""The contract of every estimator: which entries of a score tensor are pairs.

`scores[i, j] = f(x_i, y_j)` has shape `[b, n]` with `n >= b`. Pair `i` was
drawn jointly, so the diagonal holds the positives. Every other entry is a
negative, including the columns past `b` (a queue, a memory bank).

Scores may have locations: `scores[i, j, l]`, shape `[b, n, l]`, is the score
of `x_i` and location `l` of `y_j`. Each location of `y_i` is a positive of
`x_i`, and all locations of the other images are its negatives (Deep InfoMax).
`[b, n]` is the case of one location, and the code is the same.

Scores come in two forms with one meaning: an array, or `Factored`, the two
embeddings of a factored critic. The matrix of the latter is reduced in strips
and never held (`streaming.py`). Estimators use the reductions below, which
accept both forms.

Every estimator also takes `mask`, bool `[b, n]`. False on the diagonal leaves
pair i out; False elsewhere means that y_j is no negative of x_i.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.estimators.streaming import stream


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factored:
  """The scores `<x_i, y_j>` as two embeddings; the products are not computed.

  Attributes:
    x: `[b, d]`.
    y: `[n, d]`, or `[n, l, d]` with locations.

  Example:
    >>> import jax
    >>> from infomin_jax.estimators import infonce
    >>> x, y = jax.random.normal(jax.random.key(0), (2, 64, 8))
    >>> streamed, held = infonce(Factored(x, y)), infonce(x @ y.T)
    >>> bool(abs(streamed - held) < 1e-5)
    True
  """

  x: jax.Array
  y: jax.Array

  @property
  def shape(self) -> tuple[int, ...]:
    """`(b, n)` or `(b, n, l)`, as of the matrix."""
    return (self.x.shape[0], *self.y.shape[:-1])

  @property
  def ndim(self) -> int:
    """2, or 3 with locations."""
    return self.y.ndim

  @property
  def T(self) -> "Factored":
    """Rows and columns swapped, as of a matrix; without locations."""
    return Factored(self.y, self.x)


Scores = jax.Array | Factored


def positives(scores: Scores) -> jax.Array:
  """The scores of joint pairs in float32, `[b, n, *l] -> [b, *l]`.

  Raises:
    UserError: fewer columns than rows, or not of rank 2 or 3.
  """
  check_scores(scores)
  if isinstance(scores, Factored):
    x = scores.x.astype(jnp.float32)
    own = scores.y[: len(x)].astype(jnp.float32)
    return jnp.einsum("bd,b...d->b...", x, own, precision="highest")
  rows = jnp.arange(scores.shape[0])
  return scores[rows, rows].astype(jnp.float32)


def mean_positives(
  values: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
  """Mean over the pairs of values `[b, *l]`, a scalar in float32."""
  values = jnp.mean(values, axis=tuple(range(1, values.ndim)))  # [b]
  if mask is None:
    return jnp.mean(values)
  pairs = jnp.diagonal(mask)
  # `where`, not a product: pairs that are left out may hold infinities.
  return jnp.sum(jnp.where(pairs, values, 0)) / jnp.sum(pairs)


def reduce(
  kind: str,
  scores: Scores,
  axis: int | tuple[int, int] = 1,
  *,
  fn: Callable[[jax.Array, Any, Any], jax.Array] | None = None,
  rows: Any = None,
  cols: Any = None,
  mask: jax.Array | None = None,
  joint: bool = False,
) -> Any:
  """Reduces `fn(scores)` over the negatives, for either form of scores.

  Args:
    kind: `log_sum_exp` or `sum`.
    scores: `[b, n]` or `[b, n, l]`, in either form.
    axis: 1 for one value per row, `[b]`; 0 for one per column, `[n, *l]`;
      `(1, 0)` for both from one pass.
    fn: elementwise `(score, row, col) -> value`, the identity if None. Pass a
      function of a module: a new lambda at each call compiles at each call.
      Values that vary are passed through `rows` and `cols`.
    rows: a pytree of arrays `[b]`, passed to `fn` with each row's scores.
    cols: a pytree of arrays `[n, *l]`, passed with each column's scores.
    mask: bool `[b, n]`, pairs that count.
    joint: whether positives are reduced too, as if they were negatives.

  Returns:
    float32; -inf or 0 where there is nothing to reduce.
  """
  check_scores(scores)
  if isinstance(scores, Factored):
    return stream(kind, fn, axis, joint, scores.x, scores.y, rows, cols, mask)
  values = scores.astype(jnp.float32)
  locations = tuple(range(2, scores.ndim))  # axes
  if fn is not None:
    rows = jax.tree.map(lambda r: jnp.expand_dims(r, (1, *locations)), rows)
    values = fn(values, rows, jax.tree.map(lambda c: c[None], cols))
  counts = jnp.ones(scores.shape[:2], bool) if joint else negatives(scores)
  if mask is not None:
    counts &= mask
  counts = jnp.expand_dims(counts, locations)
  reduction = jax.nn.logsumexp if kind == "log_sum_exp" else jnp.sum

  def along(axis):
    return reduction(values, 0 if axis == 0 else (1, *locations), where=counts)

  return along(axis) if isinstance(axis, int) else tuple(map(along, axis))


def log_sum_exp(scores: Scores, axis: Any = 1, **options) -> Any:
  """log sum exp of `fn(scores)` over the negatives; options of `reduce`."""
  return reduce("log_sum_exp", scores, axis, **options)


def total(scores: Scores, axis: Any = 1, **options) -> Any:
  """Sum of `fn(scores)` over the negatives; options of `reduce`."""
  return reduce("sum", scores, axis, **options)


def log_mean_exp(scores: Scores, mask=None, **options) -> jax.Array:
  """log mean exp of `fn(scores)` over all negatives, a scalar."""
  rows = log_sum_exp(scores, mask=mask, **options)
  number = jnp.sum(count(scores.shape, mask=mask))
  return jax.nn.logsumexp(rows) - jnp.log(number)


def mean(scores: Scores, mask=None, **options) -> jax.Array:
  """Mean of `fn(scores)` over all negatives, a scalar."""
  rows = total(scores, mask=mask, **options)
  return jnp.sum(rows) / jnp.sum(count(scores.shape, mask=mask))


def count(
  shape: tuple[int, ...], axis: int = 1, mask: jax.Array | None = None
) -> jax.Array:
  """Counts the negatives of rows, `[b]`, or columns, `[n]`.

  Args:
    shape: of the scores, `(b, n)` or `(b, n, l)`.
    axis: 1 for rows, 0 for columns.
    mask: bool `[b, n]`, pairs that count.
  """
  check_shape(shape)
  b, n, *locations = shape
  if mask is not None:
    apart = ~jnp.eye(b, n, dtype=bool) & mask
    number = jnp.sum(apart, axis).astype(jnp.float32)
  elif axis == 1:
    number = jnp.full(b, float(n - 1))
  else:
    number = b - (jnp.arange(n) < b).astype(jnp.float32)
  return number * (locations[0] if locations and axis == 1 else 1)


def negatives(scores: Scores) -> jax.Array:
  """True where x and y were not drawn together, bool `[b, n]`."""
  check_scores(scores)
  return ~jnp.eye(*scores.shape[:2], dtype=bool)


def check_scores(scores: Scores) -> None:
  """Refuses what cannot be a score tensor `[b, n]` or `[b, n, l]`."""
  check_shape(scores.shape)


def check_shape(shape: tuple[int, ...]) -> None:
  """Refuses a shape that is not `(b, n)` or `(b, n, l)` with `n >= b`."""
  if len(shape) not in (2, 3) or shape[1] < shape[0]:
    raise UserError(
      "Expected scores of shape [b, n] or [b, n, l], n >= b, with joint pairs "
      f"on the diagonal; got {shape}. Are rows and columns swapped?"
    )
