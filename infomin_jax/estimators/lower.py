"""Lower bounds on mutual information, and estimates that are close to one.

All are `scores -> nats`, written in the reductions of `scores.py`. They take
scores `[b, n]` or, with locations, `[b, n, l]`, as an array or `Factored`, and
a `mask`; they compute in float32 for any input type and return a scalar.
"""

import jax
import jax.numpy as jnp

from infomin_jax.errors import lookup
from infomin_jax.estimators.divergences import exp, jsd
from infomin_jax.estimators.scores import (
  Scores,
  check_scores,
  count,
  log_mean_exp,
  log_sum_exp,
  mean_positives,
  positives,
)

Array = jax.Array
_AXES = {"rows": (1,), "columns": (0,), "both": (1, 0)}


def infonce(
  scores: Scores,
  anchors: str = "rows",
  mask: Array | None = None,
) -> Array:
  """InfoNCE lower bound on I(X; Y), in nats.

  `mean(positive - log_mean_exp(candidates))`, where the candidates of x_i are
  its positive y_i and the negatives of its row. With locations, the image of
  a positive holds no negatives, so that there are `(n - 1) l` of them. With
  `columns`, the candidates of y_i are the entries of its column; columns past
  b have no positive and are not used.

  Args:
    scores: critic values, `[b, n]` or `[b, n, l]`.
    anchors: `rows`, `columns` or `both`: the mean of the two, from one pass.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar, never above `infonce_ceiling(scores.shape, anchors)`: `log n` for
    rows of `[b, n]`, `log b` for columns. Best critic: `log p(x|y) + c(x)` for
    rows, `log p(y|x) + c(y)` for columns, `log p(y|x)/p(y) + c` for both.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(infonce(scores)), 4)
    0.6793

  References:
    van den Oord et al., `Representation Learning with Contrastive Predictive
    Coding <https://arxiv.org/abs/1807.03748>`_, 2018, eq. 4; Tschannen et al.,
    `On Mutual Information Maximization <https://arxiv.org/abs/1907.13625>`_,
    2020, eq. 3; with locations: Hjelm et al., `Deep InfoMax
    <https://arxiv.org/abs/1808.06670>`_, 2019, eq. 5, with the exact exclusion
    of the own image.
  """
  joint = positives(scores)  # [b, *l]
  axes = lookup("anchors", anchors, _AXES)
  negatives = log_sum_exp(scores, axes, mask=mask)
  nats = []
  for axis, sums in zip(axes, negatives, strict=True):
    sums, number = (
      jnp.expand_dims(x[: len(joint)], tuple(range(x.ndim, joint.ndim)))
      for x in (sums, count(scores.shape, axis, mask))
    )
    # The difference first: log(1 + number) would be lost next to large scores.
    nats.append(joint - jnp.logaddexp(joint, sums) + jnp.log1p(number))
  return mean_positives(jnp.mean(jnp.stack(nats), axis=0), mask)


def infonce_ceiling(
  shape: tuple[int, ...], anchors: str = "rows", mask: Array | None = None
) -> Array:
  """The largest value InfoNCE can take for scores of `shape`, in nats.

  Example:
    >>> round(float(infonce_ceiling((256, 256))), 4)  # log(256)
    5.5452
  """
  axes = lookup("anchors", anchors, _AXES)
  logs = [jnp.log1p(count(shape, axis, mask)[: shape[0]]) for axis in axes]
  return mean_positives(jnp.mean(jnp.stack(logs), axis=0), mask)


def tuba(
  scores: Scores,
  log_baseline: float | Array = 0.0,
  mask: Array | None = None,
) -> Array:
  """TUBA lower bound on I(X; Y), in nats; no ceiling, high variance.

  Args:
    scores: critic values, with at least one negative.
    log_baseline: log a(y) of any positive function a: a constant, or one value
      a column, `[n]` or `[n, l]`, given or learned (`critics.LogBaseline`).
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar. Best critic: `log p(y|x)/p(y) + log a(y)`, and the best baseline of
    a critic is the mean of `exp(f(x, y))` over x. Where a score passes a(y) by
    some 89 nats, the value is -inf in float32; the gradient stays finite.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(tuba(scores)), 4)
    1.3787

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019, section 2.2.
  """
  joint = positives(scores)
  baseline = jnp.asarray(log_baseline, jnp.float32)
  if baseline.ndim == 0:
    partition = log_mean_exp(scores, mask) - baseline
    own = baseline
  else:
    baseline = per_column(baseline, scores)
    partition = log_mean_exp(scores, mask, fn=minus_column, cols=baseline)
    own = baseline[: len(joint)]
  return 1 + mean_positives(joint - own, mask) - exp(partition)


def nwj(scores: Scores, mask: Array | None = None) -> Array:
  """NWJ lower bound on I(X; Y), in nats; no ceiling, high variance.

  Also known as the f-GAN bound on the KL divergence and as MINE-f.

  Args:
    scores: critic values, with at least one negative.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar. Best critic, and the only one: `1 + log p(y|x)/p(y)`. -inf in
    float32 where scores pass 89; the gradient stays finite.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(nwj(scores)), 4)
    1.0875

  References:
    Nguyen, Wainwright, Jordan, `Estimating divergence functionals
    <https://arxiv.org/abs/0809.0853>`_, 2010; Tschannen et al., `On Mutual
    Information Maximization <https://arxiv.org/abs/1907.13625>`_, 2020, eq. 4.
  """
  return tuba(scores, 1.0, mask)


