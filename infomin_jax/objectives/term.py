"""The contract of the terms of an objective: what each takes and returns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from infomin_jax.encoders.features import Features
from infomin_jax.errors import check_declared


@dataclasses.dataclass(frozen=True)
class Seen:
  """The inputs of a term.

  Attributes:
    features: of the online views, by number.
    images: their views as the encoder sees them, normalized `[b, h, w, c]`.
    record: the other fields of the records, `index` and labels, `[b]` each.
    keys: what the term's own `keys` returned for its target views.
    encode: `(images, fixed) -> features` of further images in the encoder's
      range; if fixed, no gradient reaches the encoder.
  """

  features: Mapping[int, Features]
  images: Mapping[int, jax.Array]
  record: Mapping[str, jax.Array]
  keys: jax.Array | None = None
  encode: Callable[[jax.Array, bool], Features] | None = None


class Outcome(NamedTuple):
  """The results of a term.

  Attributes:
    loss: scalar that encoder, critics and decoders lower, times the weight.
    metrics: scalars to log, by name; the first bound is called `nats`.
    adversary: scalar that the term's discriminator lowers, whatever the
      weight; nothing else may depend on it.
  """

  loss: jax.Array
  metrics: dict[str, jax.Array]
  adversary: jax.Array | float = 0.0


class Defaults:
  """The attributes of `Term`; a plain class, so that none is a field."""

  least_views: Any = 1
  shuffle: Any = False
  own_statistics: Any = False
  adversary: Any = None
  scores: Any = None
  sample: Any = None

  # Properties, since some terms compute them from their fields.
  @property
  def online(self) -> Any:
    """Features of the trained encoder that the term reads; None is all."""
    return (0,)

  @property
  def targets(self) -> Any:
    """Features of the momentum (EMA) copy that the term reads."""
    return ()


class Term(Defaults, nn.Module):
  """A term of the objective: a subclass with `__call__` and its own fields.

  Each attribute and method below has a default, so that a term writes only
  what it needs. A public name that nearly equals one of them is refused when
  the class is defined. Features are numbered by view; see `encoding` for
  encoders that split a view.

  Attributes:
    online: features of the trained encoder that the term reads; None is all.
    targets: features of the momentum (EMA) copy that the term reads.
    least_views: fewest views, where `online` and `targets` do not show it.
    shuffle: whether targets are encoded in another order of the batch.
    own_statistics: whether patches have running statistics of their own.
    adversary: optimizer of the submodule `discriminator`, a mapping of
      `config.optimizer`'s keys that differ; None if the term has none.
    scores: `(features, train) -> scores`, `[b, n]` or `[b, n, l]`, for bounds
      on held-out images; None if the term compares nothing.
    sample: `(key, count, dim, image) -> images` made of noise, where `dim` is
      that of y and `image` is `(size, channels)`; None if the term makes none.
  """

  def __init_subclass__(cls, **options):
    super().__init_subclass__(**options)
    check_declared(cls, (Defaults, Term))

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Returns the loss and metrics of a batch."""
    raise NotImplementedError(f"{type(self).__name__} has no __call__.")

  def keys(self, features: Mapping[int, Features], train: bool) -> jax.Array:
    """Returns what the term keeps of its target views; gets no gradient."""
    raise NotImplementedError(
      f"{type(self).__name__} has targets, but no keys."
    )

  def check(self, at: str) -> None:
    """Raises a UserError for options that do not fit; `at` is their key."""

  def check_data(self, at: str, images: int, batch: int) -> str:
    """Returns advice on the number of training images, or an empty text.

    Args:
      at: the config key, for messages.
      images: how many there are to train on.
      batch: images that the term sees at once.

    Raises:
      UserError: a number that does not fit.
    """
    del at, images, batch
    return ""

  def form(self, features: Mapping[int, Features]) -> str:
    """Describes in one line how many scores there are, held or streamed."""
    del features
    return ""
