"""Evidence: measured numbers with what is needed to measure them again.

The commands write `docs/evidence/*.json`; `docs/tables.py` makes the README's
tables from these files and a test compares the two.
"""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

import numpy as np

from infomin_jax.output import read_json, write_json

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "infomin-jax")


def write(path, *, commands, config, seeds, values, extra=None) -> None:
  """Writes one evidence file.

  Args:
    path: `docs/evidence/ID.json`.
    commands: the shell commands that give these numbers.
    config: the resolved configuration, as plain data.
    seeds: the seeds of the runs.
    values: the numbers, a list of mappings.
    extra: further entries.
  """
  path = pathlib.Path(path)
  record = {
    "id": path.stem,
    "command": commands,
    "config": config,
    "commit": commit(),
    "versions": versions(),
    "device": device(),
    "seeds": seeds,
    "values": values,
    "interval": "sample standard deviation over seeds, in values[].std",
    **(extra or {}),
  }
  path.parent.mkdir(parents=True, exist_ok=True)
  write_json(path, record, indent=1)


def over_seeds(rows: list[dict]) -> list[dict]:
  """Rows of `evaluation.json` that differ only in the seed, made one.

  Runs that share a measurement, that of raw pixels, have the very same row: it
  counts once, or its spread would look like that of several.

  Returns:
    Rows with `mean`, `std` (sample; null for one seed) and `values`. Rows
    without a value count for nothing; `mean` is null where there is none.
  """
  groups: dict[tuple, list[float | None]] = {}
  names = ("task", "protocol", "tap", "features", "metric")
  for row in {tuple(row.items()): row for row in rows}.values():
    groups.setdefault(tuple(row[n] for n in names), []).append(row["value"])
  known = {
    key: [value for value in found if value is not None]
    for key, found in groups.items()
  }
  return [
    dict(zip(names, key, strict=True))
    | {
      "mean": float(np.mean(found)) if found else None,
      "std": float(np.std(found, ddof=1)) if len(found) > 1 else None,
      "values": found,
    }
    for key, found in known.items()
  ]


def training(workdir) -> dict:
  """Returns what a run took and where it ended, from its `summary.json`."""
  path = pathlib.Path(workdir) / "summary.json"
  summary = read_json(path)
  final = summary["final"]
  kept = ("seconds", "loss", "mi_bound", "mi_ceiling", "images_per_second")
  about = {name: summary[name] for name in ("command", "steps")}
  return about | {name: final[name] for name in kept if name in final}


def commit() -> str:
  """The checkout's commit, `-dirty` if files differ from it; or `unknown`."""
  found = subprocess.run(
    ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],
    cwd=pathlib.Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return found.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
  """Versions of Python and the packages that decide the numbers."""
  found = {name: importlib.metadata.version(name) for name in PACKAGES}
  return {"python": platform.python_version(), **found}


def device() -> dict:
  """The devices a run used, and the processor's model and cores."""
  import jax

  model = platform.processor() or platform.machine()
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  if cpuinfo.exists():
    for line in cpuinfo.read_text().splitlines():
      if line.startswith("model name"):
        model = line.split(":", 1)[1].strip()
        break
  return {
    "kind": jax.devices()[0].device_kind,
    "count": jax.device_count(),
    "cpu": model,
    "cores": os.cpu_count(),
  }
