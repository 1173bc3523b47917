"""Features are drawn to given targets: noise (NAT), or labels."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from infomin_jax.critics import Head, unit
from infomin_jax.errors import UserError
from infomin_jax.objectives.deep_infomax import read
from infomin_jax.objectives.memory import check_entries
from infomin_jax.objectives.term import Outcome, Seen, Term


class NoiseAsTargets(Term):
  """Draws each image's y to a point of the sphere that is its own.

  The points are drawn once. Within a batch they are dealt out anew, so that
  the sum of cosines is the largest (Hungarian algorithm), before y moves.

  Differs from the paper: it deals them out once every few epochs, the code
  once an epoch, this at every step; each image comes once an epoch.

  Attributes:
    size: number of points, one a training image.

  References:
    Bojanowski, Joulin, `Unsupervised Learning by Predicting Noise
    <https://arxiv.org/abs/1704.05310>`_, 2017, algorithm 1.
  """

  size: int

  def check_data(self, at: str, images: int, batch: int) -> str:
    """Refuses fewer points than training images; `at` names the term."""
    del batch
    check_entries(f"{at}.size", self.size, images)
    return ""

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the mean cosine of y and its target."""
    y = unit(seen.features[0].global_)
    index = seen.record["index"] % self.size
    points = self.variable("points", "points", self._points, y.shape[-1])
    owner = self.variable("points", "owner", jnp.arange, self.size)
    own = owner.value[index]  # [b]
    cost = 1 - jnp.dot(y, points.value[own].T, precision="highest")
    if train and not self.is_initializing():
      rows, columns = optax.assignment.hungarian_algorithm(
        jax.lax.stop_gradient(cost)
      )
      own = own.at[rows].set(own[columns])
      owner.value = owner.value.at[index].set(own)
    cosine = jnp.mean(jnp.sum(y * points.value[own], axis=-1))
    return Outcome(-cosine, {"cosine": cosine})

  def _points(self, dim):
    return unit(jax.random.normal(self.make_rng("params"), (self.size, dim)))


class Supervised(Term):
  """Trains the encoder on labels: what the others are measured against.

  Attributes:
    classes: number of classes.
    tap: what the classifier reads, `global` or a tap of the encoder.
    hidden: widths of its hidden layers.
    label: field of the records; negative labels count for nothing.
  """

  classes: int
  tap: str = "global"
  hidden: tuple[int, ...] = ()
  label: str = "label"

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Cross-entropy in nats, and the accuracy on this batch."""
    labels = known_labels(seen.record, self.label, "supervised")
    x = read(seen.features[0], self.tap)
    logits = Head((*self.hidden, self.classes))(x.reshape(len(x), -1), train)
    loss = labeled_cross_entropy(logits, labels)
    number = jnp.maximum(jnp.sum(labels >= 0), 1)
    right = jnp.sum(jnp.argmax(logits, axis=-1) == labels) / number
    return Outcome(loss, {"accuracy": right})


class Regression(Term):
  """Trains the encoder on numbers of the records, such as a place.

  Attributes:
    field: of the records, `[b, k]`.
    scale: what these are divided by.
    tap: what the last layer reads, `global` or a tap of the encoder.
    hidden: widths of the hidden layers before it.
  """

  field: str = "place"
  scale: float = 1.0
  tap: str = "global"
  hidden: tuple[int, ...] = ()

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """The mean squared error, and its root in the records' unit."""
    wanted = known_labels(seen.record, self.field, "regression", "field")
    x = read(seen.features[0], self.tap)
    x = x.reshape(len(x), -1)
    guess = Head((*self.hidden, wanted.shape[-1]))(x, train)
    loss = jnp.mean((guess - wanted / self.scale) ** 2)
    return Outcome(loss, {"error": self.scale * jnp.sqrt(loss)})


def known_labels(
  record, label: str, term: str, option: str = "label"
) -> jax.Array:
  """A field of the records, `[b, ...]`; or a UserError with the others."""
  if label not in record:
    raise UserError(
      f"config.objective.{term}.{option}: records have no {label!r}, they have "
      f"{', '.join(record)}."
    )
  return record[label]


def labeled_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Mean cross-entropy in nats of those of `[b]` labels that are not negative.

  Args:
    logits: `[b, classes]`.
    labels: int `[b]`.
  """
  known = labels >= 0
  losses = optax.softmax_cross_entropy_with_integer_labels(
    logits, jnp.maximum(labels, 0)
  )
  return jnp.sum(losses, where=known) / jnp.maximum(jnp.sum(known), 1)
