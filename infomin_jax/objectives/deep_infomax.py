"""Deep InfoMax: an image's summary against its own local features."""

from collections.abc import Callable

import flax.linen as nn
import jax


class DeepInfoMaxLocal(nn.Module):
  """Maximises the mean of I(local feature; global feature) over locations.

  Negatives are the local features, at all locations, of all other images of
  the (global) batch; the positives' own image is excluded exactly.

  Attributes:
    critic: `(x [b, d], y [b, h, w, c]) -> scores [b, b, h w]`.
    estimator: `scores -> nats`, maximised.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    eq. 6.
  """

  critic: nn.Module
  estimator: Callable[[jax.Array], jax.Array]
  online = (0,)
  targets = ()
  least_views = 1

  def scores(self, features, train: bool) -> jax.Array:
    """`[b, b, h w]`: global feature of row against locals of column."""
    return self.critic(features[0].global_, features[0].local, train)

  def __call__(self, features, keys, train: bool):
    """Negated nats and nats, scalars; `keys` is not used."""
    del keys
    nats = self.estimator(self.scores(features, train))
    return -nats, nats
