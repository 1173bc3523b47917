"""Divergences between p(x, y) and p(x) p(y), as Deep InfoMax measures them.

Each has its lower bound `E_pairs[g(s)] - E_negatives[f*(g(s))]`, where f* is
the conjugate of the divergence's f and g maps scores to where f* is defined
(f-GAN). They rank as mutual information does but are other quantities, so as
estimates of I(X; Y) they are neither upper nor lower bounds; the one for KL is
one, and is `lower.nwj`. Units are nats where a logarithm is taken.

All take scores `[b, n]` or `[b, n, l]`, as an array or `Factored`, and a `mask`
(`scores.py`), and need at least one negative.

References:
  Nowozin et al., `f-GAN <https://arxiv.org/abs/1606.00709>`_, 2016, tables 1
  and 2; Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_,
  2019, section 3.1.
"""

import jax
import jax.numpy as jnp

from infomin_jax.estimators.scores import (
  Scores,
  log_mean_exp,
  mean,
  mean_positives,
  positives,
)

Array = jax.Array


@jax.custom_jvp
def exp(x: Array) -> Array:
  """e^x; where float32 overflows its gradient is huge, but finite."""
  return jnp.exp(x)


@exp.defjvp
def _(primals, tangents):
  (x,), (dx,) = primals, tangents
  return jnp.exp(x), jnp.exp(jnp.minimum(x, 88.0)) * dx


def gan(scores: Scores, mask: Array | None = None) -> Array:
  """The GAN objective in nats: `jsd` less log 4, neither bound on I(X; Y).

  Minus the cross-entropy of telling pairs from negatives by `sigmoid(scores)`,
  summed over the two classes.

  Returns:
    Scalar, never above 0; 0 - log 4 for independent x and y. Best critic:
    `log p(y|x)/p(y)`.

  References:
    Goodfellow et al., `Generative Adversarial Networks
    <https://arxiv.org/abs/1406.2661>`_, 2014, eq. 1; f-GAN, table 2.
  """
  joint = mean_positives(-jax.nn.softplus(-positives(scores)), mask)
  return joint - mean(scores, mask, fn=_softplus)


def jsd(scores: Scores, mask: Array | None = None) -> Array:
  """Jensen-Shannon objective in nats: neither a bound on I(X; Y) nor near it.

  A lower bound on twice the Jensen-Shannon divergence between the joint and
  the product of the marginals: it ranks as MI does, but is not its value.

  Returns:
    Scalar, never above `log 4`. Best critic: `log p(y|x)/p(y)`, so that the
    same scores, given to `infonce` or `nwj(scores + 1)`, bound I(X; Y).

  Example:
    >>> import jax.numpy as jnp
    >>> scores = jnp.array([[1.0, 0.2, -0.3], [0.1, 1.5, 0.4], [-0.2, 0.3, 2]])
    >>> round(float(jsd(scores)), 4)
    0.4287

  References:
    f-GAN, table 2; Hjelm et al., `Deep InfoMax
    <https://arxiv.org/abs/1808.06670>`_, 2019, eq. 4, here with the constant
    log 4 that makes independence zero.
  """
  return jnp.log(4.0) + gan(scores, mask)


def reverse_kl(scores: Scores, mask: Array | None = None) -> Array:
  """KL(p(x) p(y) || p(x, y)) from below, in nats; neither bound on I(X; Y).

  Returns:
    Scalar without a ceiling. Best critic: `log p(y|x)/p(y)`. -inf in float32
    where a pair scores below -89; the gradient stays finite.

  References:
    f-GAN, table 2; the measure RKL of Deep InfoMax's code.
  """
  joint = mean_positives(-exp(-positives(scores)), mask)
  return joint + 1 - mean(scores, mask)


def hellinger(scores: Scores, mask: Array | None = None) -> Array:
  """Squared Hellinger distance from below; neither bound on I(X; Y).

  The integral of (sqrt p(x, y) - sqrt p(x) p(y))^2, without a unit.

  Returns:
    Scalar, never above 2. Best critic: `log p(y|x)/p(y)` halved. -inf in
    float32 where a pair scores below -89 or a negative above 89; the gradient
    stays finite.

  References:
    f-GAN, table 2; the measure H2 of Deep InfoMax's code.
  """
  joint = mean_positives(1 - exp(-positives(scores)), mask)
  return joint + 1 - exp(log_mean_exp(scores, mask))


def chi_squared(scores: Scores, mask: Array | None = None) -> Array:
  """Pearson's chi-squared divergence from below; neither bound on I(X; Y).

  Differs from the paper: the code's measure X2 has no upper limit; this is
  f-GAN's, with f*(s) = s^2 / 4 + s.

  Returns:
    Scalar without a ceiling or a unit. Best critic: `2 (p(y|x)/p(y) - 1)`;
    the divergence is then E_negatives[(p(y|x)/p(y) - 1)^2], above I(X; Y).

  References:
    f-GAN, tables 1 and 2.
  """
  joint = mean_positives(positives(scores), mask)
  return joint - mean(scores, mask, fn=_chi_squared_conjugate)


def wasserstein(scores: Scores, mask: Array | None = None) -> Array:
  """Returns how much higher pairs score than negatives; no bound on I(X; Y).

  A lower bound on the Wasserstein-1 distance between joint and product, if the
  critic is 1-Lipschitz, in its unit; nothing here makes it so.

  Returns:
    Scalar, without a ceiling for a critic that is not Lipschitz.

  References:
    Arjovsky et al., `Wasserstein GAN <https://arxiv.org/abs/1701.07875>`_,
    2017, eq. 2; the measure W1 of Deep InfoMax's code.
  """
  joint = mean_positives(positives(scores), mask)
  return joint - mean(scores, mask)


def _softplus(score, row, col):
  del row, col
  return jax.nn.softplus(score)


def _chi_squared_conjugate(score, row, col):
  del row, col
  return score * score / 4 + score
