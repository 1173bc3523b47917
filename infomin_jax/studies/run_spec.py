"""A line of a study's table: a config's row, with changes, and its probes."""

import dataclasses
import runpy
from collections.abc import Iterable
from typing import Any, NamedTuple

import ml_collections

from infomin_jax import config_files


class Change(NamedTuple):
  """A change of a config.

  Attributes:
    label: in the name of the runs, such as `beta4`.
    path: `objective.vae.beta`; a term whose weight becomes 0 is left out.
    value: the new one.
  """

  label: str
  path: str
  value: Any


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the table: what is trained, and how it is probed.

  Attributes:
    config: `cifar10_dim`, a file of `configs/`.
    row: its variant; `untrained` stands for no training, and for raw pixels.
    changes: of the config.
    probes: names in the study's settings.
    seeds: how many.
    after: the name of a line of the same seeds whose view generator it takes.
  """

  config: str
  row: str
  changes: tuple[Change, ...] = ()
  probes: tuple[str, ...] = ()
  seeds: int = 1
  after: str = ""

  @property
  def name(self) -> str:
    """`cifar10_dim-vae-beta4`: what its runs are called."""
    return "-".join([self.config, label(self.row, self.changes)])

  @property
  def trains(self) -> bool:
    """Returns whether there is anything to train."""
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
    for _, path, value in self.changes:
      section, *inner, key = path.split(".")
      if section == "objective" and key == "weight" and not value:
        del config.objective[inner[0]]
      else:
        config.update_from_flattened_dict({path: value})
    return config


def label(row: str, changes: Iterable[Change]) -> str:
  """`vae-beta4`: a row and its changes, short."""
  return "-".join([row.replace(",", "_"), *(c.label for c in changes)])


def load(name: str, variant: str = "") -> ml_collections.ConfigDict:
  """Returns the config of `configs/NAME.py:VARIANT`."""
  make = runpy.run_path(str(config_files.packaged(f"{name}.py")))["get_config"]
  return make(variant) if variant else make()


def merged(lines: Iterable[Line]) -> list[Line]:
  """Every line once, with all of its probes and seeds."""
  found: dict[str, Line] = {}
  for line in lines:
    before = found.get(line.name, line)
    found[line.name] = dataclasses.replace(
      line,
      probes=tuple(dict.fromkeys((*before.probes, *line.probes))),
      seeds=max(before.seeds, line.seeds),
    )
  return list(found.values())
