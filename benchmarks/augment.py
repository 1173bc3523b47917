"""Views a second on this machine's CPU: ours against three libraries.

  pip install 'infomin-jax[bench,tpu]'
  python benchmarks/augment.py --evidence docs/evidence/augment.json

The simclr and infomin views at 32 and 224 pixels. Every side has all cores, in
the form it likes: ours and kornia make a batch in one process, torchvision and
albumentations one image at a time in a process a core. Sides take turns; the
first round is not counted. What our views cost on a TPU v5e is read from the
program compiled for one; nothing runs on it.
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
BATCH = {32: 512, 224: 32}  # images a batch, of every side together
CHUNK = {32: 64, 224: 2}  # of ours, on each core: what its cache holds
SECONDS = 1.0  # of a round, at the least
# Whether a side makes one image at a time, in a process a core.
SIDES = {
  "infomin_jax": False,
  "torchvision": True,
  "kornia": False,
  "albumentations": True,
}
# kornia's RandAugment draws one policy a batch; albumentations has none.
WITHOUT = {"infomin": ("kornia", "albumentations")}
# Of one TPU v5e chip, as Google gives them: bfloat16 FLOP/s and bytes/s.
PEAK = {"flops": 197e12, "bytes": 819e9}


def ours(recipe, images):
  """Views of a batch, each core a device of its own."""
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
  """Our `views(key, batch)`, one view of each image."""
  from infomin_jax.views import make_views

  options = dict(name=recipe, size=size, count=1, crop_scale=(0.2, 1.0))
  return make_views(options | {"chunk": chunk}, (size, size, 3))


def worker(side, recipe, images, pipe):
  """Makes views for a while whenever asked, answering with views a second."""
  maker = ours if side == "infomin_jax" else getattr(augment_peers, side)
  run = maker(recipe, images)
  run()
  pipe.send(0.0)
  while pipe.recv():
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
      run()
      count += len(images)
    pipe.send(count / (time.perf_counter() - began))


def measure(recipe, size, rounds):
  """Views a second of every round, `{side: [rate]}`."""
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
      mine, other = context.Pipe()
      args = (side, recipe, part, other)
      processes.append(context.Process(target=worker, args=args, daemon=True))
      processes[-1].start()
      pipes[side].append(mine)
    for pipe in pipes[side]:
      pipe.recv()
  for turn in range(rounds + 1):
    for side, several in pipes.items():
      for pipe in several:
        pipe.send(True)
      rate = sum(pipe.recv() for pipe in several)
      if turn:
        rates[side].append(rate)
  for several in pipes.values():
    for pipe in several:
      pipe.send(False)
  for process in processes:
    process.join()
  return rates


def on_tpu(recipe, size):
  """FLOPs, bytes and their time a view on a TPU v5e, from its program."""
  import jax
  from jax.experimental import topologies

  topology = topologies.get_topology_desc(
    platform="tpu", topology_name="v5e:2x2"
  )
  place = jax.sharding.SingleDeviceSharding(topology.devices[0])
  count = 128
  image = (count, size, size, 3)
  batch = {
    "image": jax.ShapeDtypeStruct(image, "uint8", sharding=place),
    "index": jax.ShapeDtypeStruct((count,), "int32", sharding=place),
  }
  views, key = make(recipe, size), jax.random.key(0)
  program = jax.jit(lambda batch: views(key, batch)).lower(batch).compile()
  cost: Any = program.cost_analysis()
  flops, moved = cost["flops"] / count, cost["bytes accessed"] / count
  seconds = max(flops / PEAK["flops"], moved / PEAK["bytes"])
  return {"flops": flops, "bytes": moved, "seconds": seconds}


def compare(recipe, size, rounds):
  """Medians of all sides and how much faster ours is, round by round."""
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
  """One row a side, as all benchmarks print them."""
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
  """Prints a line a case, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--tpu", nargs=2, help=argparse.SUPPRESS)
  parser.add_argument("--evidence", help="also store the result as this file")
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
  """`on_tpu` in a process of its own, which takes another backend."""
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
  """A case for people."""
  rates = ", ".join(
    f"{side} {rate:,.0f}" for side, rate in value["views_per_second"].items()
  )
  tpu = value["tpu_v5e"]
  return (
    f"{value['case']}: views/s {rates}; TPU v5e {tpu['flops'] / 1e6:.0f} MFLOP "
    f"and {tpu['bytes'] / 1e6:.1f} MB a view"
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
