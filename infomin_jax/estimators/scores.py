"""The contract of every estimator: which entries of a score tensor are pairs.

`scores[i, j] = f(x_i, y_j)`, shape `[b, n]` with `n >= b`: pair `i` was drawn
jointly, so the diagonal holds the positives; every other column is a negative,
also those past `b` (a queue, a memory bank).

Scores may carry locations: `scores[i, j, l]`, shape `[b, n, l]`, is the score
of `x_i` and location `l` of `y_j`. All locations of `y_i` are positives of
`x_i`, each on its own, and all locations of the others its negatives (Deep
InfoMax). `[b, n]` is the case of one location, and the code is the same.

Streaming reductions over tiles of the matrix belong in this file too.
"""

import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError


def positives(scores: jax.Array) -> jax.Array:
  """The scores of joint pairs in float32, `[b, n, *l] -> [b, *l]`.

  Raises:
    UserError: fewer columns than rows, or not of rank 2 or 3.
  """
  check_scores(scores)
  rows = jnp.arange(scores.shape[0])
  return scores[rows, rows].astype(jnp.float32)


def negatives(scores: jax.Array) -> jax.Array:
  """True where a score is of a pair drawn apart, shape of `scores`."""
  check_scores(scores)
  apart = ~jnp.eye(*scores.shape[:2], dtype=bool)
  apart = jnp.expand_dims(apart, tuple(range(2, scores.ndim)))
  return jnp.broadcast_to(apart, scores.shape)


def logmeanexp(
  x: jax.Array, axis=None, where: jax.Array | None = None
) -> jax.Array:
  """log mean exp of `x` over `axis`, of the entries in `where`; float32.

  With nothing to average over, the mean is over nothing: -inf.
  """
  x = x.astype(jnp.float32)
  count = jnp.sum(jnp.ones_like(x), axis=axis, where=where)
  return jax.nn.logsumexp(x, axis=axis, where=where) - jnp.log(count)


def mean(x: jax.Array, where: jax.Array) -> jax.Array:
  """Mean of the entries of `x` in `where`, a scalar in float32."""
  return jnp.mean(x.astype(jnp.float32), where=where)


def check_scores(scores: jax.Array) -> None:
  """Refuses what cannot be a score tensor `[b, n]` or `[b, n, l]`."""
  if scores.ndim not in (2, 3) or scores.shape[1] < scores.shape[0]:
    raise UserError(
      "Expected scores of shape [b, n] or [b, n, l], n >= b, with joint pairs "
      f"on the diagonal; got {scores.shape}. Are rows and columns swapped?"
    )
