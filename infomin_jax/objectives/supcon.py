"""Contrast with labels: images of one class are each other's positives."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head, unit
from infomin_jax.critics.heads import inner
from infomin_jax.objectives.targets import known_labels
from infomin_jax.objectives.term import Outcome, Seen, Term


class SupervisedContrastive(Term):
  """Draws together all views of all images of a class.

  Attributes:
    dim: of the embedding.
    hidden: widths of the hidden layers of the projection head.
    temperature: of the cosines.
    label: field of the records; an image with a negative label has no other
      positive than its own other view.

  References:
    Khosla et al., `Supervised Contrastive Learning
    <https://arxiv.org/abs/2004.11362>`_, 2020, eq. 2.
  """

  dim: int = 128
  hidden: tuple[int, ...] = (2048,)
  temperature: float = 0.1
  label: str = "label"
  online = (0, 1)

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Lowers the mean negative log share of the positives."""
    head = Head((*self.hidden, self.dim))
    x, y = (unit(head(seen.features[i].global_, train)) for i in (0, 1))
    labels = known_labels(seen.record, self.label, "supcon")
    return Outcome(supcon(x, y, labels, self.temperature), {})


def supcon(
  x: jax.Array, y: jax.Array, labels: jax.Array, temperature: float = 1.0
) -> jax.Array:
  """The supervised contrastive loss (its form `out`).

  With labels that all differ it is `nt_xent`.

  Args:
    x: embeddings of the first view, `[b, d]`, of length one.
    y: of the second view, `[b, d]`.
    labels: int `[b]`; a negative one equals no other.
    temperature: of the scores.

  Returns:
    Scalar loss in nats: over anchors and their positives, the mean of minus
    the log share of the positive among all other embeddings.

  References:
    Khosla et al., `Supervised Contrastive Learning
    <https://arxiv.org/abs/2004.11362>`_, 2020, eq. 2.
  """
  b = len(x)
  both = jnp.concatenate([x, y])
  scores = inner(both / temperature, both)  # [2 b, 2 b]
  others = ~jnp.eye(2 * b, dtype=bool)
  image = jnp.tile(jnp.arange(b), 2)
  label = jnp.tile(labels, 2)
  same = (label[:, None] == label[None]) & (label >= 0)[:, None]
  positive = others & (same | (image[:, None] == image[None]))
  total = jax.nn.logsumexp(scores, axis=1, where=others, keepdims=True)
  each = jnp.sum(total - scores, axis=1, where=positive)  # [2 b]
  return jnp.mean(each / jnp.sum(positive, axis=1))
