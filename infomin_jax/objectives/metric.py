"""Losses of metric learning, on the scores and distances that bounds use.

All take `[b, n]` with `n >= b`, one row an anchor, its positive on the
diagonal and negatives elsewhere, and return a scalar to minimize. With
`scores[i, j] = <g(x_i), g(y_j)>` the multi-class K-pair loss is InfoNCE:

  infonce(scores) = log n - kpair_multiclass(scores), to the last digit.
"""

import jax
import jax.numpy as jnp

from infomin_jax.critics import unit
from infomin_jax.estimators.scores import check_scores, negatives
from infomin_jax.estimators.scores import positives as joint


def kpair(scores: jax.Array) -> jax.Array:
  """One-against-one K-pair loss: every negative on its own, in nats.

  Args:
    scores: similarities, `[b, n]`.

  Returns:
    Mean over anchors of the sum over negatives of log(1 + exp(s_ij - s_ii)).

  References:
    Sohn, `Improved Deep Metric Learning with Multi-class N-pair Loss
    Objective`, 2016: its N-pair-ovo loss.
  """
  over = scores.astype(jnp.float32) - joint(scores)[:, None]
  each = jax.nn.softplus(over)
  return jnp.sum(each, where=negatives(scores)) / len(scores)


def kpair_multiclass(scores: jax.Array) -> jax.Array:
  """Multi-class K-pair loss: all negatives of an anchor at once, in nats.

  Args:
    scores: similarities, `[b, n]`.

  Returns:
    Mean over anchors of log(1 + sum over negatives of exp(s_ij - s_ii)).

  References:
    Sohn, `Improved Deep Metric Learning with Multi-class N-pair Loss
    Objective`, 2016, eq. 7; Tschannen et al., `On Mutual Information
    Maximization <https://arxiv.org/abs/1907.13625>`_, 2020, section 4.
  """
  over = scores.astype(jnp.float32) - joint(scores)[:, None]
  others = jax.nn.logsumexp(over, axis=1, where=negatives(scores))  # [b]
  # The 1 that softplus adds inside the log is the anchor's own positive.
  return jnp.mean(jax.nn.softplus(others))


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
  """Between rows scaled to length one, `[b, d], [n, d] -> [b, n]`, 0 to 4."""
  # One matmul in place of differences `[b, n, d]`. "highest": by default a TPU
  # would round to bfloat16.
  cosine = jnp.dot(unit(x), unit(y).T, precision="highest")
  return 2 - 2 * cosine


def triplet(distances: jax.Array, margin: float = 0.2) -> jax.Array:
  """Triplet loss over all negatives of the batch.

  Args:
    distances: squared distances, `[b, n]`; positives on the diagonal.
    margin: how much farther than the positive a negative should be.

  Returns:
    Mean of max(0, d_ii - d_ij + margin) over anchors i and negatives j.

  References:
    Schroff et al., `FaceNet <https://arxiv.org/abs/1503.03832>`_, 2015, eq. 2.
  """
  wide = distances.astype(jnp.float32)
  over = joint(distances)[:, None] - wide + margin
  return jnp.mean(jax.nn.relu(over), where=negatives(distances))


def triplet_semihard(distances: jax.Array, margin: float = 0.2) -> jax.Array:
  """Triplet loss with one semi-hard negative an anchor.

  The negative is the nearest of those farther away than the positive; where
  there is none, the farthest of all.

  Args:
    distances: squared distances, `[b, n]`; positives on the diagonal.
    margin: how much farther than the positive a negative should be.

  Returns:
    Mean over anchors of max(0, d_ii - d_ij + margin).

  References:
    Schroff et al., `FaceNet <https://arxiv.org/abs/1503.03832>`_, 2015, eq. 4.
  """
  check_scores(distances)
  positive = joint(distances)
  wide = distances.astype(jnp.float32)
  apart = negatives(distances)
  farther = apart & (wide > positive[:, None])
  # By number, not by value: see `encoders.convnet` on gradients of a maximum.
  nearest = jnp.argmin(jnp.where(farther, wide, jnp.inf), axis=1)
  farthest = jnp.argmax(jnp.where(apart, wide, -jnp.inf), axis=1)
  chosen = jnp.where(jnp.any(farther, axis=1), nearest, farthest)  # [b]
  mined = jnp.take_along_axis(wide, chosen[:, None], axis=1)[:, 0]  # [b]
  return jnp.mean(jax.nn.relu(positive - mined + margin))
