"""Write a run's encoder for other libraries.

  infomin export --workdir runs/r50 --format torchvision --out r50.pth
  infomin export --workdir runs/r50 --format detectron2 --out r50.pkl
  infomin export --workdir runs/fm --format stablehlo --out fm.stablehlo

| format | for | file |
|---|---|---|
| torchvision, timm | a ResNet's `load_state_dict` | .pth, .safetensors |
| detectron2 | `MODEL.WEIGHTS` of a ResNet backbone | .pkl |
| safetensors | any encoder, under our own names | .safetensors |
| stablehlo | any encoder: `jax.export.deserialize` and call it | any |

Normalize images by config.normalize, which every file contains if its format
has room for it. For stablehlo, pass images in [0, 1] without normalization. The
last line of the output gives the changes that the model of the other library
needs before it loads the file. A ResNet that the other library cannot load is
refused.
"""

import pathlib
import pickle

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError, lookup, missing
from infomin_jax.output import to_json


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin export`."""
  del argv
  paths.define("workdir", None, "folder of a run", values)
  flags.DEFINE_string("format", None, ", ".join(FORMATS), flag_values=values)
  paths.define("out", None, "the file to write", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Exports; see the docstring of the module."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  for name in ("workdir", "format", "out"):
    if not values[name].value:
      raise UserError(f"--{name} is missing.")
  write = lookup("format (--format)", values.format, FORMATS)
  out = pathlib.Path(values.out)
  if out.is_dir():
    raise UserError(f"--out {out} is a folder: name a file in it.")
  if not out.parent.is_dir():
    raise UserError(f"--out {out}: there is no folder {out.parent}.")
  from infomin_jax.pretrained.load import trained_encoder
  from infomin_jax.runs.progress import say

  trained = trained_encoder(values.workdir)
  how = write(trained, out)
  name = trained.config.encoder.name
  say(f"Wrote {name} for {values.format} to {out}.{how}")


# A writer returns a sentence on what to do before the file is loaded, or "".


def _torchvision(trained, out: pathlib.Path) -> str:
  arrays = resnet_arrays(trained)
  how = _changes(trained)
  if out.suffix == ".safetensors":
    write_safetensors(arrays, trained, out)
    return how
  if out.suffix not in (".pth", ".pt"):
    raise UserError(f"--out {out}: expected .pth, .pt or .safetensors.")
  try:
    import torch
  except ImportError as error:
    instead = f"torch, or write {out.with_suffix('.safetensors').name}"
    raise missing("torch", instead, error) from error
  tensors = {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
  torch.save(tensors, out)
  return how


def _changes(trained) -> str:
  """Returns code that turns the ResNet of the other library into ours.

  Raises:
    UserError: the width differs, which the library does not offer.
  """
  from infomin_jax.encoders.resnet import STEMS

  encoder = trained.learner.encoder
  if encoder.width != 64:
    raise UserError(
      f"config.encoder.width is {encoder.width}, but a ResNet in torchvision "
      "and timm has 64 channels in its first stage and cannot load another "
      "width: use --format stablehlo or safetensors."
    )
  kernel, stride, pooled = STEMS[encoder.stem]
  channels = _channels(trained)
  changes = ["model.fc = torch.nn.Identity()"]
  if not pooled:
    changes.insert(0, "model.maxpool = torch.nn.Identity()")
  if not pooled or channels != 3:
    changes.insert(
      0,
      f"model.conv1 = torch.nn.Conv2d({channels}, 64, {kernel}, {stride}, "
      f"{kernel // 2}, bias=False)",
    )
  normalize = trained.config.normalize
  return (
    f" Before load_state_dict: {'; '.join(changes)}. Images are "
    f"(x - {list(normalize.mean)}) / {list(normalize.std)}, x in [0, 1]."
  )


def _channels(trained) -> int:
  return trained.variables["params"]["encoder"]["conv1"]["kernel"].shape[2]


def _detectron2(trained, out: pathlib.Path) -> str:
  from infomin_jax.encoders.torchvision_names import to_detectron2

  if out.suffix != ".pkl":
    raise UserError(f"--out {out}: Detectron2 expects a .pkl.")
  record = {
    "model": to_detectron2(resnet_arrays(trained)),
    "__author__": "infomin_jax",
    "matching_heuristics": True,
  }
  settings = _settings(trained)
  with out.open("wb") as file:
    pickle.dump(record, file)
  return settings


def _settings(trained) -> str:
  """Returns the settings of Detectron2 for this ResNet, in a sentence.

  Raises:
    UserError: Detectron2 has no such ResNet.
  """
  encoder, normalize = trained.learner.encoder, trained.config.normalize
  if encoder.stem != "imagenet":
    raise UserError(
      f"config.encoder.stem is {encoder.stem}, but Detectron2 has "
      "only the stem imagenet (7x7, max pool): use --format stablehlo, "
      "safetensors or torchvision."
    )
  if encoder.width != 64 and encoder.depth < 50:
    raise UserError(
      f"config.encoder.width is {encoder.width}, but Detectron2 loads "
      f"a ResNet-{encoder.depth} only with width 64: use --format stablehlo or "
      "safetensors."
    )
  narrow = {
    "STEM_OUT_CHANNELS": encoder.width,
    "WIDTH_PER_GROUP": encoder.width,
    "RES2_OUT_CHANNELS": 4 * encoder.width,
  }
  resnets = {"DEPTH": encoder.depth, "STRIDE_IN_1X1": False}
  if encoder.depth < 50:
    resnets["RES2_OUT_CHANNELS"] = 64
  elif encoder.width != 64:
    resnets |= narrow
  channels = _channels(trained)
  pixel = {
    f"PIXEL_{name.upper()}": [
      round(255 * x, 3) for x in _per_channel(normalize[name], channels)
    ]
    for name in ("mean", "std")
  }
  text = ", ".join(f"{key} {value}" for key, value in pixel.items())
  inner = ", ".join(f"{key} {value}" for key, value in resnets.items())
  form = "; INPUT: FORMAT RGB" if channels == 3 else ""
  return f" Detectron2 needs MODEL.RESNETS: {inner}; MODEL: {text}{form}."


def _per_channel(values, channels: int) -> tuple:
  values = tuple(values)
  return values * channels if len(values) == 1 else values


def _own(trained, out: pathlib.Path) -> str:
  from infomin_jax.pretrained.load import own_arrays

  write_safetensors(own_arrays(trained), trained, out)
  return ""


def _stablehlo(trained, out: pathlib.Path) -> str:
  import jax
  import jax.export
  import jax.numpy as jnp

  from infomin_jax.encoders.features import named_taps
  from infomin_jax.pretrained.load import channels_of

  config, learner, variables = trained

  def features(images):
    encoded = learner.apply(variables, images, method="encode")
    return named_taps(encoded)

  size = config.views.size
  (count,) = jax.export.symbolic_shape("b")
  channels = channels_of(trained)
  shape = jax.ShapeDtypeStruct((count, size, size, channels), jnp.float32)
  exported = jax.export.export(
    jax.jit(features), platforms=("cpu", "cuda", "tpu")
  )(shape)
  try:
    content = exported.serialize()
  except ImportError as error:
    raise missing("flatbuffers", "'infomin-jax[export]'", error) from error
  out.write_bytes(content)
  return f" It takes float32 images [b, {size}, {size}, {channels}] in [0, 1]."


def write_safetensors(arrays, trained, out: pathlib.Path, **about) -> None:
  """Writes arrays, with metadata: encoder, normalization and `about`."""
  try:
    from safetensors.numpy import save_file
  except ImportError as error:
    raise missing("safetensors", "'infomin-jax[export]'", error) from error
  if out.suffix != ".safetensors":
    raise UserError(f"--out {out}: expected a name that ends in .safetensors.")
  for name in ("encoder", "normalize"):
    about[name] = to_json(trained.config[name].to_dict())
  save_file(arrays, out, metadata=about)


def resnet_arrays(trained):
  """Returns the encoder of the run under the names of torchvision.

  Raises:
    UserError: the encoder is not a ResNet.
  """
  from infomin_jax.encoders.resnet import ResNet
  from infomin_jax.encoders.torchvision_names import to_torchvision

  if not isinstance(trained.learner.encoder, ResNet):
    raise UserError(
      f"the run's encoder is {trained.config.encoder.name}: this format is for "
      "ResNets; use --format safetensors or stablehlo."
    )
  return to_torchvision(
    trained.variables["params"]["encoder"],
    trained.variables["batch_stats"]["encoder"],
  )


FORMATS = {
  "detectron2": _detectron2,
  "safetensors": _own,
  "stablehlo": _stablehlo,
  "timm": _torchvision,
  "torchvision": _torchvision,
}
