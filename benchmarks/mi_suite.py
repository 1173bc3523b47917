"""Accuracy of `infomin estimate` on the public suites of known MI.

  python benchmarks/mi_suite.py --list
  python benchmarks/mi_suite.py --partial /tmp/rows.jsonl --part 1/2 &
  python benchmarks/mi_suite.py --partial /tmp/rows.jsonl --part 2/2; wait
  python benchmarks/mi_suite.py --partial /tmp/rows.jsonl \\
      --evidence docs/evidence/mi_suite.json
  python benchmarks/mi_suite.py --tasks ladder,waves --seeds 1

Runs `estimate` with its defaults on the tasks of `PLANS`, with the numbers of
samples of the published tables. No setting depends on the task, and the truth
is used only for comparison. Settings were developed on seed 0, and the other
seeds were added afterwards. `--list` prints the runs and their expected time.

`--partial FILE` writes one line of JSON per run, and skips the runs that the
file has from the same code. Parts that run in parallel share one file. If a
task fails, or the process ends twice during it, its row has an error. Delete
its lines to try again.

Cheap cases are also estimated by other methods. KSG has k = 3, or k = 5 in the
form of Gao et al. if values repeat. It gets the first 20,000 rows of 2 columns,
5,000 rows up to 10 columns, and 2,000 rows up to 128 columns. The Gaussian
value of canonical correlations is computed up to 320 columns.
"""

import argparse
import collections
import dataclasses
import functools
import hashlib
import json
import pathlib
import re
import time
from typing import Any

import numpy as np

KEY = ("suite", "task", "samples", "seed")  # identifies a row
# Largest number of columns of both sides -> largest number of rows for KSG.
KSG_ROWS = {2: 20_000, 10: 5_000, 128: 2_000}
GAUSSIAN_COLUMNS = 320
TRIES = 2  # of a run that ends the process, for example for lack of memory
EXACT = 1e-3  # nats of tolerance at the ends of an interval


@dataclasses.dataclass(frozen=True)
class Plan:
  """The runs of a suite.

  Attributes:
    suite: name in `infomin_jax.mi.tasks.SUITES`.
    seconds: expected time per run, by which work is split into parts.
    every: seed 0 runs all tasks. Each other seed runs one in `every` tasks, and
      consecutive seeds run different ones.
    sizes: numbers of samples. 0 is the number of the published table.
    keep: regular expression of the names of the tasks that are run.
  """

  suite: str
  seconds: float
  every: int = 4
  sizes: tuple[int, ...] = (0,)
  keep: str = ""


# Two processes take about an hour on two cores, half of it for seed 0. `high`,
# `ladder`, `vce`, `latent` and `small` run only some of their tasks.
PLANS = {
  "beyond_normal": Plan("beyond_normal", 13, every=2),
  "few": Plan(
    "beyond_normal",
    6,
    sizes=(300,),
    keep="^(normal_1v1|uniform_1v1|additive_1v1_0.1|swiss_roll_2v1|dense_5v5|"
    "sparse_3v3|student_2v2_df1|half_cube_sparse_5v5|spiral_sparse_3v3)$",
  ),
  "functions": Plan("functions", 12, sizes=(500, 5_000)),
  "high": Plan(
    "high",
    100,
    keep="normal_(20v20_20|160v160_80)|smoothed_uniform_20v20_10|"
    "corr_uniform_80v80_40",
  ),
  "images": Plan("images", 60),
  "ladder": Plan("ladder", 20, keep="_(1|3|5|10)$"),
  "latent": Plan(
    "latent", 18, keep="_100?_._(0|0.67|2)$|_1000_._(0.67|2)$|_5000_1_2"
  ),
  "mixed": Plan("mixed", 15, every=2),
  "mixtures": Plan("mixtures", 20, every=2),
  "small": Plan("small", 8, keep="[0-2]$"),  # three of each family
  "vce": Plan("vce", 40, keep="_(4|8|32|64)v"),
}


@dataclasses.dataclass(frozen=True)
class Job:
  """One run: a task, its number of samples, and a seed."""

  suite: str
  task: Any
  samples: int
  seed: int
  seconds: float

  @property
  def key(self) -> tuple:
    """Returns the values of `KEY`, which identify the row of the run."""
    return self.suite, self.task.name, self.samples, self.seed


@functools.cache
def _suites() -> dict[str, tuple]:
  from infomin_jax.mi.tasks import SUITES

  return {suite: make() for suite, make in SUITES.items()}


