"""Lower bounds on mutual information: `scores -> nats`, one function each.

All take scores `[b, n]` or, with locations, `[b, n, l]` (`scores.py`), compute
in float32 whatever they are given, and return a scalar.
"""

import jax
import jax.numpy as jnp

from infomin_jax.estimators.scores import (
  logmeanexp,
  mean,
  negatives,
  positives,
)


def infonce(scores: jax.Array) -> jax.Array:
  """InfoNCE lower bound on I(X; Y), in nats.

  Each positive is told from the negatives of its row. With locations, a
  positive's own image gives no negatives, so it has `(n - 1) l` of them.

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`.

  Returns:
    Scalar, never above `infonce_ceiling(scores.shape)`: `log n` for `[b, n]`.
    Best critic: `log p(x|y) + c(x)`, with any function c.

  References:
    van den Oord et al., `Representation Learning with Contrastive Predictive
    Coding <https://arxiv.org/abs/1807.03748>`_, 2018, eq. 4; with locations:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    eq. 5, with the exact exclusion of the own image.
  """
  joint = positives(scores)
  others = jax.nn.logsumexp(
    scores.astype(jnp.float32),
    axis=tuple(range(1, scores.ndim)),
    where=negatives(scores),
  )  # [b]: once a row, shared by all its positives
  others = jnp.expand_dims(others, tuple(range(1, joint.ndim)))
  log_softmax = joint - jnp.logaddexp(joint, others)
  return infonce_ceiling(scores.shape) + jnp.mean(log_softmax)


def infonce_ceiling(shape: tuple[int, ...]) -> jax.Array:
  """The largest value InfoNCE can take for scores of `shape`, in nats."""
  locations = shape[2] if len(shape) == 3 else 1
  return jnp.log(jnp.float32(1 + (shape[1] - 1) * locations))


def nwj(scores: jax.Array) -> jax.Array:
  """NWJ lower bound on I(X; Y), in nats; no ceiling, high variance.

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`, with at least one negative.

  Returns:
    Scalar. Best critic, and the only one: `1 + log p(y|x)/p(y)`.

  References:
    Nguyen, Wainwright, Jordan, `Estimating divergence functionals
    <https://arxiv.org/abs/0809.0853>`_, 2010; Tschannen et al., `On Mutual
    Information Maximization <https://arxiv.org/abs/1907.13625>`_, 2020, eq. 4.
  """
  partition = jnp.exp(logmeanexp(scores, where=negatives(scores)) - 1)
  return jnp.mean(positives(scores)) - partition


def dv(scores: jax.Array) -> jax.Array:
  """Donsker-Varadhan estimate of I(X; Y), in nats.

  A lower bound in the limit of a large batch; the value of one batch is biased
  upwards, since the log stands outside a finite mean.

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`, with at least one negative.

  Returns:
    Scalar without a ceiling. Best critic: `log p(y|x)/p(y) + c`.

  References:
    Donsker, Varadhan 1983; Belghazi et al., `MINE
    <https://arxiv.org/abs/1801.04062>`_, 2018, eq. 5; Hjelm et al., `Deep
    InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, eq. 2.
  """
  return jnp.mean(positives(scores)) - logmeanexp(
    scores, where=negatives(scores)
  )


def jsd(scores: jax.Array) -> jax.Array:
  """Jensen-Shannon objective in nats: a bound on a divergence, not on I(X; Y).

  A lower bound on twice the Jensen-Shannon divergence between the joint and
  the product of the marginals: it ranks as MI does, but is not its value.

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`, with at least one negative.

  Returns:
    Scalar, never above `log 4`. Best critic: `log p(y|x)/p(y)`, so that the
    same scores, given to `infonce` or `nwj(scores + 1)`, bound I(X; Y).

  References:
    Nowozin et al., `f-GAN <https://arxiv.org/abs/1606.00709>`_, 2016; Hjelm et
    al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, eq. 4, here
    with the constant log 4 that makes independence zero.
  """
  joint = -jnp.mean(jax.nn.softplus(-positives(scores)))
  apart = mean(
    jax.nn.softplus(scores.astype(jnp.float32)), where=negatives(scores)
  )
  return jnp.log(4.0) + joint - apart
