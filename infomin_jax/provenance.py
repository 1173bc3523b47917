"""Evidence files: measured numbers, and what is needed to measure them again.

The commands write `docs/evidence/*.json`. `docs/tables.py` makes the tables of
the README from these files, and a test compares the two.
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
    extra: additional entries.
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
  """Merges rows of `evaluation.json` that differ only in the seed.

  Runs that share a measurement, such as the probe of raw pixels, have exactly
  the same row. It counts once; otherwise it would look like several seeds
  without spread.

  Returns:
    Rows with `mean`, `std` (sample; null for one seed) and `values`. Rows
    without a value are ignored; `mean` is null if no row has a value.
  """
  groups: dict[tuple, list[float | None]] = {}
  names = ("task", "protocol", "tap", "features", "metric")
  for row in {tuple(row.items()): row for row in rows}.values():
    groups.setdefault(tuple(row[n] for n in names), []).append(row["value"])
  numbers = {
    key: [value for value in group if value is not None]
    for key, group in groups.items()
  }
  return [
    dict(zip(names, key, strict=True))
    | {
      "mean": float(np.mean(group)) if group else None,
      "std": float(np.std(group, ddof=1)) if len(group) > 1 else None,
      "values": group,
    }
    for key, group in numbers.items()
  ]


def training(workdir) -> dict:
  """Returns cost and final metrics of a run, from its `summary.json`."""
  path = pathlib.Path(workdir) / "summary.json"
  summary = read_json(path)
  final = summary["final"]
  keys = ("seconds", "loss", "mi_bound", "mi_ceiling", "images_per_second")
  about = {name: summary[name] for name in ("command", "steps")}
  return about | {name: final[name] for name in keys if name in final}


def commit() -> str:
  """Returns the commit of the checkout, `-dirty` if changed; or `unknown`."""
  result = subprocess.run(
    ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],
    cwd=pathlib.Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return result.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
  """Returns versions of Python and of the packages that decide the numbers."""
  packages = {name: importlib.metadata.version(name) for name in PACKAGES}
  return {"python": platform.python_version(), **packages}


def device() -> dict:
  """Returns the devices of this process, and the processor model and cores."""
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
