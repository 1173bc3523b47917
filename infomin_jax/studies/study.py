"""A study whose runs are trained configs: the order of it all.

First the runs that are missing, then table, claims and figures of what there
is.
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
  """The modules of a study, which have functions of the same names.

  Attributes:
    name: of the study.
    settings: `preset`, `select`, `changed` and `probes`.
    lines: `lines(settings, names)`.
    table: `rows(results, settings)` and `shown(rows)`.
    claims: `claims(settings)`.
    figures: `draw_all(out, results, settings)`.
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
    study: which.
    out: the folder; probes that it holds are not made again, and a run whose
      training was stopped goes on.
    preset: `smoke`, `local` or `paper`.
    only: experiments; all if empty.
    data_dir: of the prepared data sets; "" is the default.
    jobs: runs at once; 0 is one a processor (at most 4), or one on an
      accelerator.

  Returns:
    What `STUDIES` says.

  Raises:
    UserError: unknown names, a folder of other settings, or no data at all.
  """
  settings = study.settings
  chosen, names = settings.preset(preset), settings.select(only)
  probes, tiny = settings.probes(preset), preset == "smoke"
  wanted = study.lines.lines(chosen, names)
  reasons = missing(wanted, tiny, data_dir)
  store.open_folder(
    out, study.name, preset, {"experiments": chosen, "probes": probes}
  )
  work_missing(wanted, probes, reasons, out, tiny, data_dir, jobs)
  return finish(study, out, chosen, gather(store.read_runs(out), reasons))


def finish(
  study: Study, out: pathlib.Path, chosen: Mapping, results: Results
) -> dict[str, Any]:
  """Writes `table.csv`, `claims.json` and the figures of what is there."""
  rows = study.table.rows(results, chosen)
  checked = [c.check(results) for c in study.claims.claims(chosen)]
  store.write_csv(out / "table.csv", rows)
  write_json(out / "claims.json", checked, indent=1)
  study.figures.draw_all(out, results, chosen)
  return {
    "rows": rows,
    "claims": checked,
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
  """Trains and probes what has no record in `out`, and says each as it ends.

  Args:
    lines: all that are asked for.
    probes: changes of `config.evaluate` by the probe's name.
    reasons: why a config cannot be trained here; its lines are left out.
    out: the study's folder.
    tiny: whether the configs' `:tiny` are meant.
    data_dir: of prepared data sets.
    jobs: at once; 0 is `presets.default_jobs`.
  """
  runs: dict[bool, list[Run]] = {False: [], True: []}
  # Seed by seed: the second finds its programs compiled.
  for seed in range(max((line.seeds for line in lines), default=0)):
    for line in lines:
      if line.config not in reasons and seed < line.seeds:
        run = Run(line, seed, {}, out, tiny, data_dir)
        left = [p for p in line.probes if not run.path(p).exists()]
        if left:
          wanted = {p: probes[p] for p in left}
          runs[bool(line.after)].append(dataclasses.replace(run, probes=wanted))
  count, total = 0, sum(map(len, runs.values()))
  for stage in runs.values():  # those that take another's generator come last
    for records in work_all(stage, jobs or presets.default_jobs()):
      count += 1
      _say(f"[{count}/{total}] {describe(records)}")


def missing(asked: list[Line], tiny: bool, data_dir: str) -> dict[str, str]:
  """Why configs cannot be trained here: their data are not at hand."""
  reasons = {}
  for line in {line.config: line for line in asked}.values():
    config = line.make_config(tiny)
    config.data.data_dir = data_dir
    try:
      for split in ("split", "probe_split", "test_split"):
        data.load(config.data, config.data[split])
    except UserError as error:
      reasons[line.config] = str(error)
      _say(f"{line.config} is left out: {error}")
  if asked and len(reasons) == len({line.config for line in asked}):
    raise UserError(next(iter(reasons.values())))
  return reasons


def gather(records: list[dict], reasons: Mapping[str, str]) -> Results:
  """The probes of a run put together, sorted by line and seed."""
  runs: dict[str, dict[int, dict]] = {}
  for record in records:
    seeds = runs.setdefault(record["run"], {})
    run = seeds.setdefault(
      record["seed"], record | {"status": "done", "error": "", "curve": [{}]}
    )
    for look in record["curve"]:
      run["curve"] = [run["curve"][0] | look]
    if record["status"] != "done":
      run |= {"status": record["status"], "error": record["error"]}
  return Results(runs, reasons)


def describe(records: list[dict]) -> str:
  """A finished run in one line."""
  first = records[0]
  numbers = [
    f"{key} {value:.4g}"
    for record in records
    for look in record["curve"]
    for key, value in look.items()
  ]
  errors = sorted({r["error"] for r in records if r["error"]})
  seconds = sum(record["seconds"] for record in records)
  return (
    f"{first['run']} seed {first['seed']}: {'  '.join([*numbers, *errors])}  "
    f"(training {first['training_seconds']:.0f} s, probes {seconds:.0f} s)"
  )


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
