"""Where in the image is a local feature? Told from it and the summary."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from infomin_jax.errors import UserError
from infomin_jax.objectives.term import Outcome, Seen, Term

Array = jax.Array


class Coordinates(Term):
  """Predicts the row and the column of local features, from the summary too.

  Absolute: p(i, j | y, c_ij) for every place of the map. Relative: p(i - i',
  j - j' | y, c_ij, c_i'j') for one random place i'j' an image and every place
  ij. Rows and columns are predicted apart.

  Attributes:
    relative: of two places, instead of one.
    hidden: widths of the hidden layers, batch norm and ReLU after each.
    summary_view: the view that y comes from; local features are view 0's.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    section 4.3.
  """

  relative: bool = False
  hidden: tuple[int, ...] = (512, 512)
  summary_view: int = 0

  @property
  def online(self) -> tuple[int, ...]:
    """The views it wants encoded."""
    return tuple(sorted({0, self.summary_view}))

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Lowers the cross-entropy; `nats` bound I(place; y, c) from below."""
    local = seen.features[0].local
    if local is None:
      raise UserError(
        "config.objective: coordinates need an encoder with a local map."
      )
    b, rows, cols, _ = local.shape
    places = local.reshape(b, rows * cols, -1)
    i, j = _grid(rows, cols)
    y = seen.features[self.summary_view].global_
    sides = [jnp.repeat(y[:, None], rows * cols, axis=1), places]
    if self.relative:
      key = self.make_rng("dropout")
      source = jax.random.randint(key, (b, 1), 0, rows * cols)
      there = jnp.take_along_axis(places, source[..., None], axis=1)
      sides.append(jnp.broadcast_to(there, places.shape))
      i = i[None] - i[source] + rows - 1  # [b, l]
      j = j[None] - j[source] + cols - 1
      rows, cols = 2 * rows - 1, 2 * cols - 1
    else:
      i, j = (jnp.broadcast_to(a, (b, len(a))) for a in (i, j))
    x = jnp.concatenate(sides, axis=-1)
    for width in self.hidden:
      x = nn.Dense(width, use_bias=False)(x)
      x = nn.relu(nn.BatchNorm(not train, momentum=0.9)(x))
    logits = nn.Dense(rows + cols)(x)
    loss = _cross_entropy(logits[..., :rows], i)
    loss += _cross_entropy(logits[..., rows:], j)
    return Outcome(loss, {"nats": _entropy(i, rows) + _entropy(j, cols) - loss})


def _grid(rows: int, cols: int) -> tuple[Array, Array]:
  """Row and column of each place of a flattened map."""
  i, j = jnp.divmod(jnp.arange(rows * cols), cols)
  return i, j


def _cross_entropy(logits, labels):
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  )


def _entropy(labels, classes):
  """Nats of the labels that occur; with it `nats` is 0 for a blind guess."""
  share = jnp.mean(jax.nn.one_hot(labels, classes), axis=(0, 1))
  return -jnp.sum(share * jnp.log(jnp.maximum(share, 1e-12)))
