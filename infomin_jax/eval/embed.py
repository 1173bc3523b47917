"""Computes frozen features of whole data sets, by tap."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax import data
from infomin_jax.data.sources import Source, Subset
from infomin_jax.encoders.features import named_taps
from infomin_jax.errors import lookup
from infomin_jax.train.mesh import shard_whole, whole
from infomin_jax.train.state import TrainState
from infomin_jax.views import resize_center
from infomin_jax.views.image_ops import nearest_center, to_float


def encoder_variables(state: TrainState, weights: str) -> dict:
  """Returns the parameters and batch statistics that evaluation uses.

  Args:
    state: the run's state.
    weights: `online`, or `ema` for the momentum copy.
  """
  online = {
    "params": state.params,
    "batch_stats": state.stats.get("batch_stats", {}),
  }
  choices = {"online": online}
  if "ema" in state.stats:
    choices["ema"] = state.stats["ema"]
  return lookup("config.evaluate.weights", weights, choices)


def read_taps(learner, variables, images, taps) -> dict[str, jax.Array]:
  """Returns flattened features of a batch in evaluation mode, `{tap: [b, d]}`.

  In addition to the encoder's own taps there are `global`, `local` and
  `pixels`, the normalized image.

  Raises:
    UserError: the encoder does not have such a tap.
  """
  outputs = all_taps(learner, variables, images)
  features = {tap: lookup("tap of this encoder", tap, outputs) for tap in taps}
  return {tap: x.reshape(len(images), -1) for tap, x in features.items()}


def all_taps(learner, variables, images) -> dict[str, jax.Array]:
  """Returns all taps of a batch by name, `[b, ...]` each."""
  out = learner.apply(variables, images, method="encode")
  pixels = learner.apply(variables, images, method="normalize")
  return {"pixels": pixels, **named_taps(out)}


def make_tap(learner, tap: str) -> Callable:
  """Returns one tap as a function to differentiate.

  Args:
    learner: the network that contains the encoder.
    tap: name of a tap, not `pixels`.

  Returns:
    `(variables, images, key) -> (features [b, d], batch_stats)`. It runs in
    training mode, or in evaluation mode if the key is None.
  """

  def read(variables, images, key):
    out, moved = learner.apply(
      variables,
      images,
      train=key is not None,
      method="encode",
      mutable=["batch_stats"],
      rngs=None if key is None else {"dropout": key},
    )
    stats = moved.get("batch_stats", variables["batch_stats"])
    return named_taps(out)[tap].reshape(len(images), -1), stats

  return read


def make_features(learner, taps, config, mesh) -> Callable:
  """Returns jitted `(variables, images) -> {tap: [b, d]}`; see `embed`."""

  # Replicated, so that every process has the features of all images.
  @functools.partial(jax.jit, out_shardings=whole(mesh))
  def features(variables, images):
    return read_taps(learner, variables, _centerd(images, config), taps)

  return features


def embed(
  learner,
  variables,
  source,
  taps,
  *,
  config,
  mesh,
  limit: int = 0,
  features: Callable | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """Computes features of a source's images in evaluation mode.

  Args:
    learner: the network that contains the encoder.
    variables: its parameters and batch statistics.
    source: the images.
    taps: names of taps; see `read_taps`.
    config: gives the image size, batch size and host-side decoding.
    mesh: the devices to use.
    limit: number of images, spread evenly over the source; 0 for all.
    features: result of `make_features`, so that several calls share a program.

  Returns:
    `{tap: float32 [n, d]}` and `{field: [n]}`, the scalar fields of records.
  """
  features = features or make_features(learner, taps, config, mesh)
  collected, fields = [], []
  batch_size = config.evaluate.batch_size
  for batch in held_out_batches(source, batch_size, config, limit):
    count = len(batch["index"])
    images = np.zeros((batch_size, *batch["image"].shape[1:]), np.uint8)
    # The last batch is padded, so that one program is compiled.
    images[:count] = batch["image"]
    out = features(variables, shard_whole(mesh, images))
    collected.append({k: np.asarray(v)[:count] for k, v in out.items()})
    fields.append({k: v for k, v in batch.items() if v.ndim == 1})
  return _joined(collected), _joined(fields)


def small_images(source, config, limit: int = 0) -> np.ndarray:
  """Returns the images of `embed` before normalization, uint8 `[n, s, s, c]`.

  Pixels are rounded to uint8, which needs a quarter of float32's memory.

  Args:
    source: the images.
    config: gives the image size, batch size and host-side decoding.
    limit: as in `embed`.
  """
  cut = jax.jit(lambda x: jnp.round(255 * _centerd(x, config)))
  batches = held_out_batches(source, config.evaluate.batch_size, config, limit)
  return np.concatenate(
    [np.asarray(cut(batch["image"])).astype(np.uint8) for batch in batches]
  )


def small_masks(source, config, limit: int = 0) -> np.ndarray:
  """Returns the masks of `small_images`, cut in the same way, `[n, s, s]`."""
  cut = jax.jit(
    lambda x: nearest_center(x, config.evaluate.resize, config.views.size)
  )
  if config.data.host_crops:
    cut = np.asarray  # the host has already cut them
  batches = held_out_batches(source, config.evaluate.batch_size, config, limit)
  return np.concatenate([np.asarray(cut(batch["mask"])) for batch in batches])


def places(source, config, limit: int = 0) -> np.ndarray:
  """Returns row and column of each record's object, in pixels, `[n, 2]`."""
  batches = held_out_batches(source, config.evaluate.batch_size, config, limit)
  return np.concatenate([batch["place"] for batch in batches])


def _centerd(images: jax.Array, config) -> jax.Array:
  """Returns the resized central crops of images, float32 `[b, s, s, c]`."""
  if config.data.host_crops:
    return to_float(images)  # the host has already cut them
  return resize_center(images, config.evaluate.resize, config.views.size)


def _joined(rows: list[dict]) -> dict[str, np.ndarray]:
  return {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}


def held_out_batches(
  source, batch_size: int, config, limit: int = 0, crops: bool = False
):
  """Returns batches of a source in a fixed order.

  Args:
    source: the images.
    batch_size: the last batch may be smaller.
    config: gives the host-side decoding.
    limit: number of images, spread evenly, so that a source sorted by class
      stays balanced; 0 for all.
    crops: whether a host that cuts crops cuts those of training views, instead
      of one central crop.
  """
  source = some_of(source, limit)
  host = None
  if config.data.host_crops:
    if crops:
      host = data.crops_for(config.views)
    else:
      host = data.host_center(config.evaluate.resize, config.views.size)
  broken = config.data.broken
  return data.epoch(source, batch_size, host=host, broken=broken)


def some_of(source: Source, limit: int) -> Source:
  """Returns `limit` of a source's images, spread evenly; all if it is 0."""
  if not limit or limit >= len(source):
    return source
  rows = np.linspace(0, len(source) - 1, limit).astype(int)
  return Subset(source, rows)
