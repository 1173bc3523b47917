"""Contrast views of one image with views of others, in the batch."""

import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp


class Contrastive(nn.Module):
  """Maximises I(v1; v2) between every pair of views of an image.

  With the cosine of a shared projection head and InfoNCE this is SimCLR with
  the other view's images as negatives. More than two views give the mean over
  all pairs of which one is full-size (the first two views).

  Attributes:
    critic: scores two batches of global features.
    estimator: `scores -> nats`, maximised.
    symmetric: average the estimate of scores and of scores transposed, so that
      each view is once the anchor.
  """

  critic: nn.Module
  estimator: Callable[[jax.Array], jax.Array]
  symmetric: bool = True
  online = None
  targets = ()
  least_views = 2

  def scores(self, features, train: bool) -> jax.Array:
    """`[b, b]`, first view against second."""
    return self.critic(features[0].global_, features[1].global_, train)

  def __call__(self, features, keys, train: bool):
    """Negated nats and nats, scalars; `keys` is not used."""
    del keys
    bounds = []
    for i, j in itertools.combinations(sorted(features), 2):
      if i < 2:
        x, y = features[i].global_, features[j].global_
        scores = self.critic(x, y, train)
        bounds.append(self.estimator(scores))
        if self.symmetric:
          bounds.append(self.estimator(scores.T))
    nats = jnp.mean(jnp.stack(bounds))
    return -nats, nats
