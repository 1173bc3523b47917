"""The encoder of a run, without its data."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.eval.embed import read_taps
from infomin_jax.eval.evaluate import encoder_variables
from infomin_jax.objectives import Learner
from infomin_jax.train.checkpoint import read_config, saved
from infomin_jax.train.experiment import make_learner
from infomin_jax.views import resize_center


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
      what is given are no images.
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
      found.append(np.asarray(features(variables, padded))[: len(part)])
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
