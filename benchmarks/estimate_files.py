"""`infomin estimate X.npy Y.npy` as a user runs it, on small and large files.

  python benchmarks/estimate_files.py \\
      --evidence docs/evidence/estimate_files.json

The pairs are those of `sparse_5v5` (5 + 5 dimensions, 1.02 nats). Seconds are
those of the whole process, start and compilation included.
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
  """One run of the command on files of so many samples."""
  import numpy as np

  from infomin_jax.mi.tasks.beyond_normal import TASKS

  task = TASKS[TASK]
  paths = [str(folder / f"{name}{samples}.npy") for name in ("x", "y")]
  for path, values in zip(paths, task.sample(samples, 0), strict=True):
    np.save(path, values)
  infomin = str(pathlib.Path(sys.executable).with_name("infomin"))
  began = time.perf_counter()
  done = subprocess.run(
    [infomin, "estimate", *paths, "--json"],
    capture_output=True,
    text=True,
    check=True,
  )
  seconds = time.perf_counter() - began
  # The largest child so far, and sizes grow; Linux counts in KiB.
  peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
  found = json.loads(done.stdout)
  return {
    "task": TASK,
    "samples": samples,
    "truth": task.mi,
    "nats": found["nats"],
    "interval": found["interval"],
    "flags": found["flags"],
    "seconds": seconds,
    "peak_bytes": peak,
  }


def main():
  """Prints a line a size, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
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
