"""ResNet weights under the names that other libraries have for them.

torchvision's names are the hub: timm's are the same, Detectron2's follow from
them, and checkpoints of MoCo, PyContrast and the SimCLR converter are those
with a prefix. Arrays are numpy's, in PyTorch's layout: convolutions
`[out, in, h, w]`.
"""

import functools
import re
from collections.abc import Mapping

import numpy as np
from flax import traverse_util

from infomin_jax.errors import UserError

Arrays = dict[str, np.ndarray]
# Ours, by kind of layer -> torchvision's.
_PARAMS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_STATS = {"mean": "running_mean", "var": "running_var"}
# What an encoder has not: a classifier, or a projection head in its place.
_HEADS = re.compile(r"(fc|head|linear|projector|predictor)\b")
# In this order: a key that starts with one of them is the encoder's, and the
# keys of MoCo's and PyContrast's momentum copies are not.
_PREFIXES = (
  *("module.encoder_q.", "encoder_q.", "module.encoder.", "encoder."),
  *("module.", "backbone.", ""),
)


def to_torchvision(params: Mapping, stats: Mapping) -> Arrays:
  """A ResNet's state dict, `layer1.0.conv1.weight` and so on, without `fc`.

  Args:
    params: the encoder's parameters.
    stats: its batch statistics.
  """
  found = {}
  for names, tree in ((_PARAMS, params), (_STATS, stats)):
    for path, array in traverse_util.flatten_dict(tree).items():
      *layer, kind = path
      array = np.asarray(array, np.float32)
      if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)  # h, w, in, out
      found[f"{_dotted(layer)}.{names[kind]}"] = np.ascontiguousarray(array)
  return found


def from_torchvision(
  arrays: Mapping[str, np.ndarray], params: Mapping, stats: Mapping
) -> tuple[Mapping, Mapping]:
  """Parameters and statistics of a ResNet from a state dict.

  Args:
    arrays: named as in `to_torchvision`.
    params: parameters whose names and shapes are to be filled.
    stats: likewise.

  Raises:
    UserError: a layer is missing, has another shape, or has no place.
  """
  left = dict(arrays)

  def take(names, path, like):
    *layer, kind = path
    name = f"{_dotted(layer)}.{names[kind]}"
    if name not in left:
      raise UserError(
        f"the checkpoint has no {name}: is it of this ResNet (config.encoder)?"
      )
    array = np.asarray(left.pop(name), np.float32)
    if array.ndim == 4:
      array = array.transpose(2, 3, 1, 0)
    if array.shape != like.shape:
      raise UserError(
        f"the checkpoint's {name} has shape {array.shape}, expected "
        f"{like.shape}: choose the config.encoder that it is of."
      )
    return array

  filled = traverse_util.path_aware_map
  params = filled(functools.partial(take, _PARAMS), params)
  stats = filled(functools.partial(take, _STATS), stats)
  if left:
    raise UserError(
      f"the checkpoint has {', '.join(sorted(left)[:5])} ... without a place: "
      "choose the config.encoder that it is of."
    )
  return params, stats


def to_detectron2(arrays: Mapping[str, np.ndarray]) -> Arrays:
  """torchvision's names as Detectron2's `build_resnet_backbone` has them."""
  found = {}
  for name, array in arrays.items():
    name = re.sub(r"^(conv1|bn1)\.", r"stem.\1.", name)
    name = re.sub(
      r"^layer(\d)", lambda match: f"res{int(match.group(1)) + 1}", name
    )
    name = name.replace("downsample.0", "shortcut")
    name = name.replace("downsample.1", "shortcut.norm")
    name = re.sub(r"\bbn(\d)", r"conv\1.norm", name)
    found[name] = array
  return found


def encoder_arrays(arrays: Mapping[str, np.ndarray]) -> Arrays:
  """The encoder's part of a foreign checkpoint, under torchvision's names.

  Knows plain torchvision and timm state dicts, MoCo (`module.encoder_q.`),
  PyContrast (`module.encoder.`) and the SimCLR converter. Classifiers and
  projection heads are left out.

  Raises:
    UserError: no ResNet is among the arrays.
  """
  for prefix in _PREFIXES:
    if f"{prefix}conv1.weight" in arrays:
      own = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
      }
      return {
        name: array
        for name, array in own.items()
        if not _HEADS.match(name) and not name.endswith("num_batches_tracked")
      }
  raise UserError(
    "the checkpoint has no ResNet: expected conv1.weight, plain or behind "
    f"{', '.join(p for p in _PREFIXES if p)}; it has "
    f"{', '.join(sorted(arrays)[:5])} ..."
  )


def _dotted(layer: list[str]) -> str:
  """`layer1_0`, `downsample_1` -> `layer1.0.downsample.1`."""
  return ".".join(layer).replace("_", ".")
