"""The runs that the settings ask for: rows of configs, with changes."""

import dataclasses
import itertools
import pathlib
import runpy
from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

import infomin_jax
from infomin_jax.errors import UserError

CONFIGS = pathlib.Path(infomin_jax.__file__).parents[1] / "configs"
# The terms of a mixture, by the name of their weight.
WEIGHTS = {
  "alpha": "deep_infomax_global",
  "beta": "deep_infomax_local",
  "gamma": "prior",
}
# Published as a number, but no public code says how.
NOT_THERE = {("cifar10_crops", "multi")}


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the table: what is trained, and how it is probed.

  Attributes:
    config: `cifar10_dim`, a file of `configs/`.
    row: its variant; `untrained` stands for no training, and for raw pixels.
    changes: of the config, by path; a term of weight 0 is left out.
    probes: names in `settings.PROBES`.
    seeds: how many.
  """

  config: str
  row: str
  changes: tuple[tuple[str, Any], ...] = ()
  probes: tuple[str, ...] = ()
  seeds: int = 1

  @property
  def name(self) -> str:
    """`cifar10_dim-vae-beta4`: what its runs are called."""
    return "-".join([self.config, label(self.row, self.changes)])

  @property
  def trains(self) -> bool:
    """Whether there is anything to train."""
    return self.row != "untrained"

  def make_config(self, tiny: bool, **changes: Any):
    """The config of a run.

    Args:
      tiny: of its `:tiny`.
      **changes: of its top level, such as `seed`.
    """
    variant = [self.row] if self.trains else []
    variant += ["tiny"] if tiny else []
    config = load(self.config, ",".join(variant))
    config.update(changes)
    for path, value in self.changes:
      if path in WEIGHTS:
        term = WEIGHTS[path]
        if value:
          config.objective[term].weight = value
        else:
          del config.objective[term]
      else:
        config.update_from_flattened_dict({path: value})
    return config


def label(row: str, changes) -> str:
  """`vae-beta4`: a row and its changes, short."""
  parts = (f"{path.rpartition('.')[2]}{value:g}" for path, value in changes)
  return "-".join([row, *parts])


def load(name: str, variant: str = "") -> ml_collections.ConfigDict:
  """`configs/NAME.py:VARIANT`.

  Raises:
    UserError: the configs are not beside the package.
  """
  path = CONFIGS / f"{name}.py"
  if not path.exists():
    raise UserError(
      f"{path} is not there: this study trains the files of configs/, so run "
      "it from a checkout of the project (pip install -e .)."
    )
  make = runpy.run_path(str(path))["get_config"]
  return make(variant) if variant else make()


def lines(settings: Mapping[str, Mapping], names: list[str]) -> list[Line]:
  """Every run of the experiments once, with all of its probes and seeds."""
  found: dict[tuple, Line] = {}
  for name in names:
    for line in asked(settings[name]):
      key = (line.config, line.row, line.changes)
      before = found.get(key, line)
      found[key] = dataclasses.replace(
        line,
        probes=tuple(dict.fromkeys((*before.probes, *line.probes))),
        seeds=max(before.seeds, line.seeds),
      )
  return [
    # One probe of all taps has that of y in it.
    dataclasses.replace(
      line, probes=tuple(p for p in line.probes if p != "mlp_y")
    )
    if "mlp" in line.probes
    else line
    for line in found.values()
  ]


def asked(options: Mapping[str, Any]) -> Iterator[Line]:
  """The lines of one experiment."""
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
  """A beta-VAE; those of table 1 under their own names."""
  known = {1.0: "vae", 2.0: "beta_vae"}
  if beta in known:
    return known[beta], ()
  return "vae", (("objective.vae.beta", beta),)


def fewer_negatives(row: str, count: int) -> tuple[str, tuple]:
  """A row that is told from `count` other images, or (0) from all."""
  path = "objective.deep_infomax_local.negatives"
  return row, ((path, count),) if count else ()


def mixtures(options: Mapping[str, Any]) -> Iterator[tuple[str, tuple]]:
  """The grid of alpha and beta at the middle gamma, then the other gammas."""
  gammas = options["gamma"]
  middle = gammas[len(gammas) // 2]
  for alpha, beta in itertools.product(options["alpha"], options["beta"]):
    if alpha or beta:
      yield mixture(alpha, beta, middle)
  for gamma in gammas:
    if gamma != middle:
      yield mixture(0.0, 1.0, gamma)


def mixture(alpha: float, beta: float, gamma: float) -> tuple[str, tuple]:
  """Global, local and prior terms; the local one alone has its own row."""
  if (alpha, beta, gamma) == (0.0, 1.0, 0.1):
    return "local_jsd", ()
  return "local_global", (("alpha", alpha), ("beta", beta), ("gamma", gamma))
