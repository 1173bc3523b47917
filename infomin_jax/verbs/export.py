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

Images are to be normalised by config.normalize, which every file carries where
its format has room; stablehlo takes them as they are, in [0, 1].
"""

import json
import pathlib
import pickle

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError, lookup


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin export`."""
  del argv
  paths.define("workdir", None, "folder of a run", values)
  flags.DEFINE_string("format", None, ", ".join(FORMATS), flag_values=values)
  paths.define("out", None, "the file to write", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Exports; see the module's text."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  for name in ("workdir", "format", "out"):
    if not values[name].value:
      raise UserError(f"--{name} is missing.")
  write = lookup("format (--format)", values.format, FORMATS)
  out = pathlib.Path(values.out)
  if not out.parent.is_dir():
    raise UserError(f"--out {out}: there is no folder {out.parent}.")
  from infomin_jax.eval.encoder import trained_encoder
  from infomin_jax.train.log import say

  trained = trained_encoder(values.workdir)
  write(trained, out)
  say(f"Wrote {trained.config.encoder.name} for {values.format} to {out}.")


def _torchvision(trained, out: pathlib.Path) -> None:
  arrays = resnet_arrays(trained)
  if out.suffix == ".safetensors":
    write_safetensors(arrays, trained, out)
    return
  if out.suffix not in (".pth", ".pt"):
    raise UserError(f"--out {out}: expected .pth, .pt or .safetensors.")
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"--out {out} needs PyTorch: install it, or write .safetensors."
    ) from error
  tensors = {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
  torch.save(tensors, out)


def _detectron2(trained, out: pathlib.Path) -> None:
  from infomin_jax.encoders.weights import to_detectron2

  if out.suffix != ".pkl":
    raise UserError(f"--out {out}: Detectron2 expects a .pkl.")
  record = {
    "model": to_detectron2(resnet_arrays(trained)),
    "__author__": "infomin_jax",
    "matching_heuristics": True,
  }
  with out.open("wb") as file:
    pickle.dump(record, file)


def _own(trained, out: pathlib.Path) -> None:
  from infomin_jax.eval.encoder import own_arrays

  write_safetensors(own_arrays(trained), trained, out)


def _stablehlo(trained, out: pathlib.Path) -> None:
  import jax
  import jax.export
  import jax.numpy as jnp

  from infomin_jax.encoders.features import named_taps
  from infomin_jax.eval.encoder import channels_of

  config, learner, variables = trained

  def features(images):
    found = learner.apply(variables, images, method="encode")
    return named_taps(found)

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
    raise UserError(
      "flatbuffers is not installed: pip install 'infomin-jax[export]'."
    ) from error
  out.write_bytes(content)


def write_safetensors(arrays, trained, out: pathlib.Path, **about) -> None:
  """Writes arrays with the encoder and its normalisation, and `about`."""
  try:
    from safetensors.numpy import save_file
  except ImportError as error:
    raise UserError(
      "safetensors is not installed: pip install 'infomin-jax[export]'."
    ) from error
  if out.suffix != ".safetensors":
    raise UserError(f"--out {out}: expected a name that ends in .safetensors.")
  for name in ("encoder", "normalize"):
    about[name] = json.dumps(trained.config[name].to_dict())
  save_file(arrays, out, metadata=about)


def resnet_arrays(trained):
  """The run's encoder under torchvision's names.

  Raises:
    UserError: it is no ResNet, or one that torchvision does not have.
  """
  from infomin_jax.encoders.weights import to_torchvision

  encoder = trained.config.encoder
  if not encoder.name.startswith("resnet"):
    raise UserError(
      f"the run's encoder is {encoder.name}: this format is for ResNets; use "
      "safetensors or stablehlo."
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
