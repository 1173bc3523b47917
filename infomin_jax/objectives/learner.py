"""From an encoder and weighted terms to one objective.

`Learner` is the whole network that training moves: the encoder and the critics
of the terms. `make_objective` closes it over the views and gives the function
that the training step differentiates.
"""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features
from infomin_jax.errors import UserError
from infomin_jax.estimators.scores import Scores
from infomin_jax.objectives.encoding import (
  Views,
  count_parts,
  each_part,
  encode_in_parts,
  encode_views,
  online_views,
  shuffled,
  target_views,
)
from infomin_jax.objectives.term import Seen
from infomin_jax.views.image_ops import to_float


class Learner(nn.Module):
  """An encoder and the terms that train it.

  Attributes:
    encoder: `(images [b, h, w, c], train) -> Features`.
    terms: name -> term.
    weights: name -> weight of the term in the loss.
    mean: subtracted from the images, one number or one a channel.
    std: what they are divided by then.
    grad_cache: parts in which a batch is encoded, one after another, and again
      for the gradient: memory is that of a part, while scores and gradient are
      those of the whole batch. Batch statistics are those of a part.

  References:
    Gao et al., `Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup <https://arxiv.org/abs/2101.06983>`_, 2021.
  """

  encoder: nn.Module
  terms: dict[str, nn.Module]
  weights: dict[str, float]
  mean: tuple[float, ...] = (0.5,)
  std: tuple[float, ...] = (0.5,)
  grad_cache: int = 1

  def normalize(self, images: jax.Array) -> jax.Array:
    """`(images - mean) / std` of `[..., c]`; uint8, or float in [0, 1]."""
    images = to_float(images)
    for name, values in (("mean", self.mean), ("std", self.std)):
      if len(values) not in (1, images.shape[-1]):
        raise UserError(
          f"config.normalize.{name} has {len(values)} values, but images have "
          f"{images.shape[-1]} channels: give one value or one a channel."
        )
    mean, std = self._statistics(images.ndim)
    return (images - mean) / std

  def _statistics(self, ndim: int = 4) -> tuple[jax.Array, jax.Array]:
    """Mean and std, of one value or one a channel, with `ndim` axes."""
    mean = jnp.asarray(self.mean, jnp.float32)
    std = jnp.asarray(self.std, jnp.float32)
    shape = (*[1] * (ndim - 1), -1)
    return mean.reshape(shape), std.reshape(shape)

  def encode(self, images: jax.Array, train: bool = False) -> Features:
    """Features of images `[b, h, w, c]`, uint8 or float in [0, 1]."""
    return self.encoder(self.normalize(images), train)

  @property
  def parts(self) -> int:
    """Into how many parts, each with features of its own, a view is split."""
    return count_parts(self.encoder)

  def encode_views(
    self, views: Views, wanted: tuple[int, ...], train: bool
  ) -> dict[int, Features]:
    """Those features, by number, that are wanted; see `encoding`."""

    def whole(images):
      if train and self.grad_cache > 1 and not self.is_initializing():
        return self._encode_cached(self.normalize(images))
      images = images.reshape(-1, *images.shape[2:])
      return each_part(self.encoder, self.normalize(images), train)

    def several(view):
      if hasattr(self.encoder, "sequence"):
        return (self.encoder.sequence(self.normalize(view), train),)
      images = self.normalize(view.reshape(-1, *view.shape[2:]))
      encoded = self._encode_patches(images, train)
      shape = view.shape[:2]
      return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), encoded)

    return encode_views(views, wanted, self.parts, whole, several)

  def _encode_cached(self, images: jax.Array):
    """Features of images `[b, v, h, w, c]`, `[b v, ...]`; see `grad_cache`."""
    encoder, variables = self.encoder.unbind()
    key = self.make_rng("dropout")
    features, stats = encode_in_parts(
      encoder, variables, key, images, self.grad_cache
    )
    if stats:
      self.put_variable("batch_stats", "encoder", stats)
    return features

  def _encode_patches(self, images: jax.Array, train: bool):
    """Features of patches, whose batch statistics may be apart."""
    if not self._asked("own_statistics"):
      return each_part(self.encoder, images, train)
    if self.is_initializing():
      features = each_part(self.encoder, images, train)
      stats = self.encoder.variables["batch_stats"]
      self.put_variable("batch_stats", "patches", stats)
      return features
    encoder, variables = self.encoder.unbind()
    stats = self.get_variable("batch_stats", "patches")
    features, moved = nn.apply(each_part, encoder, mutable=["batch_stats"])(
      {**variables, "batch_stats": stats},
      images,
      train,
      rngs={"dropout": self.make_rng("dropout")} if train else None,
    )
    if train:
      self.put_variable("batch_stats", "patches", moved["batch_stats"])
    return features

  def __call__(
    self,
    views: Views,
    keys: Mapping[str, jax.Array],
    record: Mapping[str, jax.Array],
    train: bool = True,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted loss and its parts.

    Args:
      views: arrays `[b, h, w, c]`.
      keys: of each term with targets, what `target_keys` returned.
      record: the other fields of the batch, `[b]` each.
      train: batch statistics of the batch, dropout, queue updates.

    Returns:
      Scalar loss and metrics: `{term}_{metric}`, such as `contrastive_nats`,
      the bound on this batch, and collapse figures of the first view.
    """
    wanted = online_views(self.terms, len(views) * self.parts)
    features = self.encode_views(views, wanted, train)
    images = {
      i: self.normalize(views[i])
      for i in sorted({i // self.parts for i in wanted})
    }

    loss, adversaries, metrics = jnp.float32(0), jnp.float32(0), {}
    for name, term in self.terms.items():
      seen = Seen(features, images, record, keys.get(name), self._encode_more)
      found = term(seen, train)
      loss = loss + self.weights[name] * found.loss
      adversaries = adversaries + found.adversary
      metrics |= {f"{name}_{key}": x for key, x in found.metrics.items()}
    first = jax.lax.stop_gradient(features[wanted[0]].global_)
    metrics |= {"feature_std": feature_std(first), "loss": loss}
    return loss + adversaries, metrics

  def _encode_more(self, images: jax.Array, fixed: bool) -> Features:
    """Encodes more images for a term; batch statistics are not updated."""
    encoder, variables = self.encoder.unbind()
    if fixed:
      variables = jax.lax.stop_gradient(variables)
    features, _ = encoder.apply(
      variables,
      images,
      True,
      mutable=["batch_stats"],
      rngs={"dropout": self.make_rng("dropout")},
    )
    return features

  def target_keys(self, views: Views) -> dict[str, jax.Array]:
    """Returns what terms keep of target views; apply it with EMA weights."""
    wanted = target_views(self.terms)
    if not self._asked("shuffle"):
      return self._keys(self.encode_views(views, wanted, train=True))
    mixed, back = shuffled(self.make_rng("dropout"), views)
    features = self.encode_views(mixed, wanted, train=True)
    return self._keys(jax.tree.map(lambda x: x[back], features))

  def start(self, views: Views, record: Mapping[str, jax.Array]):
    """Runs every part once, so that each makes its parameters."""
    features = self.encode_views(views, self.seen(len(views)), train=True)
    return self(views, self._keys(features), record, train=True)

  def _asked(self, option: str) -> bool:
    """Returns whether a term has the option and wants it."""
    return any(getattr(term, option, False) for term in self.terms.values())

  def seen(self, count: int) -> tuple[int, ...]:
    """The features of `count` views that any term looks at, by number."""
    online = online_views(self.terms, count * self.parts)
    return tuple(sorted({*online, *target_views(self.terms)}))

  def _keys(self, features) -> dict[str, jax.Array]:
    return {
      name: term.keys(features, train=True)
      for name, term in self.terms.items()
      if term.targets
    }

  def scores(self, views: Views) -> Scores:
    """Scores of the first term that has a critic, in evaluation mode."""
    features = self.encode_views(views, self.seen(len(views)), train=False)
    term = next(t for t in self.terms.values() if hasattr(t, "scores"))
    return term.scores(features, train=False)

  def sample(self, key, count: int, image: tuple[int, ...]) -> jax.Array:
    """Images in [0, 1], `[count, size, size, c]`, of the first term that can.

    Args:
      key: of the draws.
      count: how many images.
      image: `(size, c)`.
    """
    size, channels = image
    like = jnp.zeros((1, size, size, channels))
    dim = self.encode(like).global_.shape[-1]
    term = next(t for t in self.terms.values() if hasattr(t, "sample"))
    made = term.sample(key, count, dim, image)
    mean, std = self._statistics()
    return jnp.clip(made * std + mean, 0, 1)

  @property
  def makes_images(self) -> bool:
    """Returns whether a term makes images of noise."""
    return any(hasattr(term, "sample") for term in self.terms.values())

  @property
  def has_scores(self) -> bool:
    """Returns whether a term compares features by a critic."""
    return any(hasattr(term, "scores") for term in self.terms.values())


def make_objective(learner: Learner, views: Callable) -> Callable:
  """The function a training step differentiates.

  Args:
    learner: encoder and terms.
    views: `(key, batch) -> tuple of arrays [b, h, w, c]`.

  Returns:
    `(params, stats, batch, key) -> (loss, (stats, metrics))`. `stats` holds
    the collections that are not moved by the optimizer (`batch_stats`,
    `queue`) and, when a term has targets, `ema` with the momentum copy.
  """

  def objective(params, stats, batch, key):
    view_key, net_key = jax.random.split(key)
    images = views(view_key, batch)
    keys = {}
    if target_views(learner.terms):
      keys, _ = learner.apply(
        stats["ema"],
        images,
        method="target_keys",
        mutable=["batch_stats"],
        rngs={"dropout": jax.random.fold_in(net_key, 0)},
      )
      keys = jax.lax.stop_gradient(keys)
    moving = {name: s for name, s in stats.items() if name != "ema"}
    (loss, metrics), moved = learner.apply(
      {"params": params, **moving},
      images,
      keys,
      _record(batch),
      train=True,
      mutable=list(moving),
      rngs={"dropout": net_key},
    )
    return loss, ({**stats, **moved}, metrics)

  return objective


def init_learner(learner: Learner, views: Callable, key, batch):
  """Initial `(params, stats)`; shapes from `batch`, which may be abstract.

  `stats["ema"]` is not in it: the training state adds the copy.
  """

  @jax.jit  # one program; outside of one, each operation would be its own
  def init(key, batch):
    params_key, view_key = jax.random.split(key)
    images = views(view_key, batch)
    keys = {"params": params_key}
    return dict(learner.init(keys, images, _record(batch), method="start"))

  variables = init(key, batch)
  return variables.pop("params"), variables


def _record(batch) -> dict[str, jax.Array]:
  return {name: x for name, x in batch.items() if name != "image"}


def feature_std(features: jax.Array) -> jax.Array:
  """Mean over dimensions of the std of unit-length features `[b, d]`.

  Near `1 / sqrt(d)` for features spread over the sphere, 0 when collapsed.
  """
  length = jnp.linalg.norm(features, axis=-1, keepdims=True)
  return jnp.mean(jnp.std(features / jnp.maximum(length, 1e-6), axis=0))
