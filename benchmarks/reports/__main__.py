"""Small versions of public bug reports about tools of this field.

  python benchmarks/reports --evidence docs/evidence/reports.json
  python benchmarks/reports --only 17

The input of each report is built in an empty folder and passed to infomin_jax.
The result must be the right value, or one clear line that refuses the input or
warns about it. Otherwise the exit status is 1. To add a report, add an entry to
REPORTS in `images`, `paths`, `tables`, `weights` or `training`.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback

import images
import paths
import tables
import training
import weights
from report import KINDS, Report

REPORTS: tuple[Report, ...] = tuple(
  sorted(
    (
      *images.REPORTS,
      *paths.REPORTS,
      *tables.REPORTS,
      *weights.REPORTS,
      *training.REPORTS,
    ),
    key=lambda report: report.kind,
  )
)
_SECONDS = 60  # time limit per report


def main() -> None:
  """Runs the reports, prints one line each, and exits with 1 on a failure."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--evidence", help="write docs/evidence/reports.json")
  parser.add_argument("--only", type=int, nargs="*", help="kinds, by number")
  options = parser.parse_args()
  chosen = [r for r in REPORTS if not options.only or r.kind in options.only]
  began, rows = time.monotonic(), []
  for report in chosen:
    start, why = time.monotonic(), tried(report)
    rows.append(
      {
        "kind": report.kind,
        "given": report.given,
        "right": report.right,
        "passed": not why,
        "why": why,
        "seconds": round(time.monotonic() - start, 2),
      }
    )
    mark = "ok  " if not why else "FAIL"
    print(f"{mark} {report.kind:2d} {report.given}: {why or report.right}")
  passed = sum(row["passed"] for row in rows)
  seconds = time.monotonic() - began
  print(f"{passed} of {len(rows)} reports end right; {seconds:.0f} s.")
  if options.evidence:
    write(options.evidence, rows, seconds)
  sys.exit(passed < len(rows))


def tried(report: Report) -> str:
  """Runs a report and returns why it failed, or "" if it passed."""
  previous = pathlib.Path.cwd()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name).resolve()
    os.chdir(folder)
    try:
      with time_limit(_SECONDS):
        report.check(folder)
    except BaseException as error:  # includes SystemExit of a command
      if isinstance(error, KeyboardInterrupt):
        raise
      frame = traceback.extract_tb(error.__traceback__)[-1]
      where = f"{pathlib.Path(frame.filename).name}:{frame.lineno}"
      text = " ".join(str(error).split())[:300]
      return f"{type(error).__name__} at {where}: {text}"
    finally:
      os.chdir(previous)
  return ""


@contextlib.contextmanager
def time_limit(seconds: int):
  """Raises TimeoutError if the body runs for longer than `seconds`."""

  def stop(number, frame):
    raise TimeoutError(f"longer than {seconds} s")

  signal.signal(signal.SIGALRM, stop)
  signal.alarm(seconds)
  try:
    yield
  finally:
    signal.alarm(0)


def write(path: str, rows: list[dict], seconds: float) -> None:
  """Writes the evidence: one row per kind, and all reports."""
  from infomin_jax import provenance

  values = []
  for kind, name in KINDS.items():
    own = [row for row in rows if row["kind"] == kind]
    passed = sum(row["passed"] for row in own)
    values.append(
      {"kind": kind, "name": name, "inputs": len(own), "passed": passed}
    )
  provenance.write(
    path,
    commands=[
      "python benchmarks/reports --evidence docs/evidence/reports.json"
    ],
    config={"seconds_for_one": _SECONDS},
    seeds=[0],
    values=values,
    extra={"reports": rows, "seconds": round(seconds)},
  )


def compile_quickly() -> None:
  """Sets the compilation options of the tests.

  Most programs of the reports compile for longer than they run.
  """
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
  from infomin_jax import runtime

  flag = "--xla_cpu_use_fusion_emitters=false"
  if runtime.jaxlib_accepts(flag):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
  import jax

  jax.devices()  # before any report, because libtpu may print lines here


if __name__ == "__main__":
  compile_quickly()
  main()
