"""From an encoder and weighted terms to one objective.

`Learner` is the whole network that training moves: the encoder and the critics
of the terms. `make_objective` closes it over the views and gives the function
that the training step differentiates.

A term is a Linen module with
  `online`    which views it wants encoded by the trained encoder (None: all),
  `targets`   which views it wants encoded by the momentum (EMA) copy,
  `keys(features, train)`         what it keeps of a target view (if any),
  `scores(features, train)`       `[b, n]` or `[b, n, l]`, for held-out bounds,
  `check(at)`                     a UserError for options that do not fit,
  `form(features)`                one line: how many scores, held or streamed,
  `__call__(features, keys, train) -> (loss, nats)`.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features
from infomin_jax.errors import UserError
from infomin_jax.estimators.scores import Scores

Views = tuple[jax.Array, ...]


class Learner(nn.Module):
  """An encoder and the terms that train it.

  Attributes:
    encoder: `(images [b, h, w, c], train) -> Features`.
    terms: name -> term.
    weights: name -> weight of the term in the loss.
    mean: subtracted from the images, one number or one a channel.
    std: what they are divided by then.
  """

  encoder: nn.Module
  terms: dict[str, nn.Module]
  weights: dict[str, float]
  mean: tuple[float, ...] = (0.5,)
  std: tuple[float, ...] = (0.5,)

  def normalize(self, images: jax.Array) -> jax.Array:
    """`(images - mean) / std`; images uint8, or float in [0, 1]."""
    if images.dtype == jnp.uint8:
      images = images.astype(jnp.float32) / 255
    for name, values in (("mean", self.mean), ("std", self.std)):
      if len(values) not in (1, images.shape[-1]):
        raise UserError(
          f"config.normalize.{name} has {len(values)} values, but images have "
          f"{images.shape[-1]} channels: give one value or one a channel."
        )
    mean = jnp.asarray(self.mean).reshape(1, 1, 1, -1)
    return (images - mean) / jnp.asarray(self.std).reshape(1, 1, 1, -1)

  def encode(self, images: jax.Array, train: bool = False) -> Features:
    """Features of images `[b, h, w, c]`, uint8 or float in [0, 1]."""
    return self.encoder(self.normalize(images), train)

  def encode_views(
    self, views: Views, wanted: tuple[int, ...], train: bool
  ) -> dict[int, Features]:
    """Features of the wanted views, those of one size in one pass.

    The batch stays the leading axis: views are interleaved, `[b v, h, w, c]`,
    so that a batch sharded over devices stays where it is.
    """
    features: dict[int, Features] = {}
    shapes = list(dict.fromkeys(views[i].shape for i in wanted))
    for shape in shapes:
      same = [i for i in wanted if views[i].shape == shape]
      stacked = jnp.stack([views[i] for i in same], axis=1)
      encoded = self.encode(stacked.reshape(-1, *shape[1:]), train)
      for position, i in enumerate(same):
        pick = functools.partial(_every, start=position, count=len(same))
        features[i] = jax.tree.map(pick, encoded)
    return features

  def __call__(
    self, views: Views, keys: dict[str, jax.Array], train: bool = True
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted loss and its parts.

    Args:
      views: arrays `[b, h, w, c]`.
      keys: of each term with targets, what `target_keys` returned.
      train: batch statistics of the batch, dropout, queue updates.

    Returns:
      Scalar loss and metrics: `{term}_nats`, the bound on this batch, and
      collapse figures of the first view.
    """
    wanted = online_views(self.terms, len(views))
    features = self.encode_views(views, wanted, train)
    loss, metrics = jnp.float32(0), {}
    for name, term in self.terms.items():
      term_loss, nats = term(features, keys.get(name), train)
      loss = loss + self.weights[name] * term_loss
      metrics[f"{name}_nats"] = nats
    first = jax.lax.stop_gradient(features[wanted[0]].global_)
    metrics["feature_std"] = feature_std(first)
    return loss, metrics | {"loss": loss}

  def target_keys(self, views: Views) -> dict[str, jax.Array]:
    """What the terms keep of their target views; apply it with EMA weights."""
    wanted = target_views(self.terms)
    features = self.encode_views(views, wanted, train=True)
    return {
      name: term.keys(features, train=True)
      for name, term in self.terms.items()
      if term.targets
    }

  def scores(self, views: Views) -> Scores:
    """Scores of the first term's critic, in evaluation mode."""
    features = self.encode_views(views, tuple(range(len(views))), train=False)
    return next(iter(self.terms.values())).scores(features, train=False)


def _every(x: jax.Array, start: int, count: int) -> jax.Array:
  """Rows `start`, `start + count`, ... of `[b count, ...]`: `[b, ...]`."""
  return x.reshape(-1, count, *x.shape[1:])[:, start]


def online_views(terms, count: int) -> tuple[int, ...]:
  """Which of `count` views the terms want from the trained encoder."""
  wanted = set()
  for name, term in terms.items():
    views = range(count) if term.online is None else term.online
    needed = max((*views, *term.targets), default=0) + 1
    if count < max(needed, term.least_views):
      raise UserError(
        f"config.objective.{name} compares {max(needed, term.least_views)} "
        f"views, but config.views makes {count}: raise config.views.count."
      )
    wanted.update(views)
  return tuple(sorted(wanted))


def target_views(terms) -> tuple[int, ...]:
  """Which views the terms want from the momentum encoder."""
  return tuple(sorted({i for term in terms.values() for i in term.targets}))


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
        stats["ema"], images, method="target_keys", mutable=["batch_stats"]
      )
      keys = jax.lax.stop_gradient(keys)
    moving = {name: s for name, s in stats.items() if name != "ema"}
    (loss, metrics), moved = learner.apply(
      {"params": params, **moving},
      images,
      keys,
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
  params_key, view_key = jax.random.split(key)
  images = views(view_key, batch)

  def init(module, images):
    wanted = (*online_views(module.terms, len(images)),)
    features = module.encode_views(
      images, tuple(sorted({*wanted, *target_views(module.terms)})), train=True
    )
    keys = {
      name: term.keys(features, train=True)
      for name, term in module.terms.items()
      if term.targets
    }
    return module(images, keys, train=True)

  variables = dict(learner.init({"params": params_key}, images, method=init))
  return variables.pop("params"), variables


def feature_std(features: jax.Array) -> jax.Array:
  """Mean over dimensions of the std of unit-length features `[b, d]`.

  Near `1 / sqrt(d)` for features spread over the sphere, 0 when collapsed.
  """
  length = jnp.linalg.norm(features, axis=-1, keepdims=True)
  return jnp.mean(jnp.std(features / jnp.maximum(length, 1e-6), axis=0))
