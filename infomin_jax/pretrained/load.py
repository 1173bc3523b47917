"""Loads the encoder of a run without its data, and saves a copy elsewhere."""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.errors
import flax.traverse_util
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from infomin_jax.encoders.features import DTYPES, named_taps
from infomin_jax.errors import UserError, lookup
from infomin_jax.eval.embed import encoder_variables, read_taps
from infomin_jax.objectives import Learner
from infomin_jax.output import write_json
from infomin_jax.paths import local
from infomin_jax.runs.workdir import ORIGIN, read_config
from infomin_jax.train.checkpoint import save_run, saved
from infomin_jax.train.experiment import make_learner
from infomin_jax.train.state import TrainState
from infomin_jax.views import resize_center

KINDS = ("params", "batch_stats")
# Names from a stranger's file are restricted, since Orbax turns names of arrays
# into file names.
_NAME = re.compile(rf"({'|'.join(KINDS)})(/[A-Za-z0-9_]+)+")
CHANNELS = 64  # images of as many channels or more are not tried


class Trained(NamedTuple):
  """A run's encoder.

  Attributes:
    config: the run's configuration.
    learner: the network that contains the encoder.
    variables: parameters and batch statistics that evaluation uses.
  """

  config: ml_collections.ConfigDict
  learner: Learner
  variables: dict


def trained_encoder(workdir: str | pathlib.Path, dtype: str = "") -> Trained:
  """Reads the encoder from a run's folder, without the run's data.

  Args:
    workdir: the run's folder.
    dtype: in which the encoder computes, `float32` or `bfloat16` (default: that
      of the run). Parameters and features are float32 in any case.

  Raises:
    UserError: the folder holds no run, or no checkpoint; or the encoder takes
      no dtype.
  """
  config = read_config(workdir)
  if dtype:
    lookup("dtype", dtype, DTYPES)
    with config.unlocked():
      config.encoder.dtype = dtype
  variables = encoder_variables(saved(workdir), config.evaluate.weights)
  return Trained(config, make_learner(config), variables)


def load(
  workdir: str | pathlib.Path,
  tap: str = "",
  batch_size: int = 256,
  dtype: str = "",
) -> Callable[[Any], np.ndarray]:
  """Returns a run's encoder as a function of images.

  Args:
    workdir: the run's folder.
    tap: which features (default: the first of `config.evaluate.taps`).
    batch_size: number of images encoded at once.
    dtype: in which the encoder computes, `float32` or `bfloat16` (default: that
      of the run). The latter takes half the memory and is faster on GPUs and
      TPUs.

  Returns:
    A function `images -> features`. Images are `[n, h, w, c]`, uint8 or floats
    in [0, 1], of any size; they are resized and cropped as in evaluation.
    Features are float32 `[n, d]`.

  Raises:
    UserError: the folder holds no run. The function raises it if the encoder
      has no such tap, or if its argument has another shape, range or number of
      channels.
  """
  config, learner, variables = trained_encoder(workdir, dtype)
  tap = tap or config.evaluate.taps[0]
  resize, size = config.evaluate.resize, config.views.size

  @jax.jit
  def features(variables, images):
    images = resize_center(images, resize, size)
    return read_taps(learner, variables, images, (tap,))[tap]

  def encode(images) -> np.ndarray:
    images = _images(images)
    chunks = []
    for start in range(0, len(images), batch_size):
      part = images[start : start + batch_size]
      room = [(0, batch_size - len(part)), *[(0, 0)] * 3]
      # All slices have one shape, so that one program is compiled.
      padded = part if len(images) < batch_size else np.pad(part, room)
      try:
        encoded = features(variables, padded)
      except flax.errors.ScopeParamShapeError as error:
        raise UserError(
          f"the encoder does not take images of {part.shape[-1]} channels."
        ) from error
      chunks.append(np.asarray(encoded)[: len(part)])
    return np.concatenate(chunks)

  return encode


def _images(images: Any) -> np.ndarray:
  images = np.asarray(images)
  if images.ndim != 4 or not len(images):
    raise UserError(
      f"expected images [n, h, w, c], got an array of shape "
      f"{list(images.shape)}."
    )
  if images.dtype == np.uint8:
    return images
  if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
    raise UserError(
      f"expected uint8 or floats in [0, 1], got {images.dtype} from "
      f"{images.min()} to {images.max()}."
    )
  return images.astype(np.float32)


def own_arrays(trained: Trained) -> dict[str, np.ndarray]:
  """Returns the encoder's arrays by name, such as `params/conv0/kernel`."""
  own = {kind: trained.variables[kind].get("encoder", {}) for kind in KINDS}
  flat = flax.traverse_util.flatten_dict(own, sep="/")
  return {name: np.asarray(x) for name, x in flat.items()}


def from_own_arrays(config, arrays: Mapping[str, np.ndarray]) -> Trained:
  """Builds an encoder from the arrays of `own_arrays`, which are checked.

  Raises:
    UserError: the arrays do not fit the encoder of `config`, or it lacks a tap
      that `config.evaluate` names.
  """
  for name, array in arrays.items():
    if not _NAME.fullmatch(name) or array.dtype.kind != "f":
      raise UserError(
        f"{name!r} of type {array.dtype} is not an array of an encoder."
      )
  own = flax.traverse_util.unflatten_dict(dict(arrays), sep="/")
  variables = {kind: {"encoder": own.get(kind, {})} for kind in KINDS}
  trained = Trained(config, make_learner(config), variables)
  _, taps = _fitting(trained)
  for tap in config.evaluate.taps:
    lookup("tap of this encoder", tap, taps)
  return trained


def channels_of(trained: Trained) -> int:
  """Returns the number of channels of the images that an encoder takes.

  Raises:
    UserError: no number fits, so the arrays are not the encoder's.
  """
  return _fitting(trained)[0]


def _fitting(trained: Trained) -> tuple[int, dict[str, jax.ShapeDtypeStruct]]:
  """Returns the number of image channels, and shapes of the encoder's outputs.

  No config holds that number, so the first one that fits is taken. Only shapes
  are traced.
  """

  def encode(variables, images):
    output: Any = trained.learner.apply(variables, images, method="encode")
    return named_taps(output)

  size, why = trained.config.views.size, None
  for channels in (3, *range(1, CHANNELS)):
    images = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    try:
      return channels, jax.eval_shape(encode, trained.variables, images)
    except Exception as error:  # Flax and JAX raise many types for a misfit
      why = why or error
  raise UserError(
    f"its arrays are not those of config.encoder {trained.config.encoder.name}"
    f" ({str(why).splitlines()[0]})."
  )


def save_encoder(
  workdir: str | pathlib.Path, trained: Trained, step: int, origin: dict
) -> None:
  """Creates a run's folder that holds an encoder only.

  Args:
    workdir: new or empty folder.
    trained: the encoder.
    step: the training step of its weights.
    origin: where it comes from, saved as `origin.json`.

  Raises:
    UserError: as for `save_run`.
  """
  config, _, variables = trained
  stats = {"batch_stats": variables["batch_stats"]}
  if config.evaluate.weights == "ema":
    stats["ema"] = variables
  at = jnp.asarray(step, jnp.int32)
  state = TrainState(at, variables["params"], stats, {})
  # Refuses an unknown `config.evaluate.weights` before anything is written.
  encoder_variables(state, config.evaluate.weights)
  save_run(workdir, config, jax.device_put(state))
  write_json(local("workdir", workdir) / ORIGIN, origin)
