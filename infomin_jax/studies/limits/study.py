"""Runs the study: first the missing runs, then table, claims and figures."""

import concurrent.futures
import functools
import itertools
import pathlib
import sys
import threading
import time
import traceback
from typing import Any

from infomin_jax.errors import UserError
from infomin_jax.output import write_json
from infomin_jax.studies import presets, store
from infomin_jax.studies.limits import (
  adversarial,
  claims,
  dependent,
  figures,
  image_halves,
  pairs,
  pixels,
  runs,
  settings,
  table,
)
from infomin_jax.studies.limits.problem import Curve, Problem, train
from infomin_jax.studies.results import gather, one_line
from infomin_jax.studies.study import Study, finish

MAKERS = {
  "adversarial": adversarial.make_problem,
  "dependent": lambda variant, images: dependent.make_problem(variant),
  "pair": pairs.make_problem,
  "pixels": pixels.make_problem,
}
STUDY = Study("limits", settings, runs, table, claims, figures)
_PRINT = threading.Lock()


def run(
  out: pathlib.Path,
  preset: str,
  only: list[str],
  data_dir: str = "",
  jobs: int = 0,
) -> dict[str, Any]:
  """Runs what is missing in `out` and writes its table, figures and claims.

  Args:
    out: the folder. Runs with a record in it are not run again.
    preset: `smoke`, `local` or `paper`.
    only: names of experiments. If empty, all.
    data_dir: folder of prepared data sets. "" is the default.
    jobs: number of lines of the table that are trained in parallel. 0 is one
      per core (at most 4), or one on an accelerator.

  Returns:
    The mapping that `infomin_jax.studies` describes.

  Raises:
    UserError: a name is unknown, the folder has other settings, or no data set
      is available.
  """
  chosen, names = settings.preset(preset), settings.select(only)
  reasons, images = load_all(chosen, names, data_dir)
  store.open_folder(out, "limits", preset, chosen)
  variants = [
    variant
    for name in names
    if name not in reasons
    for variant in runs.variants(name, chosen[name])
  ]
  total = sum(variant.settings["seeds"] for variant in variants)
  counter = itertools.count(1)

  def work(variant):
    part = images.get(variant.settings.get("data", ""))
    for record in run_line(out, variant, part):
      _log(f"[{next(counter)}/{total}] {describe(record)}")

  jobs = jobs or presets.default_jobs()
  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    futures = [pool.submit(work, variant) for variant in variants]
    try:
      for future in futures:
        future.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise
  result = finish(STUDY, out, chosen, gather(store.read_runs(out), reasons))
  return result | {"shown": [*result["shown"], *table.changes(result)]}


def load_all(chosen, names, data_dir) -> tuple[dict[str, str], dict]:
  """Returns why experiments cannot be run here, and the images of the others.

  Raises:
    UserError: no experiment can be run.
  """
  reasons, images, missing = {}, {}, {}
  for name in names:
    source = chosen[name].get("data", "")
    if source and source not in images and source not in missing:
      try:
        images[source] = image_halves.load(source, data_dir)
      except UserError as error:
        missing[source] = str(error)
    if source in missing:
      reasons[name] = missing[source]
      _log(f"{name} is left out: {missing[source]}")
  if len(reasons) == len(names):
    raise UserError(next(iter(reasons.values())))
  return reasons, images


def run_line(out, variant: runs.Variant, images):
  """Runs the seeds of a line that have no record, and yields their records.

  If the settings have `batched`, all seeds are one program. They are run again
  together if one is missing, so that a resumed study gives the same numbers as
  an uninterrupted one.
  """
  seeds = list(range(variant.settings["seeds"]))
  missing = [
    s for s in seeds if not store.run_path(out, variant.name, s).exists()
  ]
  groups = [[seed] for seed in missing]
  if variant.settings.get("batched") and missing:
    groups = [seeds]

  @functools.cache
  def problem() -> Problem:
    return MAKERS[variant.kind](variant, images)

  for group in groups:
    start = time.monotonic()
    curves, about = _train(problem, variant, group)
    seconds = (time.monotonic() - start) / len(group)
    for seed, curve in zip(group, curves, strict=True):
      record = {
        "run": variant.name,
        "seed": seed,
        "line": variant.described(),
        "settings": dict(variant.settings),
        "about": about,
        "status": curve.status,
        "error": curve.error,
        "seconds": round(seconds, 2),
        "curve": curve.rows,
      }
      write_json(store.run_path(out, variant.name, seed), record, indent=1)
      yield record


def _train(problem, variant, seeds) -> tuple[list[Curve], dict]:
  steps, every = variant.settings["steps"], variant.settings["every"]
  try:
    experiment = problem()
    return train(experiment, seeds, steps, every), experiment.about
  except UserError:
    raise
  except Exception as error:  # reported as a lost run, like a NaN
    traceback.print_exc()
    text = one_line(error)
    return [Curve(status="raised", error=text) for _ in seeds], {}


def describe(record: dict) -> str:
  """Returns a finished run as one line of text."""
  last = record["curve"][-1] if record["curve"] else {}
  keys = ("accuracy", "bound_train", "bound_test", "gap_train")
  numbers = "  ".join(
    f"{key} {last[key]:.4g}" for key in keys if last.get(key) is not None
  )
  status = "" if record["status"] == "done" else f"  {record['error']}"
  return (
    f"{record['run']} seed {record['seed']}: {numbers}{status}  "
    f"({record['seconds']:.0f} s)"
  )


def _log(line: str) -> None:
  with _PRINT:
    print(line, file=sys.stderr, flush=True)
