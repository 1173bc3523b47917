"""Deep InfoMax: an image's summary against its own local features."""

from collections.abc import Callable

import flax.linen as nn
import jax

from infomin_jax.objectives import scoring


class DeepInfoMaxLocal(nn.Module):
  """Maximises the mean of I(local feature; global feature) over locations.

  Negatives are the local features, at all locations, of all other images of
  the (global) batch; the positives' own image is excluded exactly.

  Attributes:
    critic: `(x [b, d], y [b, h, w, c]) -> scores [b, b, h w]`.
    estimator: `scores -> nats`, maximised.
    stream: never hold the scores: True, False, or `auto`, which holds them
      while they are few (`scoring.STREAM_ABOVE`).

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    eq. 6.
  """

  critic: nn.Module
  estimator: Callable[..., jax.Array]
  stream: bool | str = "auto"
  online = (0,)
  targets = ()
  least_views = 1

  def check(self, at: str) -> None:
    """Refuses options that do not go together; `at` names them in errors."""
    scoring.check_stream(at, self.critic, self.stream)

  def form(self, features) -> str:
    """How the scores are computed, from features or their shapes."""
    x, y = features[0].global_, features[0].local
    return scoring.form(self.critic, x, y, self.stream)

  def scores(self, features, train: bool):
    """`[b, b, h w]`: global feature of row against locals of column."""
    x, y = features[0].global_, features[0].local
    return scoring.score(self.critic, x, y, train, self.stream)

  def __call__(self, features, keys, train: bool):
    """Negated nats and nats, scalars; `keys` is not used."""
    del keys
    nats = self.estimator(self.scores(features, train))
    return -nats, nats
