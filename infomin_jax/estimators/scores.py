"""The contract of every estimator: which entries of a score tensor are pairs.

`scores[i, j] = f(x_i, y_j)`, shape `[b, n]` with `n >= b`: pair `i` was drawn
jointly, so the diagonal holds the positives; every other column is a negative,
also those past `b` (a queue, a memory bank).

Scores may carry locations: `scores[i, j, l]`, shape `[b, n, l]`, is the score
of `x_i` and location `l` of `y_j`. All locations of `y_i` are positives of
`x_i`, each on its own, and all locations of the others its negatives (Deep
InfoMax). `[b, n]` is the case of one location, and the code is the same.

Two forms, one meaning: an array, or `Factored`, the two embeddings of a
factored critic, whose matrix is reduced strip by strip and never held
(`streaming.py`). An estimator asks for the reductions below and does not know
which form it was given. Besides scores, every estimator takes

  mask     bool `[b, n]`, False where a pair does not count: on the diagonal
           pair i is left out, elsewhere y_j is no negative of x_i;
  weights  floats >= 0, `[b, n]`: on the diagonal those of the pairs in a mean
           over pairs, elsewhere those of the negatives among their like.

Neither is differentiated.
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
  """The scores `<x_i, y_j>`, not computed yet.

  Attributes:
    x: `[b, d]`.
    y: `[n, d]`, or `[n, l, d]` with locations.
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
  values: jax.Array,
  mask: jax.Array | None = None,
  weights: jax.Array | None = None,
) -> jax.Array:
  """Mean over the pairs of values `[b, *l]`, a scalar in float32."""
  values = jnp.mean(values, axis=tuple(range(1, values.ndim)))  # [b]
  if mask is None and weights is None:
    return jnp.mean(values)
  share = jnp.ones_like(values)
  if weights is not None:
    share = share * jnp.diagonal(weights)
  if mask is not None:
    share = jnp.where(jnp.diagonal(mask), share, 0)
  share = jax.lax.stop_gradient(share)
  # A pair that does not count may hold anything, also infinities.
  values = jnp.where(share > 0, values, 0)
  return jnp.sum(share * values) / jnp.sum(share)


def reduce(
  kind: str,
  scores: Scores,
  axis: int | tuple[int, int] = 1,
  *,
  fn: Callable[[jax.Array, Any, Any], jax.Array] | None = None,
  rows: Any = None,
  cols: Any = None,
  mask: jax.Array | None = None,
  weights: jax.Array | None = None,
  joint: bool = False,
) -> Any:
  """Reduces `fn(scores)` over the negatives, without or with the matrix.

  Args:
    kind: `log_sum_exp` or `sum`.
    scores: `[b, n]` or `[b, n, l]`, in either form.
    axis: 1 for a value a row, `[b]`; 0 for one a column, `[n, *l]`; `(1, 0)`
      for both from one pass.
    fn: elementwise `(score, row, col) -> value`, the identity if None. A
      function of a module, not a lambda made anew at each call (it would be
      compiled anew); what varies comes through `rows` and `cols`.
    rows: a pytree of arrays `[b]`, given to `fn` next to each row's scores.
    cols: a pytree of arrays `[n, *l]`, likewise for columns.
    mask: bool `[b, n]`, pairs that count.
    weights: floats `[b, n]`, of the negatives.
    joint: the positives are reduced too, as if they were negatives.

  Returns:
    float32; -inf or 0 where there is nothing to reduce.
  """
  check_scores(scores)
  if isinstance(scores, Factored):
    return stream(
      kind, fn, axis, joint, scores.x, scores.y, rows, cols, mask, weights
    )
  values = scores.astype(jnp.float32)
  places = tuple(range(2, scores.ndim))  # of the locations, if any
  if fn is not None:
    rows = jax.tree.map(lambda r: jnp.expand_dims(r, (1, *places)), rows)
    values = fn(values, rows, jax.tree.map(lambda c: c[None], cols))
  counts = jnp.ones(scores.shape[:2], bool) if joint else negatives(scores)
  if mask is not None:
    counts &= mask
  counts = jnp.expand_dims(counts, places)
  if weights is not None:
    weights = jnp.expand_dims(jax.lax.stop_gradient(weights), places)

  def along(axis):
    over = 0 if axis == 0 else (1, *places)
    if kind == "log_sum_exp":
      return jax.nn.logsumexp(values, over, b=weights, where=counts)
    weighted = values if weights is None else weights * values
    return jnp.sum(weighted, over, where=counts)

  return along(axis) if isinstance(axis, int) else tuple(map(along, axis))


def log_sum_exp(scores: Scores, axis: Any = 1, **options) -> Any:
  """log sum exp of `fn(scores)` over the negatives; options of `reduce`."""
  return reduce("log_sum_exp", scores, axis, **options)


def total(scores: Scores, axis: Any = 1, **options) -> Any:
  """Sum of `fn(scores)` over the negatives; options of `reduce`."""
  return reduce("sum", scores, axis, **options)


def log_mean_exp(scores: Scores, mask=None, weights=None, **options):
  """log mean exp of `fn(scores)` over all negatives, a scalar."""
  rows = log_sum_exp(scores, mask=mask, weights=weights, **options)
  number = jnp.sum(count(scores, mask=mask, weights=weights))
  return jax.nn.logsumexp(rows) - jnp.log(number)


def mean(scores: Scores, mask=None, weights=None, **options) -> jax.Array:
  """Mean of `fn(scores)` over all negatives, a scalar."""
  rows = total(scores, mask=mask, weights=weights, **options)
  return jnp.sum(rows) / jnp.sum(count(scores, mask=mask, weights=weights))


def count(
  scores: Scores,
  axis: int = 1,
  *,
  mask: jax.Array | None = None,
  weights: jax.Array | None = None,
) -> jax.Array:
  """Counts the negatives of rows, `[b]`, or columns, `[n]`, or their weight."""
  check_scores(scores)
  b, n = scores.shape[:2]
  locations = scores.shape[2] if scores.ndim == 3 and axis == 1 else 1
  if mask is None and weights is None:
    if axis == 1:
      return jnp.full(b, float((n - 1) * locations))
    return b - (jnp.arange(n) < b).astype(jnp.float32)
  apart = negatives(scores)
  if mask is not None:
    apart &= mask
  share = jnp.ones((b, n)) if weights is None else weights
  share = jax.lax.stop_gradient(share.astype(jnp.float32))
  return jnp.sum(share, axis=axis, where=apart) * locations


def negatives(scores: Scores) -> jax.Array:
  """True where a pair was drawn apart, bool `[b, n]`."""
  check_scores(scores)
  return ~jnp.eye(*scores.shape[:2], dtype=bool)


def check_scores(scores: Scores) -> None:
  """Refuses what cannot be a score tensor `[b, n]` or `[b, n, l]`."""
  if scores.ndim not in (2, 3) or scores.shape[1] < scores.shape[0]:
    raise UserError(
      "Expected scores of shape [b, n] or [b, n, l], n >= b, with joint pairs "
      f"on the diagonal; got {scores.shape}. Are rows and columns swapped?"
    )
