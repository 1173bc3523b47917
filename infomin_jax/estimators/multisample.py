"""I_alpha: a lower bound whose baseline is taken from the batch."""

import jax
import jax.numpy as jnp

from infomin_jax.estimators.divergences import exp
from infomin_jax.estimators.lower import minus_column, per_column
from infomin_jax.estimators.scores import (
  Scores,
  count,
  log_mean_exp,
  log_sum_exp,
  mean_positives,
  positives,
  total,
)

Array = jax.Array
# An entry above this share of its column's sum is the only such one; for the
# others log(1 - share) is exact enough. Above 1/2, for the rounding of scores.
_LOG_DOMINANT = -0.5108256  # log 0.6


def i_alpha(
  scores: Scores,
  alpha_logit: float = 0.0,
  log_baseline: float | Array = 0.0,
  mask: Array | None = None,
) -> Array:
  """I_alpha lower bound on I(X; Y), in nats, between TUBA and InfoNCE.

  TUBA whose baseline is alpha m(y; x_1..b) + (1 - alpha) a(y), where m is the
  mean of exp(f(x_l, y)) over the b - 1 rows other than the one that the
  expectation leaves out. Large alpha: low variance, low ceiling.

  Columns past b have no pair; they join the expectation over negatives with a
  mean over all b rows, which keeps the bound (it is concave in m).

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`, at least two rows.
    alpha_logit: alpha = sigmoid of it; -50 is `tuba`, 50 is InfoNCE with a
      leave-one-out baseline.
    log_baseline: log a(y): a constant, or one value a column, `[n]`, `[n, l]`.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar, never above `1 + log((b - 1) / alpha)`. Best critic for a = 1:
    `log p(y|x)/p(y)`; for alpha = 1, with any c(y).

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(i_alpha(scores, alpha_logit=0.0)), 4)
    0.7868

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019, section 2.4.
    Their code reads the logit so, its docstring the other way round.
  """
  joint = positives(scores)
  log_alpha = jax.nn.log_sigmoid(jnp.float32(alpha_logit))
  given = per_column(jnp.asarray(log_baseline, jnp.float32), scores)
  # log(1 - alpha) from the logit: in float32, 1 - alpha is 0 for a large one.
  given = given + jax.nn.log_sigmoid(-jnp.float32(alpha_logit))  # [n, *l]
  number = per_column(count(scores.shape, 0, mask), scores)

  # Without the pair: what negatives are measured against.
  apart = log_sum_exp(scores, 0, mask=mask) - _log(number)
  apart = jnp.logaddexp(log_alpha + apart, given)
  partition = log_mean_exp(scores, mask, fn=minus_column, cols=apart)

  # With the pair, but without row l: what pairs are measured against.
  whole = log_sum_exp(scores, 0, mask=mask, joint=True)
  # Where one entry is nearly all of a sum, the sum less it has no digits left.
  # So it is summed without that entry.
  rest = log_sum_exp(
    scores, 0, mask=mask, joint=True, fn=_without_dominant, cols=whole
  )
  # The pair and `number` negatives are number + 1, less the row left out.
  cols = (whole, rest, log_alpha - _log(number), given)
  sums = total(scores, 0, fn=_leave_one_out, cols=cols, mask=mask)
  # Columns without negatives have a sum of 0, and are used nowhere.
  baseline = sums / jnp.maximum(number, 1)
  nats = mean_positives(joint - baseline[: len(joint)], mask)
  return 1 + nats - exp(partition)


def _log(number):
  """log, and 0 for a column without negatives, which is used nowhere."""
  return jnp.log(jnp.maximum(number, 1))


def _without_dominant(score, row, whole):
  del row
  return jnp.where(score - whole > _LOG_DOMINANT, -jnp.inf, score)


def _leave_one_out(score, row, cols):
  """log(alpha mean of the column without this entry + (1 - alpha) a)."""
  del row
  whole, rest, log_alpha_over_number, given = cols
  share = score - whole
  # The whole sum less the entry: summing the others of each entry anew would
  # take b times as long. The minimum keeps log1p, and its gradient, finite
  # where `rest` is taken: `where` would pass on a NaN.
  others = whole + jnp.log1p(-jnp.exp(jnp.minimum(share, _LOG_DOMINANT)))
  others = jnp.where(share > _LOG_DOMINANT, rest, others)
  return jnp.logaddexp(others + log_alpha_over_number, given)
