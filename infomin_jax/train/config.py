"""Checks that a config has exactly the keys of `recipes/base.py`."""

import math
from collections.abc import Mapping

from ml_collections import ConfigDict

from infomin_jax import data
from infomin_jax.errors import UserError, nearest
from infomin_jax.recipes import base

# Every key of a config. Other sections name a function and hold its arguments,
# so their keys are checked against its signature when it is built.
_ALL = base.get_config()
KEYS = tuple(_ALL)
SECTIONS = {
  name: tuple(_ALL[name]) for name in ("data", "normalize", "run", "evaluate")
}

# Keys of any section that are sizes or counts, at least 1.
SIZES = ("cells", "decoder_width", "dim", "frames", "groups", "hidden", "k")
SIZES += ("patch", "strides", "units", "width", "widths")


def check_keys(config: Mapping) -> None:
  """Checks the keys against `KEYS` and `SECTIONS`, and the range of numbers.

  Raises:
    UserError: a key is unknown or missing, or a number is out of range.
  """
  _exactly("config", config, KEYS)
  _small("config", config)
  for section, keys in SECTIONS.items():
    of_sources = data.option_names() if section == "data" else ()
    _exactly(f"config.{section}", config[section], keys, of_sources)


def _exactly(where: str, config: Mapping, keys, optional=()) -> None:
  names = {*keys, *optional}
  for key in config:
    if key not in names:
      raise UserError(f"Unknown key {where}.{key}: {nearest(key, names)}")
  for key in keys:
    if key not in config:
      raise UserError(
        f"{where}.{key} is missing: expected the keys {', '.join(keys)}."
      )


def _small(where: str, value) -> None:
  """Refuses numbers that JSON or 32 bits cannot hold, and sizes below 1."""
  if isinstance(value, Mapping | ConfigDict):
    for key, inner in value.items():
      _small(f"{where}.{key}", inner)
  elif isinstance(value, tuple | list):
    for inner in value:
      _small(where, inner)
  elif isinstance(value, float) and not math.isfinite(value):
    raise UserError(f"{where} is {value}: expected a finite number.")
  elif isinstance(value, int):
    if abs(value) >= 2**31:
      raise UserError(f"{where} is {value}: expected less than 2^31.")
    if value < 1 and where.rpartition(".")[2] in SIZES:
      raise UserError(f"{where} is {value}: expected 1 or more.")
