"""Deep InfoMax: an image's summary against its own features."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features, named_taps
from infomin_jax.errors import UserError, lookup
from infomin_jax.objectives import scoring
from infomin_jax.objectives.term import Outcome, Seen, Term


class DeepInfoMax(Term):
  """Maximizes I(features of an image; its summary).

  Local (eq. 6): `features` names a map and the critic scores every place of
  it, `[b, n, h w]`; negatives are all places of all other images of the
  (global) batch, and the positives' own image is excluded exactly. Global: the
  critic sees the map as a whole, `[b, n]`.

  A summary that is itself a map, such as the tap `glob` of the folded
  encoders, gives one bound a place of it; their mean is maximized. With
  summary and features from two views or two taps this is AMDIM's local-to-local
  term, and with an occluded view DIM's occlusion.

  Differs from the paper: its code pools the Donsker-Varadhan partition over
  several summaries, here each has its own.

  Attributes:
    critic: `(x [b, d], y [b, h, w, c] or [b, c]) -> scores`.
    estimator: `scores -> nats`, maximized.
    features: `local`, `global` or a tap of the encoder.
    summary: likewise.
    features_view: the view whose features are told apart.
    summary_view: the view that is summed up.
    negatives: how many other images of the batch a summary is told from, all
      places of each: those that follow its own. 0 for all of them.
    stream: never hold the scores: True, False, or `auto`, which holds them
      while they are few (`scoring.STREAM_ABOVE`).

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    eqs. 1, 6 and section 4.3; Bachman et al., `Learning Representations by
    Maximizing Mutual Information Across Views
    <https://arxiv.org/abs/1906.00910>`_, 2019, section 3.4.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  features: str = "local"
  summary: str = "global"
  features_view: int = 0
  summary_view: int = 0
  negatives: int = 0
  stream: bool | str = "auto"

  @property
  def online(self) -> tuple[int, ...]:
    """The views it wants encoded."""
    return tuple(sorted({self.summary_view, self.features_view}))

  def check(self, at: str) -> None:
    """Refuses options that do not go together; `at` names them in errors."""
    scoring.check_stream(at, self.critic, self.stream)
    for name in ("features_view", "summary_view"):
      if getattr(self, name) < 0:
        raise UserError(f"{at}.{name} is below 0: views are counted from 0.")
    if self.negatives < 0:
      raise UserError(
        f"{at}.negatives is {self.negatives}: expected a number of images, or "
        "0 for all others of the batch."
      )

  def form(self, features) -> str:
    """Says how the scores are computed, from features or their shapes."""
    x, y = self._sides(features)
    if len(x.shape) == 2:
      return scoring.form(self.critic, x, y, self.stream)
    one = jax.ShapeDtypeStruct((x.shape[0], x.shape[-1]), x.dtype)
    places = x.shape[1] * x.shape[2]
    return f"{places} x {scoring.form(self.critic, one, y, self.stream)}"

  def scores(self, features, train: bool):
    """Scores the (first) summary of rows with the features of columns."""
    x, y = self._sides(features)
    x = x if x.ndim == 2 else x.reshape(len(x), -1, x.shape[-1])[:, 0]
    return scoring.score(self.critic, x, y, train, self.stream)

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Raises the mean bound over the summaries."""
    x, y = self._sides(seen.features)
    if x.ndim == 2:
      scores = scoring.score(self.critic, x, y, train, self.stream)
      nats = self.estimator(scores, **self._chosen(len(x)))
    else:
      nats = self._of_many(x.reshape(len(x), -1, x.shape[-1]), y, train)
    return Outcome(-nats, {"nats": nats})

  def _of_many(self, x, y, train):
    """Mean bound of summaries `[b, k, d]`; features are embedded once."""
    if not scoring.is_factored(self.critic):
      raise UserError(
        f"config.objective: a summary of {x.shape[1]} places needs a critic "
        "that is an inner product, such as encode_and_dot."
      )
    gx = jnp.swapaxes(self.critic.embed_x(x, train), 0, 1)  # [k, b, u]
    hy = self.critic.embed_y(y, train)  # [b, l, u]
    streamed = scoring.streams(self.critic, gx[0], hy, self.stream)

    # One summary's scores at a time are held, or streamed.
    # The backward pass computes them again: else it would keep those of all.
    @jax.checkpoint
    def bound(summary):
      scores = scoring.of_factors(summary, hy, streamed)
      return self.estimator(scores, **self._chosen(len(x)))

    return jnp.mean(jax.lax.map(bound, gx))

  def _chosen(self, b: int) -> dict[str, jax.Array]:
    """The estimator's mask, `[b, b]`, if some images are no negatives."""
    if not self.negatives:
      return {}
    # Parameters are made with two images, whatever the batch will be.
    if self.negatives >= b and not self.is_initializing():
      raise UserError(
        f"config.objective: {self.negatives} negatives, but a batch has "
        f"{b - 1} other images."
      )
    # Batches are in random order, so those that follow are drawn at random.
    ahead = (jnp.arange(b)[None] - jnp.arange(b)[:, None]) % b
    return {"mask": ahead <= self.negatives}

  def _sides(self, features):
    x = read(features[self.summary_view], self.summary)
    return x, read(features[self.features_view], self.features)


def read(features: Features, tap: str) -> jax.Array:
  """`global`, `local` or a tap of an encoder's features, `[b, ...]`.

  Raises:
    UserError: a tap that the encoder does not have.
  """
  return lookup("tap of this encoder", tap, named_taps(features))
