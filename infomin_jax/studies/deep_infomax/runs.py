"""The runs of the settings: rows of configs, with changes."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from infomin_jax.studies.run_spec import Change, Line, merged

# The terms of a mixture, by the name of their weight.
WEIGHTS = {
  "alpha": "deep_infomax_global",
  "beta": "deep_infomax_local",
  "gamma": "prior",
}
# The paper has a number, but no public code shows how it was obtained.
NOT_THERE = {("cifar10_crops", "multi")}


def lines(settings: Mapping[str, Mapping], names: list[str]) -> list[Line]:
  """Returns each run of the experiments once, with all its probes and seeds."""
  merged_lines = merged(
    line for name in names for line in asked(settings[name])
  )
  return [
    # The probe of all taps includes the probe of y.
    dataclasses.replace(
      line, probes=tuple(p for p in line.probes if p != "mlp_y")
    )
    if "mlp" in line.probes
    else line
    for line in merged_lines
  ]


def asked(options: Mapping[str, Any]) -> Iterator[Line]:
  """Yields the lines of one experiment."""
  probes, seeds = tuple(options["probes"]), options["seeds"]
  for config in options["configs"]:
    for row, changes in _variants(options):
      if (config, row) not in NOT_THERE:
        yield Line(config, row, changes, probes, seeds)


def _variants(options) -> Iterator[tuple[str, tuple]]:
  if "betas" in options:
    for beta in options["betas"]:
      yield vae(beta)
  elif "alpha" in options:
    yield from mixtures(options)
  else:
    for row in options["rows"]:
      for count in options.get("negatives", (0,)):
        yield fewer_negatives(row, count)


def vae(beta: float) -> tuple[str, tuple]:
  """Returns row and changes of a beta-VAE.

  The values of beta in table 1 have rows of their own.
  """
  rows = {1.0: "vae", 2.0: "beta_vae"}
  if beta in rows:
    return rows[beta], ()
  return "vae", (Change(f"beta{beta:g}", "objective.vae.beta", beta),)


def fewer_negatives(row: str, count: int) -> tuple[str, tuple]:
  """Returns row and changes for negatives from `count` images (0: all)."""
  path = "objective.deep_infomax_local.negatives"
  return row, (Change(f"negatives{count}", path, count),) if count else ()


def mixtures(options: Mapping[str, Any]) -> Iterator[tuple[str, tuple]]:
  """Yields the grid of alpha and beta at the middle gamma, then other gammas.

  The other gammas have alpha 0 and beta 1.
  """
  gammas = options["gamma"]
  middle = gammas[len(gammas) // 2]
  for alpha, beta in itertools.product(options["alpha"], options["beta"]):
    if alpha or beta:
      yield mixture(alpha, beta, middle)
  for gamma in gammas:
    if gamma != middle:
      yield mixture(0.0, 1.0, gamma)


def mixture(alpha: float, beta: float, gamma: float) -> tuple[str, tuple]:
  """Returns row and changes for weights of the global, local and prior terms.

  The weights of DIM(L) in table 1 have the row `local_jsd`.
  """
  if (alpha, beta, gamma) == (0.0, 1.0, 0.1):
    return "local_jsd", ()
  weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
  return "local_global", tuple(
    Change(f"{name}{weight:g}", f"objective.{WEIGHTS[name]}.weight", weight)
    for name, weight in weights.items()
  )
