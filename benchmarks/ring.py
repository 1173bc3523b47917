"""Memory of the symmetric contrastive loss on eight devices, by batch size.

  pip install 'infomin-jax[tpu]'
  python benchmarks/ring.py --evidence docs/evidence/ring.json

Computes loss and gradient in both embeddings, `[b, 512]` in float32, with rows
split over the devices. One form has the matrix of scores. The other streams the
columns around a ring of devices. `planned` is the memory per chip, apart from
inputs, of the program compiled for eight v5e chips. No TPU is needed.
`measured` is an eighth of the resident memory that one evaluation adds on eight
CPU devices of one process. Each evaluation has its own process.
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
# Largest batch size that is measured on this machine, by form.
LARGEST = {"matrix": 16384, "ring": 32768}


def step(form, b):
  """Returns the jitted loss with its gradient in both embeddings."""
  import jax
  import jax.numpy as jnp

  from infomin_jax.critics import inner
  from infomin_jax.estimators import Factored, infonce

  scores = inner if form == "matrix" else Factored

  def loss(x, y):
    return jnp.log(b) - infonce(scores(x / TEMPERATURE, y), "both")

  return jax.jit(jax.value_and_grad(loss, (0, 1)))


def planned(form, b):
  """Returns bytes per chip apart from inputs, gathered bytes, and the limit.

  The bytes are None if the program does not fit into the memory of a chip.
  """
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
  operations = collectives(compiled.as_text())
  return {
    "bytes": needed,
    "gathered": sum(c.bytes for c in operations if c.kind == "all-gather"),
    "limit": absent.chip.memory,
  }


def memory(entry):
  """Returns an entry of this process's /proc status in bytes."""
  text = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(text.split(f"{entry}:")[1].split()[0])


def measured(form, b):
  """Returns bytes per device that one evaluation adds, its seconds and loss."""
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
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # freed pages may be resident still
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    resident, start = memory("VmRSS"), time.perf_counter()
    loss, _ = jax.block_until_ready(run(x, y))
  return {
    "bytes": max(0, memory("VmHWM") - resident) // DEVICES,
    "seconds": time.perf_counter() - start,
    "loss": float(loss),
  }


def rows_of(sizes):
  """Yields one row per size, form and kind (planned or measured).

  Raises:
    SystemExit: the losses of the two forms differ.
  """
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
        process = subprocess.run(
          [sys.executable, __file__, "--worker", where, form, str(b)],
          env=environ,
          check=True,
          stdout=subprocess.PIPE,
        )
        row = {
          "b": b,
          "form": form,
          "where": where,
          **json.loads(process.stdout),
        }
        losses += [row["loss"]] if "loss" in row else []
        yield row
    if losses and max(losses) - min(losses) > 1e-5 * abs(losses[0]):
      raise SystemExit(f"b = {b}: the losses of the forms differ: {losses}.")


def main():
  """Prints one line per row, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
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
