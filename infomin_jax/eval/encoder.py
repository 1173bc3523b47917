"""The encoder of a finished run, without its data."""

import pathlib
from typing import NamedTuple

import ml_collections

from infomin_jax.eval.evaluate import encoder_variables
from infomin_jax.objectives import Learner
from infomin_jax.train.checkpoint import read_config, saved
from infomin_jax.train.experiment import make_learner


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
