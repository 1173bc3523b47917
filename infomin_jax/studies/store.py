"""The folder of a study: settings, and one file a finished run."""

import csv
import json
import pathlib
from collections.abc import Mapping

from infomin_jax.errors import UserError
from infomin_jax.output import read_json, to_json, write_json


def open_folder(
  out: pathlib.Path, study: str, preset: str, settings: Mapping
) -> None:
  """Makes the folder, or checks that it is of the same study.

  Raises:
    UserError: it holds runs of another study, or of other settings.
  """
  path = out / "settings.json"
  wanted = {"study": study, "preset": preset, "settings": settings}
  wanted = json.loads(to_json(wanted))  # tuples become lists
  if path.exists():
    found = read_json(path)
    for key in ("study", "preset"):
      if found.get(key) != wanted[key]:
        raise UserError(
          f"--out {out} holds a study of the {key} {found.get(key)!r}, not "
          f"{wanted[key]!r}; choose another folder."
        )
    if found != wanted:
      raise UserError(
        f"--out {out} holds runs of other settings of the preset {preset!r} "
        "(see its settings.json); choose another folder."
      )
  (out / "runs").mkdir(parents=True, exist_ok=True)
  write_json(path, wanted, indent=1)


def run_path(out: pathlib.Path, name: str, seed: int) -> pathlib.Path:
  """Returns the path of a run's record."""
  return out / "runs" / f"{name}-seed{seed}.json"


def read_runs(out: pathlib.Path) -> list[dict]:
  """All records, by name and seed."""
  records = [read_json(p) for p in (out / "runs").glob("*.json")]
  return sorted(records, key=lambda r: (r["run"], r["seed"]))


def write_csv(path: pathlib.Path, rows: list[dict]) -> None:
  """Writes the rows; an empty cell is a number that is not there."""
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
