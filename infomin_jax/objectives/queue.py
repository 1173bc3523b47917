"""Contrast with a queue of earlier keys from a momentum encoder (MoCo)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import unit
from infomin_jax.errors import UserError
from infomin_jax.objectives import memory
from infomin_jax.objectives.term import Outcome, Seen, Term


class Queue(Term):
  """Maximizes I(query; key) with negatives from earlier batches.

  The query goes through the trained encoder and critic, the key through their
  exponential moving average; keys are the positives and, after the scores are
  computed, replace the oldest ones of the queue. So a row's own key is never
  its own negative, and the other keys of the batch are not used.

  Attributes:
    critic: a factored critic (`embed_x`, `embed_y`).
    estimator: `scores -> nats`, maximized.
    size: keys in the queue, a multiple of the batch size.
    pairs: numbers of (query, key); with a second pair the critic's sides change
      places, and each pair has a queue of its own (CMC: `((0, 3), (1, 2))`).
    shuffle: keys are encoded in another order of the batch. With batch
      statistics of groups (`encoder.groups`) a query's group is then not its
      key's, and cannot give it away.
    jigsaw: weight of the pieces' loss, that of the whole image being 1 less
      it; 0 for none.
    pieces: number of the features of the pieces.
    own_statistics: running batch statistics of pieces are kept apart, so that
      those of whole images, which evaluation uses, are of whole images only.

  References:
    He et al., `Momentum Contrast <https://arxiv.org/abs/1911.05722>`_, 2020,
    algorithm 1 and section 3.3; Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 3.4, for the pieces.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  size: int = 65536
  pairs: tuple[tuple[int, int], ...] = ((0, 1),)
  shuffle: bool = False
  jigsaw: float = 0.0
  pieces: int = 2
  own_statistics: bool = False

  @property
  def online(self) -> tuple[int, ...]:
    """The features it wants of the trained encoder."""
    return memory.asking(self)

  @property
  def targets(self) -> tuple[int, ...]:
    """The features it wants of the momentum copy."""
    return tuple(sorted({key for _, key in self.pairs}))

  def setup(self):
    if self.jigsaw:
      self.assemble = memory.Pieces(self.critic.dim, self.critic.hidden)

  def check(self, at: str) -> None:
    """Refuses what keys cannot be kept of; `at` names it in errors."""
    memory.check(self, at)

  def check_data(self, at: str, images: int, batch: int) -> str:
    """Returns a line for a queue that holds some images several times.

    Args:
      at: names the term.
      images: how many there are to train on.
      batch: images a step.
    """
    if self.size <= images:
      return ""
    return (
      f"{at}.size is {self.size:,}, but there are {images:,} training images: "
      f"each has about {self.size / images:.1f} keys in the queue, and older "
      "ones of its own among its negatives. Set at most "
      f"{images // batch * batch:,}."
    )

  def form(self, features) -> str:
    """Says how the scores are computed, from features or their shapes."""
    return memory.form(self, features)

  def keys(self, features, train: bool) -> jax.Array:
    """Embeddings of each pair's keys, `[b, r, d]`; apply with EMA weights."""
    return memory.keys(self, features, train)

  def scores(self, features, train: bool) -> jax.Array:
    """`[b, b]`, queries of the first pair against its keys."""
    return memory.scores(self, features, train)

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the bound over `1 + size` candidates; moves the queue."""
    keys: Any = seen.keys
    batch, _, dim = keys.shape
    if self.size % batch:
      raise UserError(
        f"config.objective: queue size {self.size} is not divisible by the "
        f"batch size {batch}: choose a multiple of it."
      )
    queue = self.variable("queue", "keys", self._random_keys, dim)  # [r, k, d]
    pointer = self.variable("queue", "pointer", jnp.zeros, (), jnp.int32)
    # In steps; -1 for a random key that stands where none has come yet.
    age = self.variable("queue", "age", jnp.full, (self.size,), -1, jnp.int32)

    def candidates(query, pair):
      own = jnp.sum(query * keys[:, pair], axis=-1)  # [b]
      others = jnp.einsum(
        "bd,kd->bk", query, queue.value[pair], precision="highest"
      )
      return own, others

    loss, metrics = memory.loss(self, seen, train, candidates)
    known = age.value >= 0
    number = jnp.sum(known)
    total = jnp.sum(age.value, where=known)
    metrics["age"] = total / jnp.maximum(number, 1)
    metrics["filled"] = number / self.size
    if train and not self.is_initializing():
      fresh = jnp.swapaxes(keys, 0, 1).astype(jnp.float32)  # [r, b, d]
      start = pointer.value
      queue.value = jax.lax.dynamic_update_slice(
        queue.value, fresh, (0, start, 0)
      )
      age.value = jax.lax.dynamic_update_slice(
        age.value + known, jnp.ones(batch, jnp.int32), (start,)
      )
      pointer.value = (start + batch) % self.size
    return Outcome(loss, metrics)

  def _random_keys(self, dim: int) -> jax.Array:
    shape = (len(self.pairs), self.size, dim)
    return unit(jax.random.normal(self.make_rng("params"), shape))
