"""Reads and compares the configurations in runs' folders."""

import json
import pathlib

import ml_collections

from infomin_jax.errors import UserError
from infomin_jax.output import read_json
from infomin_jax.paths import local

# Values of keys that configurations of older runs lack.
BEFORE = {"init_from": "", "run": {"writers": ["tensorboard"]}}
ORIGIN = "origin.json"  # marks the folder of a pulled encoder


def as_json(config) -> dict:
  """Returns a configuration as plain values."""
  return json.loads(config.to_json())


def read_config(
  workdir: str | pathlib.Path, argument: str = "--workdir"
) -> ml_collections.ConfigDict:
  """Returns the configuration that `infomin train` wrote into a folder.

  Args:
    workdir: the run's folder.
    argument: the option or key that gave the folder, for messages.

  Raises:
    UserError: the folder has no configuration.
  """
  path = local(argument, workdir) / "config.json"
  if not path.exists():
    near = [p for p in path.parents[1:4] if (p / "config.json").exists()]
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UserError(
      f"{argument} {workdir} holds no config.json: expected a folder made by "
      f"`infomin train`.{hint}"
    )
  config = read_json(path)
  if not isinstance(config, dict):
    raise UserError(f"{path} is no configuration: expected a mapping of keys.")
  for key, value in BEFORE.items():
    if isinstance(value, dict):
      value = value | config.get(key, {})
    config[key] = value if isinstance(value, dict) else config.get(key, value)
  return ml_collections.ConfigDict(config)


def differences(old: dict, new: dict, prefix: str = "") -> list[tuple]:
  """Returns `(dotted key, old value, new value)` of entries that differ.

  A value is the string `nothing` if the key is missing.
  """
  rows = []
  for key in sorted(old.keys() | new.keys()):
    a, b = old.get(key, "nothing"), new.get(key, "nothing")
    if isinstance(a, dict) and isinstance(b, dict):
      rows += differences(a, b, f"{prefix}{key}.")
    # Equal JSON counts as equal: a tuple and a list, NaN and NaN.
    elif a != b and json.dumps(a) != json.dumps(b):
      rows.append((prefix + key, a, b))
  return rows
