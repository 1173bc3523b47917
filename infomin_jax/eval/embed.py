"""Frozen features of whole data sets, by tap."""

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
  """The parameters and batch statistics that evaluation uses.

  Args:
    state: of the run.
    weights: `online`, or `ema` for the momentum copy.
  """
  online = {
    "params": state.params,
    "batch_stats": state.stats.get("batch_stats", {}),
  }
  known = {"online": online}
  if "ema" in state.stats:
    known["ema"] = state.stats["ema"]
  return lookup("config.evaluate.weights", weights, known)


def read_taps(learner, variables, images, taps) -> dict[str, jax.Array]:
  """Flattened features of a batch in evaluation mode, `{tap: [b, d]}`.

  Besides the encoder's own taps there are `global`, `local` and `pixels`, the
  image as the encoder sees it.

  Raises:
    UserError: a tap that the encoder does not have.
  """
  known = all_taps(learner, variables, images)
  found = {tap: lookup("tap of this encoder", tap, known) for tap in taps}
  return {tap: x.reshape(len(images), -1) for tap, x in found.items()}


def all_taps(learner, variables, images) -> dict[str, jax.Array]:
  """Returns all that `read_taps` chooses from, `[b, ...]` each."""
  out = learner.apply(variables, images, method="encode")
  pixels = learner.apply(variables, images, method="normalize")
  return {"pixels": pixels, **named_taps(out)}


def make_tap(learner, tap: str) -> Callable:
  """One tap as a function to train through.

  Args:
    learner: has the encoder.
    tap: one of the encoder's; not `pixels`.

  Returns:
    `(variables, images, key) -> (features [b, d], batch_stats)`: in training
    mode, or in evaluation mode if the key is None.
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

  # Every process gets the features of all images.
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
  """Features of a source's images in evaluation mode.

  Args:
    learner: has the encoder.
    variables: its parameters and batch statistics.
    source: the images.
    taps: names of taps; see `read_taps`.
    config: gives the image size, batch size and host-side decoding.
    mesh: the devices to use.
    limit: use this many images, spread evenly over the source; 0 for all.
    features: of `make_features`, where several calls share one program.

  Returns:
    `{tap: float32 [n, d]}` and `{field: [n]}`, the records' other numbers.
  """
  features = features or make_features(learner, taps, config, mesh)
  collected, fields = [], []
  batch_size = config.evaluate.batch_size
  for batch in held_out_batches(source, batch_size, config, limit):
    count = len(batch["index"])
    images = np.zeros((batch_size, *batch["image"].shape[1:]), np.uint8)
    images[:count] = batch["image"]  # one shape, so one compilation
    out = features(variables, shard_whole(mesh, images))
    collected.append({k: np.asarray(v)[:count] for k, v in out.items()})
    fields.append({k: v for k, v in batch.items() if v.ndim == 1})
  return _joined(collected), _joined(fields)


def small_images(source, config, limit: int = 0) -> np.ndarray:
  """The images of `embed` before they are normalized, `[n, s, s, c]`.

  uint8, a quarter of the memory; where they were resized, pixels are rounded.

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
  """The masks of `small_images`, cut alike: uint8 `[n, s, s]`."""
  cut = jax.jit(
    lambda x: nearest_center(x, config.evaluate.resize, config.views.size)
  )
  if config.data.host_crops:
    cut = np.asarray  # the host has cut them
  batches = held_out_batches(source, config.evaluate.batch_size, config, limit)
  return np.concatenate([np.asarray(cut(batch["mask"])) for batch in batches])


def places(source, config, limit: int = 0) -> np.ndarray:
  """The records' `place`, row and column of an object in pixels, `[n, 2]`."""
  batches = held_out_batches(source, config.evaluate.batch_size, config, limit)
  return np.concatenate([batch["place"] for batch in batches])


def _centerd(images: jax.Array, config) -> jax.Array:
  """Returns what evaluation sees of images, float32 `[b, s, s, c]`."""
  if config.data.host_crops:
    return to_float(images)  # the host has cut them
  return resize_center(images, config.evaluate.resize, config.views.size)


def _joined(rows: list[dict]) -> dict[str, np.ndarray]:
  return {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}


def held_out_batches(
  source, batch_size: int, config, limit: int = 0, crops: bool = False
):
  """Batches of a source in a fixed order.

  Args:
    source: the images.
    batch_size: the last batch may be smaller.
    config: gives the host-side decoding.
    limit: take this many images, spread evenly, so that sets sorted by class
      stay balanced; 0 for all.
    crops: cut the training views' crops instead of one central crop, where
      the host does so.
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
  """A source's images, or `limit` of them, spread evenly; 0 for all."""
  if not limit or limit >= len(source):
    return source
  rows = np.linspace(0, len(source) - 1, limit).astype(int)
  return Subset(source, rows)
