"""Make a run of a ResNet that was trained elsewhere, to evaluate it here.

  infomin import --from moco_v2_800ep.pth.tar --workdir runs/moco \\
      --config configs/imagenet_infomin.py
  infomin evaluate --workdir runs/moco

It reads PyTorch files and safetensors that contain a ResNet under the names of
torchvision, behind any prefix. Such files come from torchvision, timm, MoCo,
SwAV, DINO, Barlow Twins, Lightning and others. PyTorch is not needed, and no
code in a file is run. If a file has several ResNets, --prefix chooses one of
them. The config names the encoder, the data set and the views of the new run.
"""

import dataclasses
import json
import pathlib
import re
from typing import Any

from absl import flags

from infomin_jax import paths
from infomin_jax.cli.train import define_config, required_config
from infomin_jax.errors import UserError

# Stem -> the usual data set of such weights, its mean and its deviation.
_USUAL = {
  "imagenet": ("ImageNet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  "small": ("CIFAR-10", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201)),
}


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin import`."""
  define_config(values, argv)
  paths.define("from", None, "the checkpoint", values)
  paths.define("workdir", None, "folder to make", values)
  flags.DEFINE_string(
    "prefix",
    None,
    "prefix of the ResNet to import, if the checkpoint has several",
    flag_values=values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Imports; see the docstring of the module."""
  del command
  config = required_config(values, rest)
  if not values["from"].value or not values.workdir:
    raise UserError("--from and --workdir are needed: a file, a new folder.")
  path, workdir = pathlib.Path(str(values["from"].value)), values.workdir
  _check_paths(path, workdir, config)

  from infomin_jax.encoders.backbones import chosen, left_out, some
  from infomin_jax.encoders.torchvision_names import (
    architecture,
    backbone_arrays,
  )
  from infomin_jax.pretrained.read import read_checkpoint
  from infomin_jax.runs.progress import say
  from infomin_jax.train.checkpoint import save_run
  from infomin_jax.train.experiment import make_experiment

  checkpoint = read_checkpoint(path)
  try:
    checkpoint = _with_foreign_names(checkpoint)
    backbone = chosen(checkpoint.arrays, values.prefix)
    arrays = backbone_arrays(checkpoint.arrays, backbone)
    _check_encoder(config, arrays)
  except UserError as error:
    raise UserError(
      f"--from {path}: {_instead(checkpoint) or error}"
    ) from error
  stem = architecture(arrays)["stem"]
  say(normalization(config.normalize, checkpoint, stem))
  state = _with_encoder(make_experiment(config).init(), arrays, config.steps)
  save_run(workdir, config, state)
  name = backbone.prefix.rstrip(".")
  omitted = [*left_out(checkpoint.arrays, backbone), *checkpoint.models]
  say(
    f"Made {workdir} of {path}: {len(arrays)} arrays"
    f"{f' of {name}' if name else ''}"
    f"{f', left out {some(omitted)}' if omitted else ''}. "
    f"Next: infomin evaluate --workdir {workdir}"
  )


def _with_encoder(state: Any, arrays, steps: int) -> Any:
  """Returns the first state with this encoder, as if trained for `steps`."""
  import jax
  import jax.numpy as jnp

  from infomin_jax.encoders.torchvision_names import from_torchvision

  params, stats = from_torchvision(
    arrays, state.params["encoder"], state.stats["batch_stats"]["encoder"]
  )
  params, stats = jax.device_put(
    (params, stats), jax.tree.leaves(state.params)[0].sharding
  )
  params = {**state.params, "encoder": params}
  batch_stats = {**state.stats["batch_stats"], "encoder": stats}
  stats = {**state.stats, "batch_stats": batch_stats}
  if "ema" in stats:  # `config.evaluate.weights` may name it
    copy = {"params": params, "batch_stats": batch_stats}
    stats["ema"] = jax.tree.map(jnp.copy, copy)
  step = jnp.full_like(state.step, steps)
  return dataclasses.replace(state, step=step, params=params, stats=stats)


def _check_paths(path: pathlib.Path, workdir: str, config) -> None:
  """Refuses what cannot be read or created, before long work."""
  if path.is_dir():
    raise UserError(f"--from {path} is a folder: name the file in it.")
  if not path.is_file():
    raise UserError(f"--from {path}: there is no such file.")
  if not config.encoder.name.startswith("resnet"):
    raise UserError(
      f"config.encoder is {config.encoder.name}: only ResNets are imported, "
      "such as resnet50."
    )
  from infomin_jax.train.checkpoint import check_workdir

  if any(pathlib.Path(workdir, "checkpoints").glob("*")):
    raise UserError(f"--workdir {workdir} has checkpoints: name a new folder.")
  check_workdir(workdir, config)


def _with_foreign_names(checkpoint):
  """Renames the arrays of a file of `infomin export --format safetensors`."""
  import numpy as np
  from flax.traverse_util import unflatten_dict

  from infomin_jax.encoders.torchvision_names import to_torchvision

  own = checkpoint.arrays
  if "params/layer1_0/conv1/kernel" not in own:
    return checkpoint
  trees = unflatten_dict(
    {key: np.asarray(x) for key, x in own.items()}, sep="/"
  )
  arrays = to_torchvision(trees["params"], trees.get("batch_stats", {}))
  return checkpoint._replace(arrays=arrays)


def _check_encoder(config, arrays) -> None:
  """Refuses a ResNet that is not the one that `config.encoder` names."""
  import jax
  import jax.numpy as jnp

  from infomin_jax.encoders.torchvision_names import (
    architecture,
    from_torchvision,
  )
  from infomin_jax.train.experiment import make_learner

  encoder = make_learner(config).encoder
  differ = {
    key: value
    for key, value in architecture(arrays).items()
    if getattr(encoder, key) != value
  }
  if differ:
    expected = ", ".join(f"{key} {value}" for key, value in differ.items())
    now = ", ".join(f"{key} {getattr(encoder, key)}" for key in differ)
    keys = ", ".join(
      f"config.encoder.name to 'resnet{value}'"
      if key == "depth"
      else f"config.encoder.{key} to {value!r}"
      for key, value in differ.items()
    )
    raise UserError(
      f"its ResNet has {expected}, but the encoder of the config has {now}: "
      f"set {keys}."
    )
  size, channels = config.views.size, arrays["conv1.weight"].shape[1]
  like = jax.eval_shape(
    lambda x: encoder.init(jax.random.key(0), x, False),
    jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32),
  )
  from_torchvision(arrays, like["params"], like["batch_stats"])


def _instead(checkpoint) -> str:
  """Returns advice for a model that was pickled whole; "" for state dicts."""
  from infomin_jax.encoders.backbones import backbones

  if not checkpoint.models or backbones(checkpoint.arrays):
    return ""
  name, kind = next(iter(checkpoint.models.items()))
  at = "".join(f"[{part!r}]" for part in name.split(".") if part)
  return (
    f"it is a whole pickled model ({kind}), whose code would have to be run. "
    "On a machine with that code, save its numbers: model = torch.load(FILE, "
    f"weights_only=False); torch.save(model{at}.state_dict(), 'weights.pth'). "
    "Then use --from weights.pth."
  )


def normalization(options, checkpoint, stem: str) -> str:
  """Returns a sentence that compares a normalization with imported weights.

  Args:
    options: `config.normalize`.
    checkpoint: a `Checkpoint`, which may contain a mean and a deviation.
    stem: the stem of the ResNet. If the file has no normalization, the usual
      data set of the stem decides.
  """
  carried = _carried(checkpoint)
  data, *usual = _USUAL[stem]
  ours, theirs = (tuple(options.mean), tuple(options.std)), carried or usual
  source = "the value of the file" if carried else f"the usual value of {data}"
  texts = [
    f"mean {_text(mean)}, std {_text(std)}" for mean, std in (ours, theirs)
  ]
  if all(map(_equal, ours, theirs)):
    return f"Normalization: {texts[0]}, {source}."
  mean, std = map(_text, theirs)
  unsure = "" if carried else "The file contains no normalization. "
  when = "I" if carried else "If these weights expect it, i"
  return (
    f"Normalization differs: config.normalize is {texts[0]}, but {source} is "
    f"{texts[1]}. {unsure}{when}mport into a new folder with "
    f"--config.normalize.mean='{mean}' --config.normalize.std='{std}'."
  )


def _carried(checkpoint) -> tuple[tuple, tuple] | None:
  """Returns mean and deviation in a file, for [0, 1] images; None if absent."""
  import numpy as np

  try:
    stored = json.loads(checkpoint.metadata["normalize"])  # `infomin export`
    return tuple(map(float, stored["mean"])), tuple(map(float, stored["std"]))
  except (KeyError, TypeError, ValueError):
    pass  # another format, or none
  for name, mean in checkpoint.arrays.items():
    # Models that normalize their own images store these as buffers.
    other = re.sub(r"\b(new_|pixel_)?mean$", r"\1std", name)
    std = checkpoint.arrays.get(other)
    if other != name and std is not None:
      pair = [np.asarray(x, np.float64).ravel() for x in (mean, std)]
      if all(len(x) in (1, 3) and (x > 0).all() for x in pair):
        scale = 255 if max(pair[0]) > 1 else 1
        return tuple(pair[0] / scale), tuple(pair[1] / scale)
  return None


def _text(values) -> str:
  text = ", ".join(f"{x:.6g}" for x in values)
  return f"({text},)" if len(values) == 1 else f"({text})"


def _equal(ours, theirs) -> bool:
  """Returns whether values agree, one for all channels or one per channel."""
  import numpy as np

  return len({len(ours), len(theirs), 1}) <= 2 and np.allclose(
    ours, theirs, rtol=0, atol=1e-3
  )
