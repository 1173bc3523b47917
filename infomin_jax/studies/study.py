"""Runs a study whose runs are trained configs.

Missing runs come first. Then table, claims and figures are written from all
records in the folder.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from infomin_jax import data
from infomin_jax.errors import UserError
from infomin_jax.output import write_json
from infomin_jax.studies import presets, store
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line
from infomin_jax.studies.runner import Run, work_all


class Study(NamedTuple):
  """The modules of a study. Each must have the functions that are named here.

  Attributes:
    name: name of the study.
    settings: has `preset`, `select`, `changed` and `probes`.
    lines: has `lines(settings, names)`.
    table: has `rows(results, settings)` and `shown(rows)`.
    claims: has `claims(settings)`.
    figures: has `draw_all(out, results, settings)`.
  """

  name: str
  settings: ModuleType
  lines: ModuleType
  table: ModuleType
  claims: ModuleType
  figures: ModuleType


def run_study(
  study: Study,
  out: pathlib.Path,
  preset: str,
  only: list[str],
  data_dir: str = "",
  jobs: int = 0,
) -> dict[str, Any]:
  """Runs what is missing in `out` and writes its table, figures and claims.

  Args:
    study: the study.
    out: the folder. Probes with a record in it are not run again, and a run
      whose training was stopped continues.
    preset: `smoke`, `local` or `paper`.
    only: names of experiments. If empty, all.
    data_dir: folder of prepared data sets. "" is the default.
    jobs: number of parallel runs. 0 is one per core (at most 4), or one on an
      accelerator.

  Returns:
    The mapping that `infomin_jax.studies` describes.

  Raises:
    UserError: a name is unknown, the folder has other settings, or no data set
      is available.
  """
  settings = study.settings
  chosen, names = settings.preset(preset), settings.select(only)
  probes, tiny = settings.probes(preset), preset == "smoke"
  lines = study.lines.lines(chosen, names)
  reasons = missing(lines, tiny, data_dir)
  store.open_folder(
    out, study.name, preset, {"experiments": chosen, "probes": probes}
  )
  work_missing(lines, probes, reasons, out, tiny, data_dir, jobs)
  return finish(study, out, chosen, gather(store.read_runs(out), reasons))


def finish(
  study: Study, out: pathlib.Path, chosen: Mapping, results: Results
) -> dict[str, Any]:
  """Writes `table.csv`, `claims.json` and the figures of all results."""
  rows = study.table.rows(results, chosen)
  entries = [c.check(results) for c in study.claims.claims(chosen)]
  store.write_csv(out / "table.csv", rows)
  write_json(out / "claims.json", entries, indent=1)
  study.figures.draw_all(out, results, chosen)
  return {
    "rows": rows,
    "claims": entries,
    "settings": chosen,
    "changed": study.settings.changed(chosen),
    "seeds": sorted({s for line in results.runs.values() for s in line}),
    "shown": study.table.shown(rows),
  }


def work_missing(
  lines: list[Line],
  probes: Mapping[str, Mapping],
  reasons: Mapping[str, str],
  out: pathlib.Path,
  tiny: bool,
  data_dir: str,
  jobs: int,
) -> None:
  """Trains and probes what has no record in `out`, and prints progress.

  Args:
    lines: all selected lines.
    probes: changes of `config.evaluate` by the name of the probe.
    reasons: why a config cannot be trained here. Its lines are left out.
    out: the folder of the study.
    tiny: whether to take the variants `:tiny` of the configs.
    data_dir: folder of prepared data sets.
    jobs: number of parallel runs. 0 is `presets.default_jobs`.
  """
  runs: dict[bool, list[Run]] = {False: [], True: []}
  # Seed by seed: the second seed of a line finds its programs in the cache.
  for seed in range(max((line.seeds for line in lines), default=0)):
    for line in lines:
      if line.config not in reasons and seed < line.seeds:
        run = Run(line, seed, {}, out, tiny, data_dir)
        missing_probes = [p for p in line.probes if not run.path(p).exists()]
        if missing_probes:
          selected = {p: probes[p] for p in missing_probes}
          runs[bool(line.after)].append(
            dataclasses.replace(run, probes=selected)
          )
  count, total = 0, sum(map(len, runs.values()))
  for stage in runs.values():  # runs that take a generator of others come last
    for records in work_all(stage, jobs or presets.default_jobs()):
      count += 1
      _log(f"[{count}/{total}] {describe(records)}")


def missing(asked: list[Line], tiny: bool, data_dir: str) -> dict[str, str]:
  """Returns why configs cannot be trained here: their data sets are missing.

  Raises:
    UserError: no config can be trained.
  """
  reasons = {}
  for line in {line.config: line for line in asked}.values():
    config = line.make_config(tiny)
    config.data.data_dir = data_dir
    try:
      for split in ("split", "probe_split", "test_split"):
        data.load(config.data, config.data[split])
    except UserError as error:
      reasons[line.config] = str(error)
      _log(f"{line.config} is left out: {error}")
  if asked and len(reasons) == len({line.config for line in asked}):
    raise UserError(next(iter(reasons.values())))
  return reasons


def gather(records: list[dict], reasons: Mapping[str, str]) -> Results:
  """Merges the records of the probes of each run, by line and seed."""
  runs: dict[str, dict[int, dict]] = {}
  for record in records:
    seeds = runs.setdefault(record["run"], {})
    run = seeds.setdefault(
      record["seed"], record | {"status": "done", "error": "", "curve": [{}]}
    )
    for entry in record["curve"]:
      run["curve"] = [run["curve"][0] | entry]
    if record["status"] != "done":
      run |= {"status": record["status"], "error": record["error"]}
  return Results(runs, reasons)


def describe(records: list[dict]) -> str:
  """Returns a finished run as one line of text."""
  first = records[0]
  numbers = [
    f"{key} {value:.4g}"
    for record in records
    for entry in record["curve"]
    for key, value in entry.items()
  ]
  errors = sorted({r["error"] for r in records if r["error"]})
  seconds = sum(record["seconds"] for record in records)
  return (
    f"{first['run']} seed {first['seed']}: {'  '.join([*numbers, *errors])}  "
    f"(training {first['training_seconds']:.0f} s, probes {seconds:.0f} s)"
  )


def _log(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
