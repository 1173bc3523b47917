"""Weights of another run, which training starts from: `config.init_from`."""

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
  """Reads the weights that `config.init_from` names, and says which it took.

  The encoder must fit. A term's networks are taken where all their names and
  shapes agree. Optimizer, step, queues and momentum copy are not taken.

  Args:
    config: of the run that starts.
    params: its parameters, without numbers.
    stats: its statistics, without numbers.

  Returns:
    `{"params": {part: tree}, "batch_stats": {part: tree}}` of the parts that
    were taken, numpy's arrays; {} where no run is named.

  Raises:
    UserError: the folder is none of a run, or has another encoder; the first
      parameter that differs is named, with both shapes.
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
      f"{KEY} is {config.init_from!r}, whose encoder ({_name(theirs)}) is not "
      f"that of config.encoder ({_name(config)}): {wrong['encoder']}."
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
  """Returns the encoder's name; a stranger's config.json is not checked."""
  return str(config.get("encoder", {}).get("name", "of no name"))


def misfit(part: str, there: Mapping, here: Mapping) -> str:
  """The first array of a part that differs in name or shape; "" if none."""
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
  """Arrays of a part by name, its parameters first."""
  own = {kind: {part: trees[kind].get(part, {})} for kind in _KINDS}
  return flax.traverse_util.flatten_dict(own, sep="/")


def _summary(folder: str, step: int, wrong: Mapping[str, str]) -> str:
  """One line: what was taken, and what was not."""
  names = {part: part.removeprefix("terms_") for part in wrong}
  taken = [names[part] for part, why in wrong.items() if not why]
  fresh = [f"{names[part]} ({why})" for part, why in wrong.items() if why]
  return (
    f"Weights of {folder} at its step {step}: {', '.join(taken)}. "
    f"{'At random: ' + ', '.join(fresh) + '. ' if fresh else ''}"
    "Step, optimizer and schedule start from 0."
  )


def _differences(theirs: Mapping, ours: Mapping) -> list[str]:
  """Lines on settings that no shape shows, but that change the features."""
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
