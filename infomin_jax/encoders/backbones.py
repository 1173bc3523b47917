"""Finds the ResNets in a checkpoint by the names of their own layers.

They may be behind any prefix: of a wrapper, a role or a nested dict.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from infomin_jax.errors import UserError

# Wrappers that put their name between a layer's parts.
_WRAPPERS = re.compile(
  r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
# Where a ResNet's first block is: behind names, or behind places in a
# `Sequential`, whose first two parts (or the first two of its first part) are
# the convolution and the batch norm.
_FIRST = re.compile(r"(|.*\.)(layer1|\d+)\.0\.conv1\.weight")
# A momentum copy -> the encoder that MoCo's authors transfer.
_COPIES = {"encoder_k": "encoder_q", "momentum_encoder": "base_encoder"}
# Other convolutions and norms are kept, so that a network that has them is
# refused: without them it would compute something else.
_NETWORK = re.compile(
  r"(conv|bn|norm|layer|stem)\d*\..*(weight|bias|running_mean|running_var)"
)
_SHOWN = 6  # names in a message


class Backbone(NamedTuple):
  """A ResNet in a checkpoint.

  Attributes:
    prefix: of its arrays, such as `module.encoder_q.`.
    names: torchvision's name -> the checkpoint's, without classifiers.
  """

  prefix: str
  names: dict[str, str]


def backbones(arrays: Mapping[str, Any]) -> list[Backbone]:
  """Returns every ResNet among named arrays, found by the names of its layers.

  Args:
    arrays: what has a `shape`, by name.
  """
  plain = {_WRAPPERS.sub("", name): name for name in arrays}
  found: dict[str, str] = {}  # prefix -> its first stage
  matches = filter(None, map(_FIRST.fullmatch, plain))
  # The lowest place is the first stage.
  for match in sorted(matches, key=lambda match: (len(match[2]), match[2])):
    found.setdefault(match[1], match[2])
  resnets = []
  for prefix, first in found.items():
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
  """torchvision's name of an array; "" if it is no part of the encoder."""
  for theirs, ours in layers.items():
    if name.startswith(f"{theirs}."):
      name = f"{ours}{name.removeprefix(theirs)}"
      # The ResNets for CIFAR that SupContrast trains.
      return name.replace(".shortcut.", ".downsample.")
  return name if _NETWORK.match(name) else ""


def chosen(arrays: Mapping[str, Any], prefix: str | None = None) -> Backbone:
  """Returns the one ResNet of a checkpoint, or the one that is asked for.

  Args:
    arrays: as of `backbones`.
    prefix: of the one that is meant, or how its prefix begins or ends; None if
      there is no choice.

  Raises:
    UserError: there is none, or there are several that differ.
  """
  found = backbones(arrays)
  if not found and arrays and all(name.isdecimal() for name in arrays):
    raise UserError(
      "the checkpoint's keys are numbers, so its layers have no names: save "
      "model.state_dict() itself."
    )
  if not found and any(map(_FIRST.fullmatch, arrays)):
    raise UserError(
      "the checkpoint has a ResNet's layer1.0.conv1.weight, but next to it no "
      "conv1.weight of shape [out, in, h, w]: another kind of stem, which is "
      "not here."
    )
  if not found:
    raise UserError(
      "the checkpoint has no ResNet: expected names as conv1.weight, "
      "bn1.weight and layer1.0.conv1.weight, behind any prefix; it has "
      f"{some(arrays)}."
    )
  if prefix is not None:
    wanted = _WRAPPERS.sub("", f"{prefix.rstrip('.')}.".lstrip("."))
    left = [x for x in found if x.prefix == wanted] or [
      x
      for x in found
      if wanted
      and (x.prefix.startswith(wanted) or f".{x.prefix}".endswith(f".{wanted}"))
    ]
  else:
    # Optimizers have arrays of the same names, but no batch statistics.
    left = [x for x in found if "bn1.running_mean" in x.names] or found
    prefixes = {x.prefix for x in left}
    left = [x for x in left if not _trained(x.prefix) & prefixes]
  distinct: list[list[Backbone]] = []  # with others of the same numbers
  for one in left:
    for group in distinct:
      if _same(arrays, one, group[0]):
        group.append(one)
        break
    else:
      distinct.append([one])
  if len(distinct) == 1:
    return distinct[0][0]
  known = ", ".join(
    " = ".join(x.prefix.rstrip(".") or "'' (no prefix)" for x in group)
    for group in distinct or [[x] for x in found]
  )
  if prefix is not None and not distinct:
    raise UserError(f"--prefix {prefix}: no ResNet is there; known: {known}.")
  raise UserError(
    f"the checkpoint has {len(distinct)} different ResNets: choose one of them "
    f"by --prefix: {known}."
  )


def _trained(prefix: str) -> set[str]:
  """The prefixes of what a momentum copy at this prefix would be a copy of."""
  return {
    re.sub(rf"\b{copy}\b", trained, prefix)
    for copy, trained in _COPIES.items()
    if re.search(rf"\b{copy}\b", prefix)
  }


def _same(arrays: Mapping[str, Any], one: Backbone, other: Backbone) -> bool:
  """Returns whether two ResNets have the same numbers under the same names."""
  return one.names.keys() == other.names.keys() and all(
    np.array_equal(
      plain(arrays, one.names[name]), plain(arrays, other.names[name])
    )
    for name in one.names
  )


def left_out(arrays: Mapping[str, Any], backbone: Backbone) -> list[str]:
  """Returns what else a checkpoint has, each name up to where it differs."""
  used, found = set(backbone.names.values()), {}
  parts = backbone.prefix.split(".")[:-1]
  for name in arrays:
    if name in used or name.endswith("num_batches_tracked"):
      continue
    own = _WRAPPERS.sub("", name).split(".")
    common = 0
    while common < len(parts) and own[common : common + 1] == [parts[common]]:
      common += 1
    found[own[min(common, len(own) - 1)]] = None
  return list(found)


def plain(arrays: Mapping[str, Any], name: str) -> np.ndarray:
  """An array of a file, as it is there."""
  if wrong := _wrong(arrays[name]):
    raise UserError(f"the checkpoint's {name} {wrong}.")
  try:
    return np.asarray(arrays[name])
  except Exception as error:  # zip and NumPy have several
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise UserError(
      f"the checkpoint's {name} cannot be read ({why}): the file is damaged. "
      "Download or copy it again."
    ) from error


def _wrong(array: Any) -> str:
  """Why an array of a file cannot be read; "" if it can."""
  return getattr(array, "wrong", "")


def some(names: Collection) -> str:
  """Returns the first names, for messages."""
  shown = [str(name) for name in names][:_SHOWN]
  if more := len(names) - _SHOWN if len(names) > _SHOWN else 0:
    shown.append(f"and {more} more")
  return ", ".join(shown) or "none"