def dv(scores: Scores, mask: Array | None = None) -> Array:
  """Donsker-Varadhan estimate of I(X; Y), in nats; neither bound on one batch.

  A lower bound in the limit of a large batch; the value of one batch is biased
  upwards, since the log stands outside a finite mean.

  Args:
    scores: critic values, with at least one negative.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar without a ceiling. Best critic: `log p(y|x)/p(y) + c`.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(dv(scores)), 4)
    1.3855

  References:
    Donsker, Varadhan 1983; Belghazi et al., `MINE
    <https://arxiv.org/abs/1801.04062>`_, 2018, eq. 5; Hjelm et al., `Deep
    InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, eq. 2.
  """
  joint = mean_positives(positives(scores), mask)
  return joint - log_mean_exp(scores, mask)


def mine(
  scores: Scores,
  log_average: Array | None = None,
  momentum: float = 0.9,
  mask: Array | None = None,
) -> tuple[Array, Array]:
  """MINE: the value of `dv`, in nats, with a less biased gradient.

  The gradient of DV's second term divides by the mean of `exp(scores)` in the
  batch, which is biased; MINE divides by its moving average over batches. It
  is kept as a logarithm, so that it needs no floor and cannot overflow.

  Args:
    scores: critic values, with at least one negative.
    log_average: what the last call returned; None before the first batch, for
      which the gradient is that of `dv`.
    momentum: share of the average that stays.
    mask: pairs that count, `[b, n]`.

  Returns:
    Nats, neither an upper nor a lower bound on one batch, without a ceiling;
    and the new `log_average`. Best critic: `log p(y|x)/p(y) + c`.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> nats, average = mine(scores)
    >>> nats, average = mine(scores, average)  # the next batch
    >>> round(float(nats), 4)
    1.3855

  References:
    Belghazi et al., `MINE <https://arxiv.org/abs/1801.04062>`_, 2018, eq. 12.
  """
  joint = mean_positives(positives(scores), mask)
  partition = log_mean_exp(scores, mask)
  average = jax.lax.stop_gradient(partition)
  if log_average is not None:
    average = jnp.logaddexp(
      jnp.log(momentum) + log_average, jnp.log1p(-momentum) + average
    )
  ratio = jnp.exp(jax.lax.stop_gradient(partition) - average)
  nats = value_with_gradient_of(joint - partition, joint - ratio * partition)
  return nats, jax.lax.stop_gradient(average)


def js_nwj(
  scores: Scores,
  published: bool = False,
  mask: Array | None = None,
) -> Array:
  """The value of NWJ with the gradient of `jsd`: a lower bound, in nats.

  Differs from the paper: the value is that of `nwj(scores + 1)`, since JS
  trains scores to the log ratio and NWJ wants 1 more. `published` takes
  `nwj(scores)`, lower by 1/e at the optimum.

  Args:
    scores: critic values, with at least one negative.
    published: evaluate NWJ at the scores as they are.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar without a ceiling. Best critic: `log p(y|x)/p(y)`.

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(js_nwj(scores)), 4)
    1.3787

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019.
  """
  # nwj(scores + 1) = tuba(scores, 0), also for scores that are not held.
  value = tuba(scores, 1.0 if published else 0.0, mask)
  return value_with_gradient_of(value, jsd(scores, mask))


def smile(
  scores: Scores,
  tau: float = 5.0,
  mask: Array | None = None,
) -> Array:
  """SMILE(tau) estimate of I(X; Y), in nats: neither bound, low variance.

  The value of DV, with the scores of negatives clipped to [-tau, tau], and
  the gradient of `jsd`.

  Args:
    scores: critic values, with at least one negative.
    tau: where to clip; infinity gives the value of `dv`.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar without a ceiling. Best critic: `log p(y|x)/p(y)`; a clipped
    partition lets it end above I(X; Y).

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(smile(scores, tau=5.0)), 4)
    1.3855

  References:
    Song, Ermon, `Understanding the Limitations of Variational Mutual
    Information Estimators <https://arxiv.org/abs/1910.06222>`_, 2020.
  """
  joint = mean_positives(positives(scores), mask)
  limit = jnp.full(scores.shape[0], tau, jnp.float32)
  partition = log_mean_exp(scores, mask, fn=_clip, rows=limit)
  return value_with_gradient_of(joint - partition, jsd(scores, mask))


def value_with_gradient_of(value: Array, surrogate: Array) -> Array:
  """`value`, to the last digit, with the gradient of `surrogate`."""
  stop = jax.lax.stop_gradient
  return stop(value) + (surrogate - stop(surrogate))


def per_column(values: Array, scores: Scores) -> Array:
  """Values `[n]` or `[n, l]` as one a column and location, `[n, *l]`."""
  check_scores(scores)
  columns = scores.shape[1:]
  values = jnp.expand_dims(values, tuple(range(values.ndim, len(columns))))
  return jnp.broadcast_to(values, columns)


def minus_column(score, row, col):
  """A reduction's `fn`: scores less their column's value."""
  del row
  return score - col


def _clip(score, row, col):
  del col
  return jnp.clip(score, -row, row)
