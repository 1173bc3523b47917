"""What learned views must still tell of the labels."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head
from infomin_jax.encoders import ENCODERS
from infomin_jax.encoders.split import reversed_gradient
from infomin_jax.errors import UserError, build
from infomin_jax.objectives.deep_infomax import read
from infomin_jax.objectives.targets import (
  known_labels,
  labeled_cross_entropy,
)
from infomin_jax.objectives.term import Outcome, Seen, Term

# How much a multiplier grows at a step for a nat that is missing.
_RATE = 0.02


class ViewLabels(Term):
  """A classifier of one view, which also keeps the view informative.

  Reads a part that `encoders.split` makes, as an image. Without `floor`, view
  generator and classifier lower its cross-entropy together (the paper's
  semi-supervised and supervised views). With it, the generator is held to
  I(view; y) >= floor by a multiplier, and is else free to make the views share
  less: the paper's proposition, with a constraint in the place of a penalty.

  I(view; y) is bounded from below by the entropy of the labels, those of
  balanced classes, less the cross-entropy.

  Attributes:
    view: the number of the part.
    classes: number of classes.
    encoder: the classifier's own network, `name` and options.
    floor: nats that the view is to tell of the labels, or None.
    labeled: only records whose index is below this have labels; 0 is all.
    label: field of the records; negative labels count for nothing.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, proposition 3.1 and eq. 5.
  """

  view: int
  classes: int
  encoder: Mapping
  floor: float | None = None
  labelled: int = 0
  label: str = "label"

  @property
  def online(self) -> tuple[int, ...]:
    """The part that it looks at."""
    return (self.view,)

  def setup(self):
    self.network = build("objective.view.encoder", self.encoder, ENCODERS)
    self.head = Head((self.classes,))

  def check(self, at: str) -> None:
    """Refuses a floor that no view can reach; `at` names it in errors."""
    most = float(jnp.log(self.classes))
    if self.floor is not None and not 0 < self.floor < most:
      raise UserError(
        f"{at}.floor is {self.floor}: expected nats above 0 and below log "
        f"{self.classes}, {most:.2f}."
      )

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Lowers the cross-entropy; `nats` is what the view tells of the label."""
    labels = known_labels(seen.record, self.label, "view_labels")
    if self.labelled:
      labels = jnp.where(seen.record["index"] < self.labelled, labels, -1)
    view = read(seen.features[self.view], "view")
    multiplier = self.variable("multiplier", "value", jnp.ones, ())
    # The classifier always learns; the generator as much as is asked of it.
    view = reversed_gradient(view, -multiplier.value)
    logits = self.head(self.network(view, train).global_)
    loss = labeled_cross_entropy(logits, labels)
    nats = jnp.log(1.0 * self.classes) - loss
    if self.floor is not None and train and not self.is_initializing():
      missing = self.floor - jax.lax.stop_gradient(nats)
      multiplier.value = jnp.maximum(multiplier.value + _RATE * missing, 0)
    return Outcome(loss, {"nats": nats, "multiplier": multiplier.value})
