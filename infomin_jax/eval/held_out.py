"""Held-out mutual information between views, and a measure of collapse."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.estimators import infonce, infonce_ceiling
from infomin_jax.estimators.scores import Scores, log_sum_exp, positives


def make_held_out_bound(
  learner, views, batches, seed: int
) -> Callable[[dict], dict[str, float]]:
  """Returns a function that computes the held-out InfoNCE bound on I(v1; v2).

  InfoNCE is a lower bound for any critic, so its values are comparable between
  runs that were trained with different estimators.

  Args:
    learner: the network that scores pairs of views.
    views: `(key, batch) -> views`.
    batches: a list of held-out batches of one size n.
    seed: seed of the views.

  Returns:
    A function of the learner's parameters and statistics, `variables ->
    metrics`, in nats. `mi_bound` is the mean over the batches, and
    `mi_bound_error` its standard error (if there are several). `mi_ceiling` is
    log n, the largest value that n candidates allow.
  """

  @jax.jit
  def bound(variables, batch, i):
    key = jax.random.fold_in(jax.random.key(seed), i)
    scores = learner.apply(variables, views(key, batch), method="scores")
    return infonce(scores), infonce_ceiling(scores.shape)

  def held_out_bound(variables):
    values = [
      bound(variables, batch, np.int32(i)) for i, batch in enumerate(batches)
    ]
    nats, ceilings = np.array(jax.device_get(values)).T
    metrics = {"mi_bound": nats.mean(), "mi_ceiling": ceilings.mean()}
    if len(nats) > 1:
      metrics["mi_bound_error"] = nats.std(ddof=1) / len(nats) ** 0.5
    return {name: float(x) for name, x in metrics.items()}

  return held_out_bound


def pair_nats(scores: Scores) -> jax.Array:
  """Returns the contribution of each pair to InfoNCE; their mean is the bound.

  Args:
    scores: scores of held-out pairs, `[b, n]`, positives on the diagonal.

  Returns:
    `[b]`, in nats, each at most log n.
  """
  joint = positives(scores)
  # `log_sum_exp` is over negatives only; InfoNCE's sum includes the positive.
  total = jnp.logaddexp(joint, log_sum_exp(scores))
  return joint - total + jnp.log(1.0 * scores.shape[1])


def effective_rank(features: np.ndarray) -> float:
  """Returns the effective number of directions of features `[n, d]`, 1 to d.

  It is the exponential of the entropy of the normalized singular values.

  References:
    Roy, Vetterli, The effective rank, 2007, eq. 3.
  """
  centered = jnp.asarray(features - features.mean(axis=0))
  values = jnp.linalg.svd(centered, compute_uv=False)
  share = values / jnp.maximum(jnp.sum(values), 1e-12)
  entropy = -jnp.sum(share * jnp.log(jnp.maximum(share, 1e-12)))
  return float(jnp.exp(entropy))
