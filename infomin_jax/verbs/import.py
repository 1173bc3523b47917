"""Make a run of a ResNet that was trained elsewhere, to evaluate it here.

  infomin import --from moco_v2_800ep.pth.tar --workdir runs/moco \\
      --config configs/imagenet_infomin.py
  infomin evaluate --workdir runs/moco

Takes checkpoints of torchvision, timm, MoCo, PyContrast and the SimCLR
converter: PyTorch files (tensors only, nothing in them is run) and safetensors.
The config names the encoder, the data set and the views of the new run.
"""

import argparse
import dataclasses
import pathlib
from typing import Any

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.verbs.train import define_config, required_config


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin import`."""
  define_config(values, argv)
  paths.define("from", None, "the checkpoint", values)
  paths.define("workdir", None, "folder to make", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Imports; see the module's text."""
  del command
  config = required_config(values, rest)
  if not values["from"].value or not values.workdir:
    raise UserError("--from and --workdir are needed: a file, a new folder.")
  path = pathlib.Path(str(values["from"].value))
  if not path.is_file():
    raise UserError(f"--from {path}: there is no such file.")
  import jax
  import jax.numpy as jnp

  from infomin_jax.encoders.weights import encoder_arrays, from_torchvision
  from infomin_jax.train.checkpoint import save_run
  from infomin_jax.train.experiment import make_experiment
  from infomin_jax.train.log import say

  arrays = encoder_arrays(read_arrays(path))
  experiment = make_experiment(config)
  state: Any = experiment.init()
  params, stats = from_torchvision(
    arrays, state.params["encoder"], state.stats["batch_stats"]["encoder"]
  )
  params, stats = jax.device_put(
    (params, stats), jax.tree.leaves(state.params)[0].sharding
  )
  batch_stats = {**state.stats["batch_stats"], "encoder": stats}
  state = dataclasses.replace(
    state,
    step=jnp.full_like(state.step, config.steps),
    params={**state.params, "encoder": params},
    stats={**state.stats, "batch_stats": batch_stats},
  )
  workdir = values.workdir
  save_run(workdir, config, state)
  say(f"Made {workdir} of {path}. Next: infomin evaluate --workdir {workdir}")


def read_arrays(path: pathlib.Path) -> dict:
  """The arrays of a checkpoint, numpy's by name; nothing in it is run.

  Raises:
    UserError: it cannot be read so.
  """
  if path.suffix == ".safetensors":
    from safetensors.numpy import load_file

    return load_file(path)
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"--from {path} is PyTorch's: install PyTorch to read it."
    ) from error
  try:
    # PyContrast keeps its options in the file; a Namespace runs nothing.
    with torch.serialization.safe_globals([argparse.Namespace]):
      found = torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:  # a hostile or broken file may raise anything
    raise UserError(
      f"--from {path} cannot be read as tensors alone: "
      f"{str(error).splitlines()[0]}"
    ) from error
  for key in ("state_dict", "model"):
    if isinstance(found, dict) and isinstance(found.get(key), dict):
      found = found[key]
  if not isinstance(found, dict):
    raise UserError(f"--from {path}: expected a state dict.")
  return {
    name: tensor.numpy()
    for name, tensor in found.items()
    if isinstance(tensor, torch.Tensor)
  }
