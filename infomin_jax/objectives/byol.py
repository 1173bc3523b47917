"""Predict a momentum copy's embedding of another view, without negatives."""

from typing import Any

import jax
import jax.numpy as jnp

from infomin_jax.critics import Head, unit
from infomin_jax.objectives.term import Outcome, Seen, Term


class BootstrapYourOwnLatent(Term):
  """Raises the cosine of a prediction and the momentum copy's projection.

  Both views predict each other. Batch norm and the momentum copy keep the
  features from collapsing; no bound on information is known.

  Differs from the paper: the copy's decay is constant (`config.ema`), not
  raised to 1 over the training.

  Attributes:
    dim: of the projection.
    hidden: widths of the hidden layers of projector and predictor.

  References:
    Grill et al., `Bootstrap Your Own Latent
    <https://arxiv.org/abs/2006.07733>`_, 2020, eq. 2 and section 3.3.
  """

  dim: int = 256
  hidden: tuple[int, ...] = (4096,)
  online = (0, 1)
  targets = (0, 1)

  def setup(self):
    widths = (*self.hidden, self.dim)
    self.projector = Head(widths, batch_norm=True)
    self.predictor = Head(widths, batch_norm=True)

  def keys(self, features, train: bool) -> jax.Array:
    """The projections of both views, `[b, 2, d]`; apply with EMA weights."""
    made = [self.projector(features[i].global_, train) for i in self.targets]
    return unit(jnp.stack(made, axis=1))

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Lowers the squared distance; `cosine` is that of the prediction."""
    keys: Any = seen.keys
    cosines = [
      jnp.mean(jnp.sum(self._predict(seen, i, train) * keys[:, 1 - i], -1))
      for i in self.online
    ]
    cosine = jnp.mean(jnp.stack(cosines))
    # The squared distance of unit vectors is 2 - 2 cos, here of both views.
    return Outcome(4 - 4 * cosine, {"cosine": cosine})

  def _predict(self, seen, i, train):
    x = self.projector(seen.features[i].global_, train)
    return unit(self.predictor(x, train))
