"""From an encoder and weighted terms to one objective.

`Learner` is the whole network that is trained: the encoder and the critics of
the terms. `make_objective` combines it with the views to the function that the
training step differentiates.
"""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Encoder, Features
from infomin_jax.errors import UserError
from infomin_jax.estimators.scores import Scores
from infomin_jax.objectives import encoding
from infomin_jax.objectives.encoding import Views, online_views, target_views
from infomin_jax.objectives.term import Seen, Term
from infomin_jax.views.image_ops import to_float


class Learner(nn.Module):
  """An encoder and the terms that train it.

  Attributes:
    encoder: `(images [b, h, w, c], train) -> Features`.
    terms: name -> term.
    weights: name -> weight of the term in the loss.
    mean: subtracted from the images, one number or one per channel.
    std: divides them afterwards.
    grad_cache: slices in which a batch is encoded, one after another, and again
      for the gradient: memory is that of a slice, while scores and gradient are
      those of the whole batch. Batch statistics are those of a slice.

  References:
    Gao et al., `Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup <https://arxiv.org/abs/2101.06983>`_, 2021.
  """

  encoder: Encoder
  terms: dict[str, Term]
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
          f"{images.shape[-1]} channels: give one value or one per channel."
        )
    mean, std = self._statistics(images.ndim)
    return (images - mean) / std

  def _statistics(self, ndim: int = 4) -> tuple[jax.Array, jax.Array]:
    """Mean and std, of one value or one per channel, with `ndim` axes."""
    mean = jnp.asarray(self.mean, jnp.float32)
    std = jnp.asarray(self.std, jnp.float32)
    shape = (*[1] * (ndim - 1), -1)
    return mean.reshape(shape), std.reshape(shape)

  def encode(self, images: jax.Array, train: bool = False) -> Features:
    """Features of images `[b, h, w, c]`, uint8 or float in [0, 1]."""
    return self.encoder(self.normalize(images), train)

  def encode_views(
    self, views: Views, wanted: tuple[int, ...], train: bool
  ) -> dict[int, Features]:
    """Encodes views, uint8 or float in [0, 1]; see `encoding`."""
    return self._features(self._normalized(views, wanted), wanted, train)

  def _normalized(self, views, wanted) -> dict[int, jax.Array]:
    """Normalizes the views that have the wanted features."""
    needed = sorted({i // self.encoder.count for i in wanted})
    return {i: self.normalize(views[i]) for i in needed}

  def _features(self, images, wanted, train) -> dict[int, Features]:
    """Encodes normalized views, and stores the batch statistics that moved."""
    initializing, own = self.is_initializing(), self._asked("own_statistics")
    patches = None
    if own and not initializing:
      patches = self.get_variable("batch_stats", "patches")
    features, moved = encoding.encode_views(
      self.encoder,
      images,
      wanted,
      train,
      key=lambda: self.make_rng("dropout"),
      slices=self.grad_cache if train and not initializing else 1,
      patches=patches,
    )
    if own and initializing:
      moved = {"patches": self.encoder.variables["batch_stats"]}
    if train:
      for name, stats in moved.items():
        if stats:
          self.put_variable("batch_stats", name, stats)
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
    wanted = online_views(self.terms, len(views) * self.encoder.count)
    images = self._normalized(views, wanted)
    features = self._features(images, wanted, train)

    loss, adversaries, metrics = jnp.float32(0), jnp.float32(0), {}
    for name, term in self.terms.items():
      seen = Seen(features, images, record, keys.get(name), self._encode_more)
      outcome = term(seen, train)
      loss = loss + self.weights[name] * outcome.loss
      adversaries = adversaries + outcome.adversary
      metrics |= {f"{name}_{key}": x for key, x in outcome.metrics.items()}
    first = jax.lax.stop_gradient(features[wanted[0]].global_)
    metrics |= {"feature_std": feature_std(first), "loss": loss}
    return loss + adversaries, metrics

  def _encode_more(self, images: jax.Array, fixed: bool) -> Features:
    """`Seen.encode`."""
    key = self.make_rng("dropout")
    return encoding.encode_more(self.encoder, images, fixed, key)

  def target_keys(self, views: Views) -> dict[str, jax.Array]:
    """Returns what terms keep of target views; apply it with EMA weights."""
    wanted = target_views(self.terms)
    if not self._asked("shuffle"):
      return self._keys(self.encode_views(views, wanted, train=True))
    mixed, back = encoding.shuffled(self.make_rng("dropout"), views)
    features = self.encode_views(mixed, wanted, train=True)
    return self._keys(jax.tree.map(lambda x: x[back], features))

  def start(self, views: Views, record: Mapping[str, jax.Array]):
    """Runs every module once, so that each creates its parameters."""
    features = self.encode_views(views, self.read(len(views)), train=True)
    return self(views, self._keys(features), record, train=True)

  def _asked(self, option: str) -> bool:
    """Returns whether a term sets the option."""
    return any(getattr(term, option) for term in self.terms.values())

  def read(self, count: int) -> tuple[int, ...]:
    """Returns which features of `count` views any term reads, by number."""
    online = online_views(self.terms, count * self.encoder.count)
    return tuple(sorted({*online, *target_views(self.terms)}))

  def _keys(self, features) -> dict[str, jax.Array]:
    return {
      name: term.keys(features, train=True)
      for name, term in self.terms.items()
      if term.targets
    }

  def scores(self, views: Views) -> Scores:
    """Scores of the first term that has a critic, in evaluation mode."""
    features = self.encode_views(views, self.read(len(views)), train=False)
    term = next(t for t in self.terms.values() if t.scores is not None)
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
    term = next(t for t in self.terms.values() if t.sample is not None)
    images = term.sample(key, count, dim, image)
    mean, std = self._statistics()
    return jnp.clip(images * std + mean, 0, 1)

  @property
  def makes_images(self) -> bool:
    """Returns whether a term makes images of noise."""
    return any(term.sample is not None for term in self.terms.values())

  @property
  def has_scores(self) -> bool:
    """Returns whether a term compares features by a critic."""
    return any(term.scores is not None for term in self.terms.values())


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
