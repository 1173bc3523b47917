"""A line of the table of a study: the row of a config, changes and probes."""

import dataclasses
import runpy
from collections.abc import Iterable
from typing import Any, NamedTuple

import ml_collections

from infomin_jax import config_files


class Change(NamedTuple):
  """A change of a config.

  Attributes:
    label: part of the name of the runs, such as `beta4`.
    path: dotted key, such as `objective.vae.beta`. If the weight of a term
      becomes 0, the term is removed.
    value: the new value.
  """

  label: str
  path: str
  value: Any


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the table: what is trained, and how it is probed.

  Attributes:
    config: name of a file in `configs/`, such as `cifar10_dim`.
    row: variant of the config. `untrained` is not trained. Its records also
      have the results of raw pixels.
    changes: changes of the config.
    probes: names of probes in the settings of the study.
    seeds: number of runs, with the seeds from 0 on.
    after: name of a line with the same seeds. The run takes the view generator
      of the run of this line.
  """

  config: str
  row: str
  changes: tuple[Change, ...] = ()
  probes: tuple[str, ...] = ()
  seeds: int = 1
  after: str = ""

  @property
  def name(self) -> str:
    """Returns the name of the runs, such as `cifar10_dim-vae-beta4`."""
    return "-".join([self.config, label(self.row, self.changes)])

  @property
  def trains(self) -> bool:
    """Returns whether the line is trained."""
    return self.row != "untrained"

  def make_config(self, tiny: bool, **changes: Any):
    """Returns the config of a run.

    Args:
      tiny: whether to take the variant `:tiny`.
      **changes: new values of top-level keys, such as `seed`.
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
  """Returns a short name of a row and its changes, such as `vae-beta4`."""
  return "-".join([row.replace(",", "_"), *(c.label for c in changes)])


def load(name: str, variant: str = "") -> ml_collections.ConfigDict:
  """Returns the config of `configs/NAME.py:VARIANT`."""
  make = runpy.run_path(str(config_files.packaged(f"{name}.py")))["get_config"]
  return make(variant) if variant else make()


def merged(lines: Iterable[Line]) -> list[Line]:
  """Merges lines of the same name: union of the probes, most seeds."""
  by_name: dict[str, Line] = {}
  for line in lines:
    earlier = by_name.get(line.name, line)
    by_name[line.name] = dataclasses.replace(
      line,
      probes=tuple(dict.fromkeys((*earlier.probes, *line.probes))),
      seeds=max(earlier.seeds, line.seeds),
    )
  return list(by_name.values())
