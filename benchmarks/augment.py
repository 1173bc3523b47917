"""Views per second on the CPU of this machine: ours against three libraries.

  pip install 'infomin-jax[bench,tpu]'
  python benchmarks/augment.py --evidence docs/evidence/augment.json

Measures the simclr and infomin views at 32 and 224 pixels. Every library uses
all cores in its usual way. Ours and kornia make a batch in one process.
torchvision and albumentations make one image at a time in one process per core.
The libraries take turns, and the first round is not counted. The cost of our
views on a TPU v5e is read from a program compiled for this chip. Nothing runs
on a TPU.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from typing import Any

import augment_peers
import numpy as np

CASES = [(r, s) for s in (32, 224) for r in ("simclr", "infomin")]
BATCH = {32: 512, 224: 32}  # images per batch, over all cores
CHUNK = {32: 64, 224: 2}  # our images per core at once, so that they fit caches
SECONDS = 1.0  # shortest duration of a round
# Library -> whether it makes one image at a time, in one process per core.
SIDES = {
  "infomin_jax": False,
  "torchvision": True,
  "kornia": False,
  "albumentations": True,
}
# RandAugment of kornia draws one policy per batch. albumentations has none.
WITHOUT = {"infomin": ("kornia", "albumentations")}
# Peak bfloat16 FLOP/s and bytes/s of one TPU v5e chip, as published by Google.
PEAK = {"flops": 197e12, "bytes": 819e9}


def ours(recipe, images):
  """Returns a function that makes our views, with one JAX device per core."""
  from infomin_jax import runtime

  os.environ["JAX_PLATFORMS"] = "cpu"  # libtpu is only there to compile
  runtime.configure()
  import jax

  cores = len(os.sched_getaffinity(0))
  jax.config.update("jax_num_cpu_devices", cores)
  from infomin_jax.train.mesh import make_mesh, shard

  mesh = make_mesh()
  size = images.shape[1]
  views = jax.jit(make(recipe, size, cores * CHUNK[size]))
  index = np.arange(len(images), dtype=np.int32)
  batch = shard(mesh, {"image": images, "index": index})
  key, step = jax.random.key(0), 0

  def run():
    nonlocal step
    step += 1
    return jax.block_until_ready(views(jax.random.fold_in(key, step), batch))

  return run


def make(recipe, size, chunk=0):
  """Returns our `views(key, batch)` with one view per image."""
  from infomin_jax.views import make_views

  options = dict(name=recipe, size=size, count=1, crop_scale=(0.2, 1.0))
  return make_views(options | {"chunk": chunk}, (size, size, 3))


def worker(side, recipe, images, pipe):
  """Runs a round per message of the pipe and sends views per second."""
  maker = ours if side == "infomin_jax" else getattr(augment_peers, side)
  run = maker(recipe, images)
  run()
  pipe.send(0.0)
  while pipe.recv():
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
      run()
      count += len(images)
    pipe.send(count / (time.perf_counter() - start))


def measure(recipe, size, rounds):
  """Returns views per second of every round, `{side: [rate]}`."""
  context = multiprocessing.get_context("spawn")
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (BATCH[size], size, size, 3), np.uint8)
  cores = len(os.sched_getaffinity(0))
  pipes, processes, rates = {}, [], {}
  for side, single in SIDES.items():
    if side in WITHOUT.get(recipe, ()):
      continue
    pipes[side], rates[side] = [], []
    for part in np.array_split(images, cores) if single else [images]:
      near, far = context.Pipe()
      args = (side, recipe, part, far)
      processes.append(context.Process(target=worker, args=args, daemon=True))
      processes[-1].start()
      pipes[side].append(near)
    for pipe in pipes[side]:
      pipe.recv()
  for turn in range(rounds + 1):
    for side, side_pipes in pipes.items():
      for pipe in side_pipes:
        pipe.send(True)
      rate = sum(pipe.recv() for pipe in side_pipes)
      if turn:
        rates[side].append(rate)
  for side_pipes in pipes.values():
    for pipe in side_pipes:
      pipe.send(False)
  for process in processes:
    process.join()
  return rates


def on_tpu(recipe, size):
  """Returns FLOPs, bytes and seconds per view of the program for a TPU v5e."""
  import jax
  from jax.experimental import topologies

  topology = topologies.get_topology_desc(
    platform="tpu", topology_name="v5e:2x2"
  )
  device = jax.sharding.SingleDeviceSharding(topology.devices[0])
  count = 128
  image = (count, size, size, 3)
  batch = {
    "image": jax.ShapeDtypeStruct(image, "uint8", sharding=device),
    "index": jax.ShapeDtypeStruct((count,), "int32", sharding=device),
  }
  views, key = make(recipe, size), jax.random.key(0)
  program = jax.jit(lambda batch: views(key, batch)).lower(batch).compile()
  cost: Any = program.cost_analysis()
  flops, transferred = cost["flops"] / count, cost["bytes accessed"] / count
  seconds = max(flops / PEAK["flops"], transferred / PEAK["bytes"])
  return {"flops": flops, "bytes": transferred, "seconds": seconds}


def compare(recipe, size, rounds):
  """Returns medians of all sides, and the ratios of ours to each other side.

  Ratios are computed round by round, because the load of a machine changes.
  """
  rates = measure(recipe, size, rounds)
  ratios = {
    side: np.divide(rates["infomin_jax"], rate)
    for side, rate in rates.items()
    if side != "infomin_jax"
  }
  return {
    "case": f"{recipe}, {size} px",
    "views_per_second": {s: float(np.median(r)) for s, r in rates.items()},
    "ratio": {s: float(np.median(r)) for s, r in ratios.items()},
    "ratio_range": {
      s: [float(r.min()), float(r.max())] for s, r in ratios.items()
    },
  }


def as_rows(value):
  """Returns one row per side, in the form that all benchmarks print."""
  return [
    {
      "case": value["case"],
      "who": side,
      "value": rate,
      "unit": "views/s",
      "peak_bytes": None,
    }
    for side, rate in value["views_per_second"].items()
  ]


def main():
  """Prints one line per case, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--tpu", nargs=2, help=argparse.SUPPRESS)
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  if options.tpu:
    recipe, size = options.tpu
    print(json.dumps(on_tpu(recipe, int(size))))
    return
  values = []
  for recipe, size in CASES:
    values.append(compare(recipe, size, options.rounds))
    values[-1]["tpu_v5e"] = compiled(recipe, size)
    if not options.json:
      print(line(values[-1]), flush=True)
  if options.json:
    print(json.dumps([row for value in values for row in as_rows(value)]))
  if options.evidence:
    store(options, values)


