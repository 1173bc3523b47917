"""Mutual information between views on held-out data, and collapse figures."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.estimators import infonce, infonce_ceiling
from infomin_jax.estimators.scores import Scores, log_sum_exp, positives


def make_held_out_bound(
  learner, views, batches, seed: int
) -> Callable[[dict], dict[str, float]]:
  """InfoNCE bound on I(v1; v2) with a trained critic on held-out data.

  InfoNCE is a bound for whatever critic, so this is comparable between runs
  that were trained with other estimators.

  Args:
    learner: gives the scores of two views.
    views: `(key, batch) -> views`.
    batches: a list of held-out batches of one size n.
    seed: of the views.

  Returns:
    `variables -> metrics`, of the learner's parameters and statistics:
    `mi_bound`, its standard error over the batches `mi_bound_error` (where
    there are several), and `mi_ceiling`, the largest value that n candidates
    allow (log n); all in nats.
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
    found = {"mi_bound": nats.mean(), "mi_ceiling": ceilings.mean()}
    if len(nats) > 1:
      found["mi_bound_error"] = nats.std(ddof=1) / len(nats) ** 0.5
    return {name: float(x) for name, x in found.items()}

  return held_out_bound


def pair_nats(scores: Scores) -> jax.Array:
  """Returns what each pair adds to InfoNCE, whose mean is the bound.

  Args:
    scores: of held-out pairs, `[b, n]`, positives on the diagonal.

  Returns:
    `[b]`, in nats, each at most log n.
  """
  joint = positives(scores)
  total = jnp.logaddexp(joint, log_sum_exp(scores))
  return joint - total + jnp.log(1.0 * scores.shape[1])


def effective_rank(features: np.ndarray) -> float:
  """Returns how many directions features `[n, d]` use, between 1 and d.

  The exponential of the entropy of the normalized singular values.

  References:
    Roy, Vetterli, The effective rank, 2007, eq. 3.
  """
  centerd = jnp.asarray(features - features.mean(axis=0))
  values = jnp.linalg.svd(centerd, compute_uv=False)
  share = values / jnp.maximum(jnp.sum(values), 1e-12)
  entropy = -jnp.sum(share * jnp.log(jnp.maximum(share, 1e-12)))
  return float(jnp.exp(entropy))
