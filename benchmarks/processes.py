"""Differences of the losses of one run on several devices and processes.

  python benchmarks/processes.py --evidence docs/evidence/processes.json

A run is six steps of `infomin train` on colorful digits, with 64 images each,
on a CPU. Losses are read from metrics.jsonl and compared with those of one
process with one device.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import numpy as np

CASES = ((1, 1), (1, 8), (2, 2), (2, 8), (4, 4), (4, 8))  # processes, devices
STEPS = 6
COMMAND = (
  "-m infomin_jax.cli train --config=configs/colorful_digits.py "
  f"--config.steps={STEPS} --config.batch_size=64 --config.run.log_every=1 "
  "--config.run.evaluate_every=1000 --config.run.monitor_examples=64"
).split()


def losses(processes, devices, stream):
  """Returns loss and gradient norm of every step, `[steps, 2]`."""
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{s.getsockname()[1]}"
  with tempfile.TemporaryDirectory() as folder:
    workdir = pathlib.Path(folder) / "run"
    workers = []
    for i in range(processes):
      environ = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // processes),
      }
      if processes > 1:
        environ |= {
          "JAX_COORDINATOR_ADDRESS": address,
          "JAX_NUM_PROCESSES": str(processes),
          "JAX_PROCESS_ID": str(i),
        }
      command = [sys.executable, *COMMAND, f"--workdir={workdir}"]
      command.append(f"--config.objective.contrastive.stream={stream}")
      workers.append(
        subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
      )
    statuses = [process.wait() for process in workers]
    if any(statuses):
      raise RuntimeError(f"{processes} processes ended with {statuses}")
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
  rows = [json.loads(row) for row in rows]
  return np.array([[row["loss"], row["grad_norm"]] for row in rows])


def compare():
  """Returns one row per case, with the largest relative differences."""
  values, reference = [], None
  for processes, devices in CASES:
    for stream in (False, True):
      rows = losses(processes, devices, stream)
      reference = rows if reference is None else reference
      gaps = np.abs(rows - reference) / np.abs(reference)
      values.append(
        {
          "processes": processes,
          "devices": devices,
          "scores": "streamed" if stream else "matrix",
          "loss_first": float(gaps[0, 0]),
          "gradient_first": float(gaps[0, 1]),
          "loss_all": float(gaps[:, 0].max()),
          "gradient_all": float(gaps[:, 1].max()),
        }
      )
      print(values[-1], file=sys.stderr, flush=True)
  return values


def as_rows(values):
  """Returns one row per case, in the form that all benchmarks print."""
  return [
    {
      "case": f"{v['processes']} processes, {v['devices']} devices",
      "who": v["scores"],
      "value": v["loss_all"],
      "unit": "relative gap of the loss",
      "peak_bytes": None,
    }
    for v in values
  ]


def main():
  """Prints one line per case, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  values = compare()
  if options.json:
    print(json.dumps(as_rows(values)))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=["python benchmarks/processes.py"],
      config={"steps": STEPS, "cases": CASES},
      seeds=[0],
      values=values,
      extra={"interval": None},
    )


if __name__ == "__main__":
  main()
