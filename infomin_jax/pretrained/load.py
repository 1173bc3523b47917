"""The encoder of a run, without its data: read, used, carried elsewhere."""

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

from infomin_jax.encoders.features import named_taps
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
# What an array may be called; Orbax makes names of files of some.
_NAME = re.compile(rf"({'|'.join(KINDS)})(/[A-Za-z0-9_]+)+")
CHANNELS = 64  # of images; more are not looked for


class Trained(NamedTuple):
  """A run's encoder.

  Attributes:
    config: of the run.
    learner: has the encoder.
    variables: its parameters and batch statistics, as evaluation uses them.
  """

  config: ml_collections.ConfigDict
  learner: Learner
  variables: dict


def trained_encoder(workdir: str | pathlib.Path) -> Trained:
  """Reads a run's folder; its data need not be here.

  Raises:
    UserError: the folder is none of a run, or holds no checkpoint.
  """
  config = read_config(workdir)
  variables = encoder_variables(saved(workdir), config.evaluate.weights)
  return Trained(config, make_learner(config), variables)


def load(
  workdir: str | pathlib.Path, tap: str = "", batch_size: int = 256
) -> Callable[[Any], np.ndarray]:
  """A run's encoder as a function of images.

  Args:
    workdir: of the run.
    tap: which features (default: the first of `config.evaluate.taps`).
    batch_size: images that are encoded at once.

  Returns:
    `images -> features`: `[n, h, w, c]`, uint8 or floats in [0, 1], any size
    (cut as in evaluation), to float32 `[n, d]`.

  Raises:
    UserError: the folder is none of a run, the encoder has no such tap, or
      what is given are no images, or of other channels.
  """
  config, learner, variables = trained_encoder(workdir)
  tap = tap or config.evaluate.taps[0]
  resize, size = config.evaluate.resize, config.views.size

  @jax.jit
  def features(variables, images):
    images = resize_center(images, resize, size)
    return read_taps(learner, variables, images, (tap,))[tap]

  def encode(images) -> np.ndarray:
    images = _images(images)
    found = []
    for start in range(0, len(images), batch_size):
      part = images[start : start + batch_size]
      room = [(0, batch_size - len(part)), *[(0, 0)] * 3]
      # One shape, so one compilation.
      padded = part if len(images) < batch_size else np.pad(part, room)
      try:
        encoded = features(variables, padded)
      except flax.errors.ScopeParamShapeError as error:
        raise UserError(
          f"the encoder takes no images of {part.shape[-1]} channels."
        ) from error
      found.append(np.asarray(encoded)[: len(part)])
    return np.concatenate(found)

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
  """The encoder's arrays under our names, `params/conv0/kernel` and so on."""
  own = {kind: trained.variables[kind].get("encoder", {}) for kind in KINDS}
  flat = flax.traverse_util.flatten_dict(own, sep="/")
  return {name: np.asarray(x) for name, x in flat.items()}


def from_own_arrays(config, arrays: Mapping[str, np.ndarray]) -> Trained:
  """Puts together what `own_arrays` has taken apart, from any source.

  Raises:
    UserError: the arrays are not those of the encoder that `config` names, or
      it lacks the features that `config.evaluate` asks for.
  """
  for name, array in arrays.items():
    if not _NAME.fullmatch(name) or array.dtype.kind != "f":
      raise UserError(
        f"{name!r} of type {array.dtype} is no array of an encoder."
      )
  own = flax.traverse_util.unflatten_dict(dict(arrays), sep="/")
  variables = {kind: {"encoder": own.get(kind, {})} for kind in KINDS}
  trained = Trained(config, make_learner(config), variables)
  _, taps = _fitting(trained)
  for tap in config.evaluate.taps:
    lookup("tap of this encoder", tap, taps)
  return trained


def channels_of(trained: Trained) -> int:
  """Returns the channels of the images that an encoder takes.

  Raises:
    UserError: none fits, so the arrays are not the encoder's.
  """
  return _fitting(trained)[0]


def _fitting(trained: Trained) -> tuple[int, dict[str, jax.ShapeDtypeStruct]]:
  """Returns the channels of images, and shapes of the encoder's outputs.

  The number stands nowhere: it is the first that fits. Nothing is computed.
  """

  def encode(variables, images):
    found: Any = trained.learner.apply(variables, images, method="encode")
    return named_taps(found)

  size, why = trained.config.views.size, None
  for channels in (3, *range(1, CHANNELS)):
    images = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    try:
      return channels, jax.eval_shape(encode, trained.variables, images)
    except Exception as error:  # Flax and JAX have many for what does not fit
      why = why or error
  raise UserError(
    f"its arrays are not those of config.encoder {trained.config.encoder.name}"
    f" ({str(why).splitlines()[0]})."
  )


def save_encoder(
  workdir: str | pathlib.Path, trained: Trained, step: int, origin: dict
) -> None:
  """Makes a run's folder of an encoder alone.

  Args:
    workdir: new, or empty.
    trained: the encoder.
    step: of training, at which it was taken.
    origin: where it comes from, kept beside it.

  Raises:
    UserError: as `save_run`.
  """
  config, _, variables = trained
  stats = {"batch_stats": variables["batch_stats"]}
  if config.evaluate.weights == "ema":
    stats["ema"] = variables
  at = jnp.asarray(step, jnp.int32)
  state = TrainState(at, variables["params"], stats, {})
  encoder_variables(state, config.evaluate.weights)  # its name is known
  save_run(workdir, config, jax.device_put(state))
  write_json(local("workdir", workdir) / ORIGIN, origin)
