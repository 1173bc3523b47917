"""Initial weights from another run: `config.init_from`."""

from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.runs.progress import say
from infomin_jax.runs.workdir import as_json, differences, read_config
from infomin_jax.train.checkpoint import saved

KEY = "config.init_from"
_KINDS = ("params", "batch_stats")


def own_weights(config, params: Mapping, stats: Mapping) -> dict[str, dict]:
  """Reads the weights of the run `config.init_from`, and prints a summary.

  The encoder must fit. The networks of a term are taken if all their names and
  shapes agree. Optimizer, step, queues and momentum copy are not taken.

  Args:
    config: of the run that starts.
    params: shapes and dtypes of its parameters.
    stats: shapes and dtypes of its statistics.

  Returns:
    `{"params": {part: tree}, "batch_stats": {part: tree}}` of NumPy arrays, for
    the parts that were taken; {} if `config.init_from` is empty.

  Raises:
    UserError: the folder holds no run, or the encoder differs. The message
      gives the first parameter that differs, with both shapes.
  """
  if not config.init_from:
    return {}
  theirs = read_config(config.init_from, KEY)
  try:
    state = saved(config.init_from)
  except UserError as error:
    raise UserError(f"{KEY} is {config.init_from!r}: {error}") from error
  there: dict[str, Any] = {
    "params": state.params,
    "batch_stats": state.stats.get("batch_stats", {}),
  }
  here = {"params": params, "batch_stats": stats.get("batch_stats", {})}
  wrong = {part: misfit(part, there, here) for part in params}
  if wrong["encoder"]:
    raise UserError(
      f"{KEY} is {config.init_from!r}, whose encoder ({_name(theirs)}) differs "
      f"from config.encoder ({_name(config)}): {wrong['encoder']}."
    )
  taken = [part for part, why in wrong.items() if not why]
  say(_summary(config.init_from, int(state.step), wrong))
  for line in _differences(
    as_json(theirs),
    as_json(config),
  ):
    say(line)
  return {
    kind: {part: there[kind][part] for part in taken if part in there[kind]}
    for kind in _KINDS
  }


def _name(config) -> str:
  """Returns the encoder's name; another run's config.json may lack it."""
  return str(config.get("encoder", {}).get("name", "of no name"))


def misfit(part: str, there: Mapping, here: Mapping) -> str:
  """Describes the first array of a part that differs; "" if none does.

  Names and shapes are compared, not values.
  """
  theirs, ours = _arrays(part, there), _arrays(part, here)
  if not theirs:
    return "not there"
  for name in (*ours, *theirs):
    a, b = (
      list(np.shape(arrays[name])) if name in arrays else "missing"
      for arrays in (theirs, ours)
    )
    if a != b:
      return f"{name} is {a} there, {b} here"
  return ""


def _arrays(part: str, trees: Mapping) -> dict[str, Any]:
  """Returns the arrays of a part by name, its parameters first."""
  own = {kind: {part: trees[kind].get(part, {})} for kind in _KINDS}
  return flax.traverse_util.flatten_dict(own, sep="/")


def _summary(folder: str, step: int, wrong: Mapping[str, str]) -> str:
  """Returns a line on the parts that were taken and those that were not."""
  names = {part: part.removeprefix("terms_") for part in wrong}
  taken = [names[part] for part, why in wrong.items() if not why]
  fresh = [f"{names[part]} ({why})" for part, why in wrong.items() if why]
  return (
    f"Weights of {folder} at its step {step}: {', '.join(taken)}. "
    f"{'At random: ' + ', '.join(fresh) + '. ' if fresh else ''}"
    "Step, optimizer and schedule start from 0."
  )


def _differences(theirs: Mapping, ours: Mapping) -> list[str]:
  """Returns at most one line, on settings that change the features.

  They leave every shape the same, so `misfit` cannot detect them.
  """
  rows = [
    f"config.{key} is {a!r} there, {b!r} here"
    for section in ("encoder", "normalize")
    for key, a, b in differences(
      theirs.get(section, {}), ours[section], f"{section}."
    )
  ]
  return [f"The same weights give other features: {'; '.join(rows)}."][
    : len(rows)
  ]
