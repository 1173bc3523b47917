"""ResNet weights under the names of other libraries.

All conversions go through torchvision's names. timm's are the same,
Detectron2's follow from them, and checkpoints of other tools have them after a
prefix. Arrays are NumPy's in PyTorch's layout: convolutions `[out, in, h, w]`.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from infomin_jax.encoders.backbones import Backbone, chosen, plain
from infomin_jax.encoders.resnet import DEPTHS, STEMS, BasicBlock, Bottleneck
from infomin_jax.errors import UserError

Arrays = dict[str, np.ndarray]
# Our names of parameters and of statistics -> torchvision's.
_PARAMS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_STATS = {"mean": "running_mean", "var": "running_var"}


def to_torchvision(params: Mapping, stats: Mapping) -> Arrays:
  """Returns a ResNet's state dict with torchvision's names, without `fc`.

  Args:
    params: the encoder's parameters.
    stats: the encoder's batch statistics.
  """
  result = {}
  for names, tree in ((_PARAMS, params), (_STATS, stats)):
    for path, array in traverse_util.flatten_dict(tree).items():
      *layer, kind = path
      array = np.asarray(array, np.float32)
      if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)  # h, w, in, out
      result[f"{_dotted(layer)}.{names[kind]}"] = np.ascontiguousarray(array)
  return result


def from_torchvision(
  arrays: Mapping[str, np.ndarray], params: Mapping, stats: Mapping
) -> tuple[Mapping, Mapping]:
  """Returns parameters and statistics of a ResNet from a state dict.

  Args:
    arrays: named as in `to_torchvision`.
    params: parameters of the ResNet, for names and shapes.
    stats: batch statistics of the ResNet, for names and shapes.

  Raises:
    UserError: a layer is missing, has another shape, or is not in the ResNet.
  """
  left = dict(arrays)

  def take(names, path, like):
    *layer, kind = path
    name = f"{_dotted(layer)}.{names[kind]}"
    if name not in left:
      why = (
        "it was saved without batch statistics, or has other norms"
        if "running_" in name
        else "is it of this ResNet (config.encoder)?"
      )
      raise UserError(f"the checkpoint has no {name}: {why}")
    array = np.asarray(left.pop(name), np.float32)
    if array.ndim == 4:
      array = array.transpose(2, 3, 1, 0)
    if name == "conv1.weight" and array.shape[2] != like.shape[2]:
      raise UserError(
        f"the checkpoint takes images of {array.shape[2]} channels, and those "
        f"of the config have {like.shape[2]}: choose other data or views."
      )
    if array.shape != like.shape:
      raise UserError(
        f"the checkpoint's {name} has shape {array.shape}, expected "
        f"{like.shape}: choose the config.encoder of the checkpoint. Wide "
        "ResNets and ResNeXts are not supported."
      )
    return array

  filled = traverse_util.path_aware_map
  params = filled(functools.partial(take, _PARAMS), params)
  stats = filled(functools.partial(take, _STATS), stats)
  if left:
    raise UserError(
      f"the checkpoint has {', '.join(sorted(left)[:5])} ... without a place: "
      "choose the config.encoder of the checkpoint."
    )
  return params, stats


def to_detectron2(arrays: Mapping[str, np.ndarray]) -> Arrays:
  """Renames arrays as in Detectron2's `build_resnet_backbone`."""
  result = {}
  for name, array in arrays.items():
    name = re.sub(r"^(conv1|bn1)\.", r"stem.\1.", name)
    name = re.sub(
      r"^layer(\d)", lambda match: f"res{int(match.group(1)) + 1}", name
    )
    name = name.replace("downsample.0", "shortcut")
    name = name.replace("downsample.1", "shortcut.norm")
    name = re.sub(r"\bbn(\d)", r"conv\1.norm", name)
    result[name] = array
  return result


def encoder_arrays(
  arrays: Mapping[str, Any], prefix: str | None = None
) -> Arrays:
  """Returns a checkpoint's ResNet as float32, with torchvision's names.

  The names may have any prefix, such as MoCo's `encoder_q`, a wrapper's or a
  nested dict's. Classifiers and projection heads are dropped.

  Args:
    arrays: name -> array, or an object that `np.asarray` converts.
    prefix: prefix of the ResNet, if there are several; see `chosen`.

  Raises:
    UserError: as `chosen` and `backbone_arrays`.
  """
  return backbone_arrays(arrays, chosen(arrays, prefix))


def backbone_arrays(arrays: Mapping[str, Any], backbone: Backbone) -> Arrays:
  """Returns the arrays of one ResNet of a checkpoint, as `encoder_arrays` does.

  Raises:
    UserError: one of them is not an array of finite floats, or all weights of
      the first layer are equal.
  """
  names = backbone.names
  result = {name: _float32(arrays, theirs) for name, theirs in names.items()}
  first = result["conv1.weight"]
  if first.size and np.ptp(first) == 0:
    raise UserError(
      f"all numbers of the checkpoint's {names['conv1.weight']} are "
      f"{first.flat[0]:g}: it was saved before its weights were drawn or "
      "loaded."
    )
  return result


def _float32(arrays: Mapping[str, Any], name: str) -> np.ndarray:
  """Returns an array as float32, after checking that it is finite."""
  array = plain(arrays, name)
  if not jnp.issubdtype(array.dtype, jnp.floating):
    raise UserError(
      f"the checkpoint's {name} is of {array.dtype}, expected floating point: "
      "is it quantized? Save the model from before quantization."
    )
  with np.errstate(over="ignore"):
    array = array.astype(np.float32)
  if bad := array.size - np.count_nonzero(np.isfinite(array)):
    raise UserError(
      f"{bad:,} of the {array.size:,} numbers of the checkpoint's {name} are "
      "not finite: its training has failed. Take an earlier checkpoint."
    )
  if name.endswith("running_var") and array.min(initial=0) < 0:
    raise UserError(
      f"the checkpoint's {name} has numbers below 0: expected variances."
    )
  return array


def architecture(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Returns `depth`, `stem` and `width` of the ResNet with these arrays.

  Args:
    arrays: named as in `to_torchvision`.

  Raises:
    UserError: torchvision has no such ResNet.
  """
  # Other ResNets have more layers in the stem, or more stages.
  more = [x for x in arrays if not re.match(r"(conv1|bn1|layer[1-4])\.", x)]
  if more:
    raise UserError(
      f"its ResNet has {more[0]}, which no ResNet of torchvision has: another "
      "kind of stem or stage, which is not supported."
    )
  blocks = {".".join(x.split(".")[:2]) for x in arrays if x[:5] == "layer"}
  counts = tuple(
    sum(block.startswith(f"layer{i}.") for block in blocks) for i in range(1, 5)
  )
  kind = Bottleneck if "layer1.0.conv3.weight" in arrays else BasicBlock
  width, _, kernel, _ = arrays["conv1.weight"].shape
  for depth, known in DEPTHS.items():
    for stem, (size, *_) in STEMS.items():
      if known == (kind, counts) and size == kernel:
        return {"depth": depth, "stem": stem, "width": width}
  raise UserError(
    f"its ResNet has a {kernel}x{kernel} convolution first and {counts} blocks "
    f"of the kind {kind.__name__}: no supported ResNet has these."
  )


def _dotted(layer: list[str]) -> str:
  """Returns the dotted name: `layer1_0`, `bn1` -> `layer1.0.bn1`."""
  return ".".join(layer).replace("_", ".")
