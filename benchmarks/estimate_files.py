"""Time and memory of `infomin estimate X.npy Y.npy` by the size of the files.

  python benchmarks/estimate_files.py \\
      --evidence docs/evidence/estimate_files.json

The pairs are those of the task `sparse_5v5` (5 + 5 dimensions, 1.02 nats).
Seconds are those of the whole process, including its start and compilation.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

TASK, SIZES = "sparse_5v5", (1_000, 10_000, 100_000)


def measure(samples, folder):
  """Runs the command on files with this number of samples; returns a row."""
  import numpy as np

  from infomin_jax.mi.tasks.beyond_normal import TASKS

  task = TASKS[TASK]
  paths = [str(folder / f"{name}{samples}.npy") for name in ("x", "y")]
  for path, values in zip(paths, task.sample(samples, 0), strict=True):
    np.save(path, values)
  infomin = str(pathlib.Path(sys.executable).with_name("infomin"))
  start = time.perf_counter()
  done = subprocess.run(
    [infomin, "estimate", *paths, "--json"],
    capture_output=True,
    text=True,
    check=True,
  )
  seconds = time.perf_counter() - start
  # Peak of all children so far: correct because sizes grow. Linux uses KiB.
  peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
  result = json.loads(done.stdout)
  return {
    "task": TASK,
    "samples": samples,
    "truth": task.mi,
    "nats": result["nats"],
    "interval": result["interval"],
    "flags": result["flags"],
    "seconds": seconds,
    "peak_bytes": peak,
  }


def main():
  """Prints one line per size, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    for samples in SIZES:
      rows.append(row := measure(samples, pathlib.Path(folder)))
      if not options.json:
        low, high = row["interval"]
        print(
          f"{samples:7,} samples: {row['nats']:.3f} in [{low:.3f}, {high:.3f}] "
          f"nats, truth {row['truth']:.3f}; {row['seconds']:.1f} s, "
          f"{row['peak_bytes'] / 2**20:,.0f} MiB"
        )
  if options.json:
    print(json.dumps(rows))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=["python benchmarks/estimate_files.py"],
      config={"task": TASK, "sizes": list(SIZES)},
      seeds=[0],
      values=rows,
      extra={"interval": "95 %, in values[].interval: Bayesian bootstrap"},
    )


if __name__ == "__main__":
  main()