def list_jobs(tasks: str, samples: int, seeds: int) -> list[Job]:
  """Returns the runs of plans or tasks.

  Args:
    tasks: `all_suites`, or names of `PLANS` or of tasks, separated by commas.
    samples: number of samples of all runs, or 0 for those of the plans.
    seeds: number of seeds, from 0 on.
  """
  names = list(PLANS) if tasks == "all_suites" else tasks.split(",")
  suites = _suites()
  plans = [(name, PLANS[name]) for name in names if name in PLANS]
  for name in (name for name in names if name not in PLANS):
    homes = [
      s
      for s, suite_tasks in suites.items()
      if name in {t.name for t in suite_tasks}
    ]
    if not homes:
      raise SystemExit(
        f"{name} is neither a task nor one of {', '.join(PLANS)}."
      )
    plans += [
      (s, Plan(s, 9, every=1, keep=f"^{re.escape(name)}$")) for s in homes
    ]
  jobs = []
  for name, plan in plans:
    runs = [
      (task, samples or size or task.samples)
      for task in suites[plan.suite]
      if re.search(plan.keep, task.name)
      for size in ((samples,) if samples else plan.sizes)
    ]
    jobs += [
      Job(name, *run, seed, plan.seconds)
      for seed in range(seeds)
      for i, run in enumerate(runs)
      if not seed or (i + seed) % plan.every == 0
    ]
  return jobs


def share(jobs: list[Job], part: str) -> list[Job]:
  """Returns one part of the jobs. `2/3` is the second of three parts."""
  which, count = map(int, part.split("/"))
  if not 1 <= which <= count:
    raise SystemExit(f"--part {part}: expected 1/N to N/N.")
  load, chosen = [0.0] * count, []
  for job in sorted(jobs, key=lambda job: -job.seconds):
    least = load.index(min(load))
    load[least] += job.seconds
    chosen += [job] if least == which - 1 else []
  return sorted(chosen, key=jobs.index)


def measure(job: Job) -> dict:
  """Returns the row of a run: truth and estimates in nats, or an error."""
  from infomin_jax.mi import estimate

  truth = float(job.task.mi)
  start = time.perf_counter()
  try:
    x, y = job.task.sample(job.samples, job.seed)
    result = estimate(x, y, seed=job.seed)
  except Exception as error:  # the other tasks go on
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return failed(job, text, time.perf_counter() - start)
  low, high = map(float, result.interval)
  return {
    **_named(job),
    "nats": float(result.nats),
    "interval": [low, high],
    "covered": low - EXACT <= truth <= high + EXACT,
    "flags": list(result.flags),
    "estimator": result.estimator,
    "seconds": result.seconds,
    **compare(x, y),
  }


def failed(job: Job, error: str, seconds: float = 0.0) -> dict:
  """Returns the row of a run that has no value."""
  return _named(job) | {"error": error, "seconds": seconds}


def _named(job) -> dict:
  return dict(zip(KEY, job.key, strict=True)) | {"truth": float(job.task.mi)}


