"""The folder of a study: its settings, and one file per finished run."""

import csv
import json
import pathlib
from collections.abc import Mapping

from infomin_jax.errors import UserError
from infomin_jax.output import read_json, to_json, write_json


def open_folder(
  out: pathlib.Path, study: str, preset: str, settings: Mapping
) -> None:
  """Creates the folder, or checks that it belongs to the same study.

  Raises:
    UserError: the folder has runs of another study or with other settings.
  """
  path = out / "settings.json"
  record = {"study": study, "preset": preset, "settings": settings}
  record = json.loads(to_json(record))  # tuples become lists
  if path.exists():
    existing = read_json(path)
    for key in ("study", "preset"):
      if existing.get(key) != record[key]:
        raise UserError(
          f"--out {out} holds a study of the {key} {existing.get(key)!r}, not "
          f"{record[key]!r}; choose another folder."
        )
    if existing != record:
      raise UserError(
        f"--out {out} holds runs of other settings of the preset {preset!r} "
        "(see its settings.json); choose another folder."
      )
  (out / "runs").mkdir(parents=True, exist_ok=True)
  write_json(path, record, indent=1)


def run_path(out: pathlib.Path, name: str, seed: int) -> pathlib.Path:
  """Returns the path of the record of a run."""
  return out / "runs" / f"{name}-seed{seed}.json"


def read_runs(out: pathlib.Path) -> list[dict]:
  """Returns all records, sorted by name and seed."""
  records = [read_json(p) for p in (out / "runs").glob("*.json")]
  return sorted(records, key=lambda r: (r["run"], r["seed"]))


def write_csv(path: pathlib.Path, rows: list[dict]) -> None:
  """Writes rows of the same keys. None becomes an empty cell."""
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
