"""Memory of the symmetric contrastive loss on eight devices, by batch.

  pip install 'infomin-jax[tpu]'
  python benchmarks/ring.py --evidence docs/evidence/ring.json

Loss and gradient in both embeddings, `[b, 512]` in float32, rows shared by the
devices: with the matrix of scores, and streamed, where columns go round a
ring. For eight chips of v5e, which are not here, what the compiled program sets
aside on each beside its inputs; on eight CPU devices of one process what an
evaluation adds to the resident memory, an eighth of it. Each runs in a process
of its own.
"""

import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import numpy as np

DIM, TEMPERATURE, DEVICES, TOPOLOGY = 512, 0.1, 8, "v5e:2x4"
SIZES = tuple(1024 * 2**k for k in range(9))  # 1k to 256k
# What an evaluation on this machine may hold and do.
LARGEST = {"matrix": 16384, "ring": 32768}


def step(form, b):
  """The jitted loss with its gradient, and shapes of its arguments."""
  import jax
  import jax.numpy as jnp

  from infomin_jax.critics import inner
  from infomin_jax.estimators import Factored, infonce

  scores = inner if form == "matrix" else Factored

  def loss(x, y):
    return jnp.log(b) - infonce(scores(x / TEMPERATURE, y), "both")

  return jax.jit(jax.value_and_grad(loss, (0, 1)))


def planned(form, b):
  """Bytes that a chip needs beside its inputs, and that it sends."""
  import jax

  jax.config.update("jax_platforms", "cpu")
  from infomin_jax.plan import chips
  from infomin_jax.plan.compile import collectives
  from infomin_jax.train.mesh import by_row, make_mesh

  absent = chips.absent(TOPOLOGY)
  mesh = make_mesh(absent.devices)
  row = jax.ShapeDtypeStruct((b, DIM), "float32", sharding=by_row(mesh))
  with jax.set_mesh(mesh):
    lowered = step(form, b).lower(row, row)
  try:
    compiled: Any = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    return {"bytes": None}
  memory = compiled.memory_analysis()
  needed = memory.temp_size_in_bytes + memory.output_size_in_bytes
  found = collectives(compiled.as_text())
  return {
    "bytes": needed,
    "gathered": sum(c.bytes for c in found if c.kind == "all-gather"),
    "limit": absent.chip.memory,
  }


def memory(entry):
  """A line of this process's /proc status, in bytes."""
  text = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(text.split(f"{entry}:")[1].split()[0])


def measured(form, b):
  """Bytes a device that one evaluation adds, its seconds and its loss."""
  import jax

  from infomin_jax import runtime

  runtime.configure()
  from infomin_jax.train.mesh import by_row, make_mesh

  mesh = make_mesh()
  x, noise = np.random.default_rng(0).standard_normal((2, b, DIM), np.float32)
  x, y = (v / np.linalg.norm(v, axis=1)[:, None] for v in (x, x + noise))
  with jax.set_mesh(mesh):
    x, y = jax.device_put((x, y), by_row(mesh))
    run = step(form, b).lower(x, y).compile()
    jax.block_until_ready((x, y))
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free, but still resident
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, began = memory("VmRSS"), time.perf_counter()
    loss, _ = jax.block_until_ready(run(x, y))
  return {
    "bytes": max(0, memory("VmHWM") - before) // DEVICES,
    "seconds": time.perf_counter() - began,
    "loss": float(loss),
  }


def rows_of(sizes):
  """A row a form, place and size; forms must agree where both were measured."""
  environ = os.environ | {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": str(DEVICES),
  }
  for b in sizes:
    losses = []
    for form in ("matrix", "ring"):
      for where in ("planned", "measured"):
        if where == "measured" and b > LARGEST[form]:
          continue
        made = subprocess.run(
          [sys.executable, __file__, "--worker", where, form, str(b)],
          env=environ,
          check=True,
          stdout=subprocess.PIPE,
        )
        row = {"b": b, "form": form, "where": where, **json.loads(made.stdout)}
        losses += [row["loss"]] if "loss" in row else []
        yield row
    if losses and max(losses) - min(losses) > 1e-5 * abs(losses[0]):
      raise SystemExit(f"b = {b}: the losses of the two forms are {losses}.")


def main():
  """Prints a line a row, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
  parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.worker:
    where, form, b = options.worker
    print(json.dumps(globals()[where](form, int(b))))
    return
  values = []
  for row in rows_of([int(b) for b in options.sizes.split(",")]):
    values.append(row)
    if not options.json:
      print(row, flush=True)
  if options.json:
    rows = [
      {
        "case": f"b={row['b']}, {row['where']}",
        "who": row["form"],
        "value": row.get("seconds"),
        "unit": "seconds",
        "peak_bytes": row["bytes"],
      }
      for row in values
    ]
    print(json.dumps(rows))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=[f"python benchmarks/ring.py --sizes {options.sizes}"],
      config={"dim": DIM, "devices": DEVICES, "topology": TOPOLOGY},
      seeds=[0],
      values=values,
      extra={"interval": None},
    )


if __name__ == "__main__":
  main()