def compiled(recipe, size):
  """Runs `on_tpu` in its own process, because it needs other settings."""
  import subprocess

  quiet = {
    "JAX_PLATFORMS": "cpu",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
  }
  command = [sys.executable, __file__, "--tpu", recipe, str(size)]
  out = subprocess.run(
    command, env=os.environ | quiet, check=True, stdout=subprocess.PIPE
  )
  return json.loads(out.stdout)


def line(value):
  """Returns a case as one line of text."""
  rates = ", ".join(
    f"{side} {rate:,.0f}" for side, rate in value["views_per_second"].items()
  )
  tpu = value["tpu_v5e"]
  return (
    f"{value['case']}: views/s {rates}; TPU v5e {tpu['flops'] / 1e6:.0f} MFLOP "
    f"and {tpu['bytes'] / 1e6:.1f} MB per view"
  )


def store(options, values):
  """Writes the evidence."""
  import importlib.metadata

  from infomin_jax import provenance

  peers = [side for side in SIDES if side != "infomin_jax"]
  provenance.write(
    options.evidence,
    commands=[f"python benchmarks/augment.py --rounds {options.rounds}"],
    config={"rounds": options.rounds, "batch": BATCH, "peak": PEAK},
    seeds=[0],
    values=values,
    extra={
      "peers": {name: importlib.metadata.version(name) for name in peers},
      "interval": "lowest and highest round, in values[].ratio_range",
    },
  )


if __name__ == "__main__":
  main()
