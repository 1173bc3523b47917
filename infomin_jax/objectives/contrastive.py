"""Contrast views of one image with views of others, in the batch."""

import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import InnerProduct, inner
from infomin_jax.errors import UserError
from infomin_jax.estimators import infonce
from infomin_jax.estimators.scores import Factored, log_sum_exp, positives
from infomin_jax.objectives import scoring
from infomin_jax.objectives.term import Outcome, Seen, Term


class Contrastive(Term):
  """Maximizes I(v1; v2) between every pair of views of an image.

  With the cosine of a shared projection head and InfoNCE this is SimCLR with
  the other view's images as negatives, and with `within` SimCLR itself. More
  than two views give the mean over all pairs of which one is full-size (the
  first two views).

  Attributes:
    critic: scores two batches of global features.
    estimator: `scores -> nats`, maximized.
    symmetric: average the estimate of scores and of scores transposed, so that
      each view is once the anchor.
    within: candidates also from the anchor's own view (`nt_xent`); for InfoNCE
      and a critic that embeds both views alike.
    stream: never hold the matrix of scores: True, False, or `auto`, which
      holds it while it is small (`scoring.STREAM_ABOVE`).
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  symmetric: bool = True
  within: bool = False
  stream: bool | str = "auto"
  online = None
  least_views = 2

  def check(self, at: str) -> None:
    """Refuses options that do not go together; `at` names them in errors."""
    scoring.check_stream(at, self.critic, self.stream)
    if not self.within:
      return
    if self.estimator is not infonce or not self.symmetric:
      raise UserError(
        f"{at}.within is NT-Xent: it needs estimator infonce, symmetric True."
      )
    alike = isinstance(self.critic, InnerProduct)
    if not alike and not getattr(self.critic, "shared", False):
      raise UserError(
        f"{at}.within compares views with themselves: choose a critic that "
        "embeds both sides alike, inner_product or separable with shared=True."
      )

  def form(self, features) -> str:
    """Says how the scores are computed, from features or their shapes."""
    x, y = features[0].global_, features[1].global_
    return scoring.form(self.critic, x, y, self.stream)

  def scores(self, features, train: bool):
    """`[b, b]`, first view against second."""
    x, y = features[0].global_, features[1].global_
    return scoring.score(self.critic, x, y, train, self.stream)

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the mean bound of the pairs of views."""
    features = seen.features
    bounds = [
      self._nats(features[i].global_, features[j].global_, train)
      for i, j in itertools.combinations(sorted(features), 2)
      if i < 2
    ]
    nats = jnp.mean(jnp.stack(bounds))
    return Outcome(-nats, {"nats": nats})

  def _nats(self, x, y, train):
    if self.within:
      t = self.critic.temperature
      x, y = self.critic.embed_x(x, train) * t, self.critic.embed_y(y, train)
      streamed = scoring.streams(self.critic, x, y, self.stream)
      return jnp.log(2.0 * len(x) - 1) - nt_xent(x, y, t, streamed)
    scores = scoring.score(self.critic, x, y, train, self.stream)
    if not self.symmetric:
      return self.estimator(scores)
    if self.estimator is infonce:  # both from one pass over the scores
      return infonce(scores, anchors="both")
    return (self.estimator(scores) + self.estimator(scores.T)) / 2


def nt_xent(
  x: jax.Array, y: jax.Array, temperature: float = 1.0, stream: bool = True
) -> jax.Array:
  """The loss of SimCLR: tell 2b embeddings' partners among all the others.

  Each of the 2b embeddings is an anchor; its candidates are its partner and
  the two embeddings of every other image. `log(2b - 1)` less the loss grows
  with I(X; Y) but is no exact bound: two negatives of one image depend on each
  other.

  Args:
    x: embeddings of the first view, `[b, d]`, for a cosine of length one.
    y: of the second view, `[b, d]`.
    temperature: of the scores `<x_i, y_j> / temperature`.
    stream: without a matrix of scores; the value is the same.

  Returns:
    Scalar loss in nats, 0 at the least.

  References:
    Chen et al., `A Simple Framework for Contrastive Learning of Visual
    Representations <https://arxiv.org/abs/2002.05709>`_, 2020, eq. 1.
  """
  pairs = Factored if stream else inner
  scores = pairs(x / temperature, y)
  joint = positives(scores)  # [b]
  losses = []
  across = log_sum_exp(scores, (1, 0))
  for view, others in zip((x, y), across, strict=True):
    # <v_i, v_j> is symmetric: its columns are its rows. Their gradients in the
    # right factor add up to that of rows in both, at a matmul less.
    left = jax.lax.stop_gradient(view) / temperature
    rows, columns = log_sum_exp(pairs(left, view), (1, 0))
    within = rows + columns - jax.lax.stop_gradient(columns)
    others = jnp.logaddexp(others, within)
    losses.append(jnp.logaddexp(joint, others) - joint)
  return jnp.mean(jnp.stack(losses))
