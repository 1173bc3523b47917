"""What studies do with their settings, `{experiment: {key: value}}`."""

import os
from collections.abc import Mapping

import jax

from infomin_jax.errors import UserError, nearest


def changed(paper: Mapping, settings: Mapping) -> dict[str, dict[str, list]]:
  """`{experiment: {key: [paper's, here]}}` where settings differ."""
  return {
    key: {
      name: [paper[key][name], value]
      for name, value in settings[key].items()
      if paper[key][name] != value
    }
    for key in settings
  }


def select(paper: Mapping, only: list[str]) -> list[str]:
  """The experiments asked for, in the paper's order; all if none are named."""
  for name in only:
    if name not in paper:
      raise UserError(f"--only {name}: {nearest(name, paper)}")
  return [name for name in paper if not only or name in only]


def default_jobs() -> int:
  """One a processor, at most 4; one on an accelerator."""
  if jax.default_backend() != "cpu":
    return 1
  return min(os.cpu_count() or 1, 4)
