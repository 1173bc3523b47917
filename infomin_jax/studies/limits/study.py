"""The order of it all: runs that are missing, then table, claims, figures."""

import concurrent.futures
import functools
import itertools
import pathlib
import sys
import threading
import time
import traceback
from collections.abc import Mapping
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
from infomin_jax.studies.limits.train import Curve, Problem, train
from infomin_jax.studies.results import Results, gather, one_line

MAKERS = {
  "adversarial": adversarial.make_problem,
  "dependent": lambda variant, images: dependent.make_problem(variant),
  "pair": pairs.make_problem,
  "pixels": pixels.make_problem,
}
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
    out: the folder; runs that it holds are not run again.
    preset: `smoke`, `local` or `paper`.
    only: experiments; all if empty.
    data_dir: of the prepared data sets; "" is the default.
    jobs: lines of the table trained at once; 0 is one a processor (at most
      4), or one on an accelerator.

  Returns:
    What `STUDIES` says.

  Raises:
    UserError: unknown names, a folder of other settings, or no data at all.
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
      _say(f"[{next(counter)}/{total}] {describe(record)}")

  jobs = jobs or presets.default_jobs()
  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    waiting = [pool.submit(work, variant) for variant in variants]
    try:
      for future in waiting:
        future.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise
  results = gather(store.read_runs(out), reasons)
  return finish(out, chosen, results)


def finish(out: pathlib.Path, chosen: Mapping, results: Results) -> dict:
  """Writes `table.csv`, `claims.json` and the figures of what is there."""
  rows = table.rows(results, chosen)
  checked = [claim.check(results) for claim in claims.CLAIMS]
  store.write_csv(out / "table.csv", rows)
  write_json(out / "claims.json", checked, indent=1)
  figures.draw_all(out, results, chosen)
  seeds = sorted({s for line in results.runs.values() for s in line})
  result = {
    "rows": rows,
    "claims": checked,
    "settings": chosen,
    "changed": settings.changed(chosen),
    "seeds": seeds,
  }
  return result | {"shown": table.shown(result)}


def load_all(chosen, names, data_dir) -> tuple[dict[str, str], dict]:
  """Why experiments cannot be run here, and the images of the others."""
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
      _say(f"{name} is left out: {missing[source]}")
  if len(reasons) == len(names):
    raise UserError(next(iter(reasons.values())))
  return reasons, images


def run_line(out, variant: runs.Variant, images):
  """Yields the records of a line, running what has none yet.

  Seeds are one program where the settings say so (`batched`); those are run
  together again if one is missing, so that a resumed study equals one that was
  never stopped.
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
    began = time.monotonic()
    curves, about = _train(problem, variant, group)
    seconds = (time.monotonic() - began) / len(group)
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
    made = problem()
    return train(made, seeds, steps, every), made.about
  except UserError:
    raise
  except Exception as error:  # counted and shown, like a NaN
    traceback.print_exc()
    text = one_line(error)
    return [Curve(status="raised", error=text) for _ in seeds], {}


def describe(record: dict) -> str:
  """A finished run in one line."""
  last = record["curve"][-1] if record["curve"] else {}
  shown = ("accuracy", "bound_train", "bound_test", "gap_train")
  numbers = "  ".join(
    f"{key} {last[key]:.4g}" for key in shown if last.get(key) is not None
  )
  status = "" if record["status"] == "done" else f"  {record['error']}"
  return (
    f"{record['run']} seed {record['seed']}: {numbers}{status}  "
    f"({record['seconds']:.0f} s)"
  )


def _say(line: str) -> None:
  with _PRINT:
    print(line, file=sys.stderr, flush=True)
