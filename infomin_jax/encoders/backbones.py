"""Finds the ResNets in a checkpoint by the names of their layers.

The names may have any prefix: a wrapper's, a role's or a nested dict's.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from infomin_jax.errors import UserError

# Wrappers that insert their name into the names of layers.
_WRAPPERS = re.compile(
  r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
# The first convolution of a ResNet's first block. The stage has a name, or a
# position in a `Sequential`. The convolution and the batch norm of the stem are
# then the first two modules of it, or the first two of its first module.
_FIRST = re.compile(r"(|.*\.)(layer1|\d+)\.0\.conv1\.weight")
# A momentum copy -> the encoder that MoCo's authors transfer.
_COPIES = {"encoder_k": "encoder_q", "momentum_encoder": "base_encoder"}
# Names that belong to the network. Convolutions and norms that a ResNet does
# not have are included, so that a network with them is refused: without them
# it would compute something else.
_NETWORK = re.compile(
  r"(conv|bn|norm|layer|stem)\d*\..*(weight|bias|running_mean|running_var)"
)
_SHOWN = 6  # names in a message


class Backbone(NamedTuple):
  """A ResNet in a checkpoint.

  Attributes:
    prefix: prefix of its names, such as `module.encoder_q.`.
    names: torchvision's name -> the checkpoint's name, without classifiers.
  """

  prefix: str
  names: dict[str, str]


def backbones(arrays: Mapping[str, Any]) -> list[Backbone]:
  """Returns every ResNet in a checkpoint, found by the names of its layers.

  Args:
    arrays: name -> an object with a `shape`.
  """
  plain = {_WRAPPERS.sub("", name): name for name in arrays}
  stages: dict[str, str] = {}  # prefix -> its first stage
  matches = filter(None, map(_FIRST.fullmatch, plain))
  # The first stage is the one with the lowest position.
  for match in sorted(matches, key=lambda match: (len(match[2]), match[2])):
    stages.setdefault(match[1], match[2])
  resnets = []
  for prefix, first in stages.items():
    layers = {f"layer{i}": f"layer{i}" for i in range(1, 5)}
    stem = ("conv1", "bn1")
    if first != "layer1":
      layers = {f"{int(first) + i}": f"layer{i + 1}" for i in range(4)}
      stem = ("0", "1") if int(first) > 1 else ("0.0", "0.1")
    layers |= dict(zip(stem, ("conv1", "bn1"), strict=True))
    names = {
      _torchvision(name.removeprefix(prefix), layers): plain[name]
      for name in plain
      if name.startswith(prefix) and not name.endswith("num_batches_tracked")
    }
    names.pop("", None)
    conv = arrays[names["conv1.weight"]] if "conv1.weight" in names else None
    if conv is not None and (len(conv.shape) == 4 or _wrong(conv)):
      resnets.append(Backbone(prefix, names))
  return resnets


def _torchvision(name: str, layers: Mapping[str, str]) -> str:
  """Returns torchvision's name of an array; "" if not part of a ResNet."""
  for theirs, ours in layers.items():
    if name.startswith(f"{theirs}."):
      name = f"{ours}{name.removeprefix(theirs)}"
      # SupContrast's ResNets for CIFAR name the projection `shortcut`.
      return name.replace(".shortcut.", ".downsample.")
  return name if _NETWORK.match(name) else ""