def compare(x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
  """Returns nats of KSG and of canonical correlations, None if too costly."""
  from infomin_jax.estimators.nonneural import gaussian, ksg, mixed_ksg

  x, y = (v.reshape(len(v), -1).astype(np.float64) for v in (x, y))
  columns = x.shape[1] + y.shape[1]
  nats: dict[str, float | None] = {"ksg": None, "gaussian": None}
  rows = [most for limit, most in KSG_ROWS.items() if columns <= limit]
  if rows:
    scaled = [v[: rows[0]] / np.maximum(v.std(axis=0), 1e-300) for v in (x, y)]
    nats["ksg"] = _finite(mixed_ksg if _repeat(*scaled) else ksg, *scaled)
  if columns <= min(GAUSSIAN_COLUMNS, len(x) - 1):
    nats["gaussian"] = _finite(gaussian, x, y)
  return nats


def _repeat(*sides) -> bool:
  return any(len(np.unique(v)) < len(v) for side in sides for v in side.T)


def _finite(estimator, x, y) -> float | None:
  try:
    nats = float(estimator(x, y))
  except (ValueError, ArithmeticError):
    return None  # the method cannot handle counts or copies of columns
  return nats if np.isfinite(nats) else None


def digest() -> str:
  """Returns a hash of the code of infomin_jax, on which the rows depend."""
  import infomin_jax

  sha = hashlib.sha256()
  for path in sorted(pathlib.Path(infomin_jax.__file__).parent.rglob("*.py")):
    sha.update(path.read_bytes())
  return sha.hexdigest()[:16]


class Partial:
  """A file with one row per line. Lines of other code are ignored."""

  def __init__(self, path: str | None):
    self.path = pathlib.Path(path) if path else None
    self.code = digest()
    self._rows: dict[tuple, dict] = {}
    self._begun: collections.Counter = collections.Counter()

  def rows(self) -> dict[tuple, dict]:
    """Returns the rows by their key, including those of parallel parts."""
    self._begun.clear()
    if self.path and self.path.exists():
      for line in self.path.read_text().splitlines():
        try:
          entry = json.loads(line)
        except json.JSONDecodeError:
          continue  # the process was killed while it wrote
        if entry["code"] == self.code:
          self._begun[tuple(entry.get("begin", ()))] += 1
          if "row" in entry:
            self._keep(entry["row"])
    return self._rows

  def begin(self, job: Job) -> int:
    """Records the start of a run; returns its earlier starts without a row."""
    self._write({"begin": job.key})
    return self._begun[job.key]

  def add(self, row: dict) -> None:
    """Keeps a row, in memory and in the file."""
    self._keep(row)
    self._write({"row": row})

  def _write(self, entry):
    if self.path:
      with self.path.open("a") as file:  # one write, since parts share the file
        file.write(json.dumps({"code": self.code, **entry}) + "\n")

  def _keep(self, row):
    self._rows[tuple(row[name] for name in KEY)] = row


def summarize(rows: list[dict]) -> dict[str, dict]:
  """Returns error, coverage and time of each suite over all its runs."""
  summary = {}
  for suite in dict.fromkeys(row["suite"] for row in rows):
    suite_rows = [row for row in rows if row["suite"] == suite]
    valued = [row for row in suite_rows if "error" not in row]
    errors = [abs(row["nats"] - row["truth"]) for row in valued] or [np.nan]
    summary[suite] = {
      "runs": len(suite_rows),
      "failed": len(suite_rows) - len(valued),
      "mean_absolute_error": float(np.mean(errors)),
      "covered": sum(row["covered"] for row in valued),
      "seconds": sum(row["seconds"] for row in suite_rows),
    }
  return summary


def describe(row: dict) -> str:
  """Returns a row as one line."""
  name = f"{row['suite']}/{row['task']} n={row['samples']} seed={row['seed']}"
  begin = f"{name:52s} truth {row['truth']:.3f}"
  if "error" in row:
    return f"{begin} {row['error']}"
  low, high = row["interval"]
  others = " ".join(
    f"{who} {'-' if row[who] is None else f'{row[who]:.3f}'}"
    for who in ("ksg", "gaussian")
  )
  return (
    f"{begin} ours {row['nats']:.3f} ({row['nats'] - row['truth']:+.3f}) in "
    f"[{low:.3f}, {high:.3f}] {others} {row['seconds']:.1f} s {row['flags']}"
  )


def print_costs(jobs: list[Job]) -> None:
  """Prints the number of runs and the expected minutes of every suite."""
  for suite in dict.fromkeys(job.suite for job in jobs):
    suite_jobs = [job for job in jobs if job.suite == suite]
    runs = ", ".join(
      f"{sum(job.seed == seed for job in suite_jobs)} of seed {seed}"
      for seed in sorted({job.seed for job in suite_jobs})
    )
    minutes = sum(job.seconds for job in suite_jobs) / 60
    print(f"{suite:14s} {runs}: about {minutes:.0f} min")
  print(f"in all about {sum(job.seconds for job in jobs) / 60:.0f} min")


def run(jobs: list[Job], partial: Partial, quiet: bool) -> None:
  """Runs the jobs that the partial file lacks."""
  import jax

  suite = None
  for job in jobs:
    if job.key in partial.rows():
      continue
    if suite not in (None, job.suite):
      jax.clear_caches()  # programs of hundreds of shapes fill the memory
    suite = job.suite
    begun = partial.begin(job)
    row = measure(job) if begun < TRIES else failed(job, "the process ended")
    partial.add(row)
    if not quiet:
      print(describe(row), flush=True)


def write_evidence(options, rows: list[dict]) -> None:
  """Writes all rows and the options."""
  from infomin_jax import provenance

  provenance.write(
    options.evidence,
    commands=[
      f"python benchmarks/mi_suite.py --tasks {options.tasks} --samples "
      f"{options.samples} --seeds {options.seeds}"
    ],
    config={
      "tasks": options.tasks,
      "samples": options.samples,
      "plans": {name: dataclasses.asdict(plan) for name, plan in PLANS.items()},
    },
    seeds=list(range(options.seeds)),
    values=rows,
    extra={
      "summary": summarize(rows),
      "interval": "95 %, in values[].interval; covered: to 0.001 nats",
    },
  )


def main():
  """Prints one line per run, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--tasks", default="all_suites", help="all_suites, or names with commas"
  )
  parser.add_argument(
    "--samples", type=int, default=0, help="0: the number of the plans"
  )
  parser.add_argument("--seeds", type=int, default=3)
  parser.add_argument("--part", default="1/1", help="K/N: run the K-th of N")
  parser.add_argument("--partial", help="file of rows; its runs are skipped")
  parser.add_argument("--list", action="store_true", help="print the runs only")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  from infomin_jax import runtime

  runtime.configure()
  jobs = list_jobs(options.tasks, options.samples, options.seeds)
  if options.list:
    return print_costs(jobs)
  partial = Partial(options.partial)
  run(share(jobs, options.part), partial, options.json)
  by_key = partial.rows()
  rows = [by_key[job.key] for job in jobs if job.key in by_key]
  print(json.dumps({"rows": rows} if options.json else summarize(rows)))
  if missing := len(jobs) - len(rows):
    print(f"{missing} of {len(jobs)} runs are missing: no evidence is written.")
  elif options.evidence:
    write_evidence(options, rows)


if __name__ == "__main__":
  main()
