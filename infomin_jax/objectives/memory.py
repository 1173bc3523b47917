"""What the queue and the bank share: a row's candidates, and the pieces.

A row's candidates are its own key and remembered ones, so that the number of
negatives does not depend on the batch. With `jigsaw` the same candidates are
also told from the shuffled pieces of the image (PIRL, InfoMin).
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head, unit
from infomin_jax.errors import UserError
from infomin_jax.objectives import scoring
from infomin_jax.objectives.term import Seen


class Pieces(nn.Module):
  """One embedding of an image's pieces in random order.

  Attributes:
    dim: of the embedding.
    hidden: widths of the hidden layers of the head that sees one piece.

  References:
    Misra, van der Maaten, `Self-Supervised Learning of Pretext-Invariant
    Representations <https://arxiv.org/abs/1912.01991>`_, 2020, section 3.3.
  """

  dim: int
  hidden: tuple[int, ...] = ()

  @nn.compact
  def __call__(self, pieces: jax.Array, key) -> jax.Array:
    """`[b, p, d] -> [b, dim]`, of length one."""
    x = Head((*self.hidden, self.dim), name="piece")(pieces)
    keys = jax.random.split(key, len(x))
    x = jax.vmap(jax.random.permutation)(keys, x)
    return unit(nn.Dense(self.dim, name="together")(x.reshape(len(x), -1)))


def loss(
  term, seen: Seen, train: bool, candidates: Callable
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """The loss and the metrics of a term with a memory.

  Args:
    term: `Queue` or `Bank`.
    seen: what it sees.
    train: whether it is trained now.
    candidates: `(query [b, d], pair) -> own [b], others [b, k]`: the scores of
      a row's own key and of those remembered.
  """

  def bound(query, pair):
    own, others = candidates(query, pair)
    # One row at a time is [1, 1 + k]: its positive stands first.
    rows = jnp.concatenate([own[:, None], others], axis=1)
    return jnp.mean(jax.vmap(term.estimator)(rows[:, None]))

  temperature = term.critic.temperature
  nats = []
  for pair, (query, _) in enumerate(term.pairs):
    x = _embed(term, seen.features[query], pair, train)
    nats.append(bound(x / temperature, pair))
  metrics = {"nats": jnp.mean(jnp.stack(nats))}
  total = jnp.sum(jnp.stack(nats))
  if not term.jigsaw:
    return -total, metrics
  pieces = seen.features[term.pieces].global_
  together = term.assemble(pieces, term.make_rng("dropout"))
  metrics["jigsaw_nats"] = bound(together / temperature, 0)
  share = term.jigsaw
  return -(1 - share) * total - share * metrics["jigsaw_nats"], metrics


def keys(term, features, train: bool) -> jax.Array:
  """Embeddings of each pair's keys, `[b, r, d]`."""
  made = [
    # A key goes through the other side of the critic than its query.
    _embed(term, features[key], 1 - pair, train)
    for pair, (_, key) in enumerate(term.pairs)
  ]
  return jnp.stack(made, axis=1)


def _embed(term, features, side: int, train: bool) -> jax.Array:
  """By the critic's x side (0) or y side (1), float32 `[b, d]`."""
  # `embed_x` divides by the temperature and `embed_y` does not. Either side
  # may give keys, which are kept without it, so `loss` divides queries by it.
  critic = term.critic
  if side:
    return critic.embed_y(features.global_, train).astype(jnp.float32)
  made = critic.embed_x(features.global_, train).astype(jnp.float32)
  return made * critic.temperature


def scores(term, features, train: bool) -> jax.Array:
  """`[b, b]`, queries of the first pair against its keys."""
  query, key = term.pairs[0]
  return term.critic(features[query].global_, features[key].global_, train)


def asking(term) -> tuple[int, ...]:
  """The features that ask the memory: the images' and the pieces'."""
  pieces = {term.pieces} if term.jigsaw else set()
  return tuple(sorted({query for query, _ in term.pairs} | pieces))


def form(term, features) -> str:
  """One line for people: how many scores."""
  batch = features[term.pairs[0][0]].global_.shape[0]
  # 4 bytes are one float32.
  held = 4 * batch * (1 + term.size) / 2**20
  return f"{batch} x {1 + term.size} scores, held as a matrix ({held:.4g} MiB)"


def check(term, at: str) -> None:
  """Refuses options that a memory cannot do; `at` names them in errors."""
  if not scoring.is_factored(term.critic):
    raise UserError(
      f"{at}.critic cannot be factored, so its keys cannot be kept: choose "
      "inner_product, bilinear or separable."
    )
  if term.size < 1:
    raise UserError(f"{at}.size is {term.size}: expected 1 or more.")
  if not 1 <= len(term.pairs) <= 2:
    raise UserError(
      f"{at}.pairs has {len(term.pairs)}: expected one (query, key), or two."
    )
  if not 0 <= term.jigsaw < 1:
    raise UserError(f"{at}.jigsaw is {term.jigsaw}: expected 0 up to below 1.")
  if term.jigsaw and (
    len(term.pairs) > 1 or not hasattr(term.critic, "hidden")
  ):
    raise UserError(
      f"{at}.jigsaw needs the critic separable, whose head it copies, and one "
      "pair."
    )


def check_entries(key: str, entries: int, images: int) -> None:
  """Refuses fewer entries than training images, which would share some.

  Args:
    key: of the config, for the message.
    entries: one for each image.
    images: how many there are to train on.
  """
  if entries < images:
    raise UserError(
      f"{key} is {entries:,}, but there are {images:,} training images: "
      f"several would share an entry. Set {images:,}."
    )