def chosen(arrays: Mapping[str, Any], prefix: str | None = None) -> Backbone:
  """Returns the only ResNet of a checkpoint, or the one with a given prefix.

  Args:
    arrays: as in `backbones`.
    prefix: prefix of the ResNet, or the beginning or end of it; None if the
      checkpoint has only one.

  Raises:
    UserError: there is no ResNet, or there are several that differ.
  """
  candidates = backbones(arrays)
  if not candidates and arrays and all(name.isdecimal() for name in arrays):
    raise UserError(
      "the checkpoint's keys are numbers, so its layers have no names: save "
      "model.state_dict() itself."
    )
  if not candidates and any(map(_FIRST.fullmatch, arrays)):
    raise UserError(
      "the checkpoint has a ResNet's layer1.0.conv1.weight, but next to it no "
      "conv1.weight of shape [out, in, h, w]: another kind of stem, which is "
      "not supported."
    )
  if not candidates:
    raise UserError(
      "the checkpoint has no ResNet: expected names such as conv1.weight, "
      "bn1.weight and layer1.0.conv1.weight, behind any prefix; it has "
      f"{some(arrays)}."
    )
  if prefix is not None:
    target = _WRAPPERS.sub("", f"{prefix.rstrip('.')}.".lstrip("."))
    matches = [x for x in candidates if x.prefix == target] or [
      x
      for x in candidates
      if target
      and (x.prefix.startswith(target) or f".{x.prefix}".endswith(f".{target}"))
    ]
  else:
    # Optimizer states have the same names, but no batch statistics.
    matches = [
      x for x in candidates if "bn1.running_mean" in x.names
    ] or candidates
    prefixes = {x.prefix for x in matches}
    matches = [x for x in matches if not _trained(x.prefix) & prefixes]
  distinct: list[list[Backbone]] = []  # groups of ResNets with equal weights
  for one in matches:
    for group in distinct:
      if _same(arrays, one, group[0]):
        group.append(one)
        break
    else:
      distinct.append([one])
  if len(distinct) == 1:
    return distinct[0][0]
  choices = ", ".join(
    " = ".join(x.prefix.rstrip(".") or "'' (no prefix)" for x in group)
    for group in distinct or [[x] for x in candidates]
  )
  if prefix is not None and not distinct:
    raise UserError(
      f"--prefix {prefix}: no ResNet has this prefix; there are: {choices}."
    )
  raise UserError(
    f"the checkpoint has {len(distinct)} different ResNets: choose one of them "
    f"with --prefix: {choices}."
  )


def _trained(prefix: str) -> set[str]:
  """Returns the prefixes of the encoders that a momentum copy here copies."""
  return {
    re.sub(rf"\b{copy}\b", trained, prefix)
    for copy, trained in _COPIES.items()
    if re.search(rf"\b{copy}\b", prefix)
  }


def _same(arrays: Mapping[str, Any], one: Backbone, other: Backbone) -> bool:
  """Returns whether two ResNets have the same names and equal weights."""
  return one.names.keys() == other.names.keys() and all(
    np.array_equal(
      plain(arrays, one.names[name]), plain(arrays, other.names[name])
    )
    for name in one.names
  )


def left_out(arrays: Mapping[str, Any], backbone: Backbone) -> list[str]:
  """Returns what a checkpoint has besides the ResNet.

  Each name is shortened to the first component below the ResNet's prefix, or to
  the first one that differs from it.
  """
  used, others = set(backbone.names.values()), {}
  parts = backbone.prefix.split(".")[:-1]
  for name in arrays:
    if name in used or name.endswith("num_batches_tracked"):
      continue
    own = _WRAPPERS.sub("", name).split(".")
    common = 0
    while common < len(parts) and own[common : common + 1] == [parts[common]]:
      common += 1
    others[own[min(common, len(own) - 1)]] = None
  return list(others)


def plain(arrays: Mapping[str, Any], name: str) -> np.ndarray:
  """Returns an array of a checkpoint as it is stored.

  Raises:
    UserError: the array cannot be read.
  """
  if wrong := _wrong(arrays[name]):
    raise UserError(f"the checkpoint's {name} {wrong}.")
  try:
    return np.asarray(arrays[name])
  except Exception as error:  # zip and NumPy raise many kinds
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise UserError(
      f"the checkpoint's {name} cannot be read ({why}): the file is damaged. "
      "Download or copy it again."
    ) from error


def _wrong(array: Any) -> str:
  """Returns why an array of a file cannot be read; "" if it can."""
  return getattr(array, "wrong", "")


def some(names: Collection) -> str:
  """Returns the first names and the number of others, for messages."""
  texts = [str(name) for name in names][:_SHOWN]
  if more := len(names) - _SHOWN if len(names) > _SHOWN else 0:
    texts.append(f"and {more} more")
  return ", ".join(texts) or "none"
