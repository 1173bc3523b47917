"""Functions of the settings of a study, `{experiment: {key: value}}`."""

import os
from collections.abc import Mapping

import jax

from infomin_jax.errors import UserError, nearest


def changed(paper: Mapping, settings: Mapping) -> dict[str, dict[str, list]]:
  """Returns `{experiment: {key: [paper, here]}}` of settings that differ."""
  return {
    key: {
      name: [paper[key][name], value]
      for name, value in settings[key].items()
      if paper[key][name] != value
    }
    for key in settings
  }


def select(paper: Mapping, only: list[str]) -> list[str]:
  """Returns the experiments in `only`, or all, in the order of the paper.

  Raises:
    UserError: a name is no experiment.
  """
  for name in only:
    if name not in paper:
      raise UserError(f"--only {name}: {nearest(name, paper)}")
  return [name for name in paper if not only or name in only]


def default_jobs() -> int:
  """Returns the number of parallel runs: one per core, at most 4.

  On an accelerator it is 1.
  """
  if jax.default_backend() != "cpu":
    return 1
  return min(os.cpu_count() or 1, 4)
