"""Contrast with a queue of earlier keys from a momentum encoder (MoCo)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.objectives import scoring
from infomin_jax.objectives.term import Outcome, Seen


class Queue(nn.Module):
  """Maximises I(v1; v2) with negatives from earlier batches.

  The first view goes through the trained encoder and critic, the second
  through their exponential moving average; its keys are the positives and,
  after the scores are computed, replace the oldest keys of the queue. A row's
  candidates are its own key and the queue, so its own key is never its own
  negative and the other keys of the batch are not used.

  Attributes:
    critic: a factored critic (`embed_x`, `embed_y`).
    estimator: `scores -> nats`, maximised.
    size: keys in the queue, a multiple of the batch size.

  References:
    He et al., `Momentum Contrast <https://arxiv.org/abs/1911.05722>`_, 2020,
    algorithm 1.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  size: int = 65536
  online = (0,)
  targets = (1,)

  def check(self, at: str) -> None:
    """Refuses a critic whose keys cannot be kept; `at` names it in errors."""
    if not scoring.is_factored(self.critic):
      raise UserError(
        f"{at}.critic cannot be factored, so its keys cannot be kept: choose "
        "inner_product, bilinear or separable."
      )

  def form(self, features) -> str:
    """How the scores are computed, from features or their shapes."""
    batch = features[0].global_.shape[0]
    size = 4 * batch * (1 + self.size) / 2**20
    shape = f"{batch} x {1 + self.size}"
    return f"{shape} scores, held as a matrix ({size:.4g} MiB)"

  def keys(self, features, train: bool) -> jax.Array:
    """Embeddings of the second view, `[b, d]`; apply with EMA weights."""
    return self.critic.embed_y(features[1].global_, train)

  def scores(self, features, train: bool) -> jax.Array:
    """`[b, b]`, first view against second."""
    return self.critic(features[0].global_, features[1].global_, train)

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the bound over `1 + size` candidates; moves the queue."""
    query = self.critic.embed_x(seen.features[0].global_, train)  # [b, d]
    keys: Any = seen.keys
    batch, dim = query.shape
    if self.size % batch:
      raise UserError(
        f"config.objective: queue size {self.size} is not divisible by the "
        f"batch size {batch}: choose a multiple of it."
      )
    queue = self.variable("queue", "keys", self._random_keys, dim)
    pointer = self.variable("queue", "pointer", jnp.zeros, (), jnp.int32)
    own = jnp.sum(query.astype(jnp.float32) * keys, axis=-1)  # [b]
    others = jnp.einsum(
      "bd,kd->bk",
      query.astype(jnp.float32),
      queue.value,
      precision="highest",
    )
    # One row at a time is [1, 1 + size]: its positive stands first.
    rows = jnp.concatenate([own[:, None], others], axis=1)
    nats = jnp.mean(jax.vmap(self.estimator)(rows[:, None]))
    if train and not self.is_initializing():
      queue.value = jax.lax.dynamic_update_slice(
        queue.value, keys.astype(jnp.float32), (pointer.value, 0)
      )
      pointer.value = (pointer.value + batch) % self.size
    return Outcome(-nats, {"nats": nats})

  def _random_keys(self, dim: int) -> jax.Array:
    noise = jax.random.normal(self.make_rng("params"), (self.size, dim))
    return noise / jnp.linalg.norm(noise, axis=-1, keepdims=True)
