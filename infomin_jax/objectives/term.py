"""What every term of an objective takes and gives.

A term is a Linen module with
  `online`    which features it wants of the trained encoder (None: all),
  `targets`   which features it wants of the momentum (EMA) copy,
  `__call__(seen, train) -> Outcome`,
and, where they make sense,
  `keys(features, train)`         what it keeps of a target view,
  `scores(features, train)`       `[b, n]` or `[b, n, l]`, for held-out bounds,
  `least_views`                   how many views, if the above do not tell,
  `check(at)`                     a UserError for options that do not fit,
  `check_data(at, images, batch)` a UserError for a number of training images
                                  that does not fit, or a line of advice,
  `form(features)`                one line: how many scores, held or streamed,
  `sample(key, count, dim, image)`  images of noise, `dim` that of y,
  `adversary`                     how its submodule `discriminator` is trained,
  `shuffle`                       targets are encoded in another batch order,
  `own_statistics`                patches have running statistics of their own.

Features are numbered by view; see `encoding` for encoders that split views.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from infomin_jax.encoders.features import Features


@dataclasses.dataclass(frozen=True)
class Seen:
  """What a term may look at.

  Attributes:
    features: those that are online, by number.
    images: their views as the encoder sees them, normalized `[b, h, w, c]`.
    record: the other fields of the records, `index` and labels, `[b]` each.
    keys: what the term's own `keys` gave of its target views.
    encode: `(images, fixed) -> features` of further images in the encoder's
      range; if fixed, no gradient reaches the encoder.
  """

  features: Mapping[int, Features]
  images: Mapping[int, jax.Array]
  record: Mapping[str, jax.Array]
  keys: jax.Array | None = None
  encode: Callable[[jax.Array, bool], Features] | None = None


class Outcome(NamedTuple):
  """What a term gives.

  Attributes:
    loss: scalar that encoder, critics and decoders lower, times the weight.
    metrics: scalars to log, by name; the first bound is called `nats`.
    adversary: scalar that the term's discriminator lowers, whatever the
      weight; nothing else may depend on it.
  """

  loss: jax.Array
  metrics: dict[str, jax.Array]
  adversary: jax.Array | float = 0.0
