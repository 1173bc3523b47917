"""Contrast with a memory of one key an image (InsDis, CMC, PIRL)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import unit
from infomin_jax.errors import UserError
from infomin_jax.objectives import memory
from infomin_jax.objectives.term import Outcome, Seen, Term

# Negatives of a row that are read at a time.
_TILE = 1024


class Bank(Term):
  """Maximizes I(query; key) with a memory of one key an image.

  Positives are the image's own entry, negatives entries drawn uniformly with
  replacement, for each row its own (an entry may be the row's, by chance).
  Afterwards the batch's entries move towards its fresh keys.

  Attributes:
    critic: a factored critic (`embed_x`, `embed_y`), normalized.
    estimator: `scores -> nats`, maximized.
    images: entries, one a training image.
    size: negatives of a row.
    momentum: how much of an entry is kept.
    pairs: as in `Queue`. The query's own features are the key for instance
      discrimination; those of the other modality for CMC, `((0, 1), (1, 0))`.
    jigsaw: as in `Queue`.
    pieces: as in `Queue`.
    own_statistics: as in `Queue`.

  References:
    Wu et al., `Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination <https://arxiv.org/abs/1805.01978>`_, 2018, section 3; Tian
    et al., `Contrastive Multiview Coding <https://arxiv.org/abs/1906.05849>`_,
    2019, section 3.4, with a softmax over the candidates instead of NCE, as
    their later code has it.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  images: int
  size: int = 65536
  momentum: float = 0.5
  pairs: tuple[tuple[int, int], ...] = ((0, 0),)
  jigsaw: float = 0.0
  pieces: int = 1
  own_statistics: bool = False

  @property
  def online(self) -> tuple[int, ...]:
    """The features it wants of the trained encoder."""
    return tuple(sorted({*memory.asking(self), *(k for _, k in self.pairs)}))

  def setup(self):
    if self.jigsaw:
      self.assemble = memory.Pieces(self.critic.dim, self.critic.hidden)

  def check(self, at: str) -> None:
    """Refuses what keys cannot be kept of; `at` names it in errors."""
    memory.check(self, at)
    if not 0 <= self.momentum < 1:
      raise UserError(
        f"{at}.momentum is {self.momentum}: expected 0 or more, below 1."
      )
    if self.images < 1:
      raise UserError(f"{at}.images is {self.images}: expected 1 or more.")

  def check_data(self, at: str, images: int, batch: int) -> str:
    """Returns a line for a bank with entries of no image.

    Args:
      at: names the term.
      images: how many there are to train on.
      batch: images a step.

    Raises:
      UserError: images would share an entry.
    """
    del batch
    memory.check_entries(f"{at}.images", self.images, images)
    if self.images == images:
      return ""
    return (
      f"{at}.images is {self.images:,}, but there are {images:,} training "
      f"images: {1 - images / self.images:.0%} of the negatives are random "
      f"numbers of no image. Set {images:,}."
    )

  def form(self, features) -> str:
    """Says how the scores are computed, from features or their shapes."""
    return memory.form(self, features)

  def scores(self, features, train: bool) -> jax.Array:
    """`[b, b]`, queries of the first pair against its keys."""
    return memory.scores(self, features, train)

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the bound over `1 + size` candidates; moves the bank."""
    fresh = jax.lax.stop_gradient(memory.keys(self, seen.features, train))
    batch, _, dim = fresh.shape
    bank = self.variable("bank", "entries", self._random_entries, dim)
    index = seen.record["index"] % self.images
    kept = bank.value[index]  # [b, r, d]
    drawn = self._drawn(batch)

    def candidates(query, pair):
      # Each row has negatives of its own, too many to hold as `[b, k, d]`.
      @jax.checkpoint
      def score(rows):  # [b, tile]
        entries = bank.value[rows, pair]
        return jnp.einsum("bd,bkd->bk", query, entries, precision="highest")

      own = jnp.sum(query * kept[:, pair], axis=-1)  # [b]
      others = jax.lax.map(score, drawn)  # [tiles, b, tile]
      return own, jnp.moveaxis(others, 1, 0).reshape(batch, -1)

    loss, metrics = memory.loss(self, seen, train, candidates)
    if train and not self.is_initializing():
      moved = self.momentum * kept + (1 - self.momentum) * fresh
      bank.value = bank.value.at[index].set(unit(moved))
    return Outcome(loss, metrics)

  def _drawn(self, batch: int) -> jax.Array:
    """Entries that each row is told from, `[tiles, b, tile]`."""
    tile = _TILE if self.size % _TILE == 0 else self.size
    shape = (self.size // tile, batch, tile)
    return jax.random.randint(self.make_rng("dropout"), shape, 0, self.images)

  def _random_entries(self, dim: int) -> jax.Array:
    shape = (self.images, len(self.pairs), dim)
    return unit(jax.random.normal(self.make_rng("params"), shape))
