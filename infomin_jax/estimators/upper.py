"""Upper bounds on mutual information: scores are log densities of y given x.

`scores[i, j] = log p(y_j | x_i)`, up to any c(y), so that the log ratio
`log p(y|x)/p(y)` does as well. With a fitted conditional in place of the true
one they are no bounds any more; `densities.fit_linear_gaussian` and
`critics.ConditionalGaussian` are conditionals to fit.
"""

import jax
import jax.numpy as jnp

from infomin_jax.estimators.divergences import wasserstein
from infomin_jax.estimators.scores import (
  Scores,
  count,
  log_sum_exp,
  mean_positives,
  positives,
)

Array = jax.Array


def leave_one_out(scores: Scores, mask: Array | None = None) -> Array:
  """Leave-one-out (multi-sample) upper bound on I(X; Y), in nats.

  The marginal p(y_i) in log p(y_i|x_i)/p(y_i) is replaced by the mean of the
  conditional over the other x_j. Columns past b have no pair and are unused.

  Args:
    scores: `log p(y_j|x_i) + c(y_j)`, `[b, n]`, at least two rows.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar, an upper bound in expectation for the true conditional; its gap
    grows with I(X; Y) at fixed b. No ceiling.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(leave_one_out(scores)), 4)
    1.3925

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019, section 2.5.
  """
  joint = positives(scores)
  size = len(joint)
  number = count(scores.shape, 0, mask)[:size]
  others = log_sum_exp(scores, 0, mask=mask)[:size]
  number = jnp.expand_dims(number, tuple(range(1, joint.ndim)))
  return mean_positives(joint - others + jnp.log(number), mask)


def club(scores: Scores, mask: Array | None = None) -> Array:
  """CLUB upper bound on I(X; Y), in nats; vCLUB with a fitted conditional.

  The mean of log p(y|x) over pairs less that over negatives: the formula of
  `divergences.wasserstein`, for scores that are log densities.

  Differs from the paper: the second mean leaves the pairs out, which makes it
  unbiased.

  Args:
    scores: `log p(y_j|x_i) + c(y_j)`, with at least one negative; for vCLUB
      `log q(y_j|x_i)` of a conditional fitted by maximum likelihood.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar without a ceiling, an upper bound in expectation for the true
    conditional. vCLUB is one as long as q is nearer to p on pairs than on
    negatives, and otherwise neither bound.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(club(scores)), 4)
    1.4167

  References:
    Cheng et al., `CLUB <https://arxiv.org/abs/2006.12013>`_, 2020, sections
    3.1 (CLUB) and 3.2 (vCLUB).
  """
  return wasserstein(scores, mask)
