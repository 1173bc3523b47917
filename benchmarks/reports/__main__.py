"""Strangers' inputs: public bug reports of this field's tools, made small.

  python benchmarks/reports --evidence docs/evidence/reports.json
  python benchmarks/reports --only 17

Each of them is built in an empty folder and given to the product. It must end
in the right value, or in one clear line that refuses it or says what to doubt;
exit status 1 if one does not. Add a report: one entry in the REPORTS of
`images`, `paths`, `tables`, `weights` or `training`.
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
_SECONDS = 60  # the most that one report may take


def main() -> None:
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
  """Returns why a report ends wrong; empty if it ends right."""
  before = pathlib.Path.cwd()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name).resolve()
    os.chdir(folder)
    try:
      with time_limit(_SECONDS):
        report.check(folder)
    except BaseException as error:  # also the exit of a command
      if isinstance(error, KeyboardInterrupt):
        raise
      place = traceback.extract_tb(error.__traceback__)[-1]
      where = f"{pathlib.Path(place.filename).name}:{place.lineno}"
      text = " ".join(str(error).split())[:300]
      return f"{type(error).__name__} at {where}: {text}"
    finally:
      os.chdir(before)
  return ""


@contextlib.contextmanager
def time_limit(seconds: int):
  """Raises TimeoutError in what runs longer."""

  def stop(number, frame):
    raise TimeoutError(f"longer than {seconds} s")

  signal.signal(signal.SIGALRM, stop)
  signal.alarm(seconds)
  try:
    yield
  finally:
    signal.alarm(0)


def write(path: str, rows: list[dict], seconds: float) -> None:
  """Writes the evidence: one line per kind, and all reports."""
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
  """Sets what tests set too: most programs run for less than they compile."""
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
  from infomin_jax import runtime

  flag = "--xla_cpu_use_fusion_emitters=false"
  if runtime.jaxlib_accepts(flag):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
  import jax

  jax.devices()  # now, since libtpu writes lines where it is installed


if __name__ == "__main__":
  compile_quickly()
  main()
