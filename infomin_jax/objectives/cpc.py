"""Contrastive predictive coding: rows of an image predict the rows below."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError
from infomin_jax.objectives import scoring
from infomin_jax.objectives.term import Outcome, Seen, Term


class PredictiveCoding(Term):
  """Maximizes I(features of a place; a summary of the rows above).

  A GRU goes down the rows of the local map, each row first mixed by a 1 x 3
  convolution, so that the summary at row r has seen rows 0 to r. For each
  offset k a critic of its own compares it with the local feature k rows below
  in the same column. Candidates are that feature of every image and all
  places of all other images.

  Differs from the paper: the convolution's width is our choice; the text says
  only "GRU-based PixelRNN".

  Attributes:
    critic: factored; each offset has a copy of its own.
    estimator: `scores -> nats`, takes a mask; maximized.
    ahead: the largest offset, in rows.

  References:
    van den Oord et al., `Representation Learning with Contrastive Predictive
    Coding <https://arxiv.org/abs/1807.03748>`_, 2018, section 3.3; Hjelm et
    al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, table 3.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  ahead: int = 3

  def setup(self):
    # Copies, since one module would share its parameters between offsets.
    self.critics = [self.critic.clone() for _ in range(self.ahead)]
    self.down = _Down()

  def check(self, at: str) -> None:
    """Refuses options that do not go together; `at` names them in errors."""
    if self.ahead < 1:
      raise UserError(f"{at}.ahead is {self.ahead}: predict a row or more.")
    if not scoring.is_factored(self.critic):
      raise UserError(
        f"{at}.critic cannot be factored: choose encode_and_dot, bilinear or "
        "separable."
      )

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the mean bound over offsets and places."""
    local = seen.features[0].local
    if local is None or local.shape[1] <= self.ahead:
      raise UserError(
        f"config.objective.cpc predicts {self.ahead} rows ahead: choose an "
        "encoder whose local map has more rows, such as foldresnet19_32x32."
      )
    context = self.down(local)
    bounds = []
    for k, critic in enumerate(self.critics, start=1):
      x = _places(critic.embed_x(context[:, :-k], train))  # [p, b, u]
      y = critic.embed_y(local, train)
      y = y.reshape(len(y), -1, y.shape[-1])  # [b, l, u]
      # Places are numbered row by row, so k rows are k times the width.
      bounds.append(_bound(self.estimator, x, y, k * local.shape[2]))
    nats = jnp.mean(jnp.stack(bounds))
    return Outcome(-nats, {"nats": nats})


class _Down(nn.Module):
  """Sums up each place's row and the rows above, `[b, h, w, d]`."""

  @nn.compact
  def __call__(self, local: jax.Array) -> jax.Array:
    b, h, w, d = local.shape
    mixed = nn.Conv(d, (1, 3))(local)
    columns = jnp.swapaxes(mixed, 1, 2).reshape(b * w, h, d)
    summary: Any = nn.RNN(nn.GRUCell(d))(columns)
    return jnp.swapaxes(summary.reshape(b, w, h, d), 1, 2)


def _places(x):
  """`[b, h, w, u] -> [h w, b, u]`."""
  return jnp.moveaxis(x.reshape(len(x), -1, x.shape[-1]), 1, 0)


def _bound(estimator, x, y, ahead):
  """Mean bound of summaries `[p, b, u]` with features `[b, l, u]`.

  The target of place p is the feature `ahead` places later; the other
  candidates are all places of other images but that one, which is among the
  first b columns already.
  """
  b, locations, units = y.shape
  everywhere = y.reshape(b * locations, units)
  image, place = jnp.divmod(jnp.arange(b * locations), locations)
  others = image[None] != jnp.arange(b)[:, None]  # [b, b l]

  # One place at a time (`map` below): the scores of all places together would
  # be h w matrices `[b, b + b l]`.
  def at(summary_and_target):
    summary, target = summary_and_target
    columns = jnp.concatenate([y[:, target], everywhere])  # [b + b l, u]
    # "highest": by default a TPU would round the embeddings to bfloat16.
    scores = jnp.einsum("bu,nu->bn", summary, columns, precision="highest")
    fresh = others & (place != target)[None]
    mask = jnp.concatenate([jnp.ones((b, b), bool), fresh], axis=1)
    return estimator(scores, mask=mask)

  targets = jnp.arange(len(x)) + ahead
  return jnp.mean(jax.lax.map(at, (x, targets)))
