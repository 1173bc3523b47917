"""Estimates from log densities of pairs, given or fitted: `[b] -> nats`.

`mask` is that of scores, `[b, n]`; its diagonal is used. The densities of the
pairs of a score matrix are its `positives`; `densities.py` fits some. Fit a
density on samples other than those averaged here: on its own samples it scores
too high, and MI comes out too large.
"""

import jax

from infomin_jax.estimators.scores import mean_positives

Array = jax.Array


def barber_agakov(
  log_conditional: Array,
  entropy: float | Array,
  mask: Array | None = None,
) -> Array:
  """Barber-Agakov lower bound E[log q(y|x)] + h(Y) on I(X; Y), in nats.

  Args:
    log_conditional: log q(y_i|x_i) of any conditional density q, given or
      fitted, `[b]`.
    entropy: h(Y) in nats, known; with an estimate it is no bound.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar, below I(X; Y) by the mean of KL(p(y|x) || q(y|x)) in expectation.
    Best conditional: the true one. No ceiling.

  References:
    Barber, Agakov, The IM algorithm, 2003, eq. 3.
  """
  return mean_positives(log_conditional, mask) + entropy


def variational_upper(
  log_conditional: Array,
  log_marginal: Array,
  mask: Array | None = None,
) -> Array:
  """Variational upper bound E[log p(y|x)/m(y)] on I(X; Y), in nats.

  Args:
    log_conditional: log p(y_i|x_i) of the true conditional, `[b]`.
    log_marginal: log m(y_i) of any density m, `[b]`.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar without a ceiling, above I(X; Y) by KL(p(y) || m(y)) in expectation.

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019, section 2.1.
  """
  return mean_positives(log_conditional - log_marginal, mask)


def difference_of_entropies(
  log_conditional: Array,
  log_marginal: Array,
  mask: Array | None = None,
) -> Array:
  """I(X; Y) as h(Y) - h(Y|X), each a fitted cross-entropy, in nats.

  Neither bound: each term is above its entropy by what the fit misses, and
  these errors have opposite signs. It has no ceiling of log b, and its
  variance does not grow with I(X; Y). The formula is `variational_upper`'s.

  Args:
    log_conditional: log q(y_i|x_i) of a fitted conditional, `[b]`.
    log_marginal: log m(y_i) of a fitted marginal, `[b]`.
    mask: pairs that count, `[b, n]`.

  Returns:
    Scalar; I(X; Y) in expectation for the true densities.

  References:
    McAllester, Stratos, `Formal Limitations on the Measurement of Mutual
    Information <https://arxiv.org/abs/1811.04251>`_, 2020, section 5.
  """
  return variational_upper(log_conditional, log_marginal, mask)
