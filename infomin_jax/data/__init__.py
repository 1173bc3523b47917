"""Data sources: uint8 images with labels, by (name, split), random access.

To add a source, write a function `(split, **options) -> Source` and enter it in
`SOURCES`. `config.data.name` selects it, and its arguments are keys of
`config.data`.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

# The header of a small file may claim a huge image, so pixels are limited to
# 400 MB. OpenCV reads the limit when it is imported. TFDS imports it, so this
# line is above the imports.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**27))

from infomin_jax import paths
from infomin_jax.data import (
  arrays,
  fashion_mnist,
  folder,
  moving_digits,
  tfds_sources,
)
from infomin_jax.data.absent import Absent
from infomin_jax.data.batch import example
from infomin_jax.data.catalog import describe, prepare
from infomin_jax.data.colorful_digits import ColorfulDigits
from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.host_crops import crops_for, host_center, host_views
from infomin_jax.data.order import indices
from infomin_jax.data.photo_windows import PhotoWindows
from infomin_jax.data.pipeline import (
  Stream,
  epoch,
  resident,
  stream,
)
from infomin_jax.data.sources import Source, Task
from infomin_jax.data.tinted_fashion import TintedFashion
from infomin_jax.errors import OWN_FILE, UserError, lookup, nearest

_registered = functools.partial(functools.partial, tfds_sources.load)

SOURCES: dict[str, Callable[..., Source]] = {
  "arrays": arrays.load,
  "celeb_a": _registered("celeb_a"),
  "cifar10": _registered("cifar10"),
  "cifar100": _registered("cifar100"),
  "colorful_digits": ColorfulDigits,
  "div2k": _registered("div2k"),
  "fashion_mnist": fashion_mnist.load,
  "folder": folder.load,
  "imagenet2012": _registered("imagenet2012"),
  "imagenet_resized_64": _registered("imagenet_resized_64"),
  "mnist": _registered("mnist"),
  "moving_digits": moving_digits.on_photographs,
  "moving_mnist": moving_digits.on_stl10,
  "photo_windows": PhotoWindows,
  "stl10": _registered("stl10"),
  "tfds": tfds_sources.load_any,
  "tinted_fashion_mnist": TintedFashion,
  "tiny_imagenet": _registered("tiny_imagenet"),
}


def load(options: Mapping[str, Any], split: str) -> Source:
  """Makes the source that `config.data` names.

  Args:
    options: `name`, `data_dir` and the arguments of the named source. Keys that
      no source parameters are ignored; the caller uses them.
    split: name of a part; for TFDS sets any TFDS split string.

  Raises:
    UserError: unknown name, a missing option, or an option that is set (neither
      "" nor 0) but that only other sources take.
  """
  if "name" not in options:
    raise UserError(f"config.data.name is missing: {nearest('', SOURCES)}")
  name = options["name"]
  make = lookup("data set (config.data.name)", name, SOURCES, OWN_FILE)
  parameters = _options(make)
  # Every config has a data_dir: sources without files ignore it.
  for key in option_names() - parameters.keys() - {"data_dir"}:
    if options.get(key):
      others = [o for o, maker in SOURCES.items() if key in _options(maker)]
      raise UserError(
        f"config.data.{key}={options[key]!r} has no effect on {name!r}, but "
        f"on {', '.join(others)}; leave it empty."
      )
  for key, parameter in parameters.items():
    if key not in options and parameter.default is parameter.empty:
      raise UserError(f"config.data.{key} is missing: {name!r} needs it.")
  arguments = {key: options[key] for key in parameters if key in options}
  for key in ("path", "data_dir"):
    if arguments.get(key):
      arguments[key] = str(paths.local(f"config.data.{key}", arguments[key]))
  return make(split=split, **arguments)


def load_or_absent(options: Mapping[str, Any], split: str) -> Source:
  """Returns `load`'s source, or black images if a TFDS set is not prepared."""
  builder = tfds_sources.BUILDERS.get(options["name"])
  if builder and tfds_sources.find(builder, options["data_dir"]) is None:
    return Absent(options["name"])
  return load(options, split)


def option_names() -> set[str]:
  """Returns the keys of `config.data` that at least one source takes."""
  return {key for make in SOURCES.values() for key in _options(make)}


def _options(make):
  parameters = dict(inspect.signature(make).parameters)
  del parameters["split"]
  return parameters


__all__ = [
  "SOURCES",
  "Absent",
  "BrokenRecord",
  "Source",
  "Stream",
  "Task",
  "crops_for",
  "describe",
  "epoch",
  "example",
  "host_center",
  "host_views",
  "indices",
  "load",
  "load_or_absent",
  "option_names",
  "prepare",
  "resident",
  "stream",
]
