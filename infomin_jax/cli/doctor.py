"""Check this machine, and print what works and what to do next.

  infomin doctor

It prints devices, versions, settings, free disk space, which data sets are
ready, and the speed of a small step and of its input. It takes half a minute;
`--quick` omits the speed.
"""

import os
import shutil
import tempfile
import time
from typing import Any

from absl import flags

from infomin_jax import paths, runtime
from infomin_jax.cli.train import define_config
from infomin_jax.errors import UserError
from infomin_jax.output import to_json

STEPS = 20
ROOM = 5 * 2**30  # free bytes on a disk below which there is a warning


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin doctor`."""
  del argv
  flags.DEFINE_boolean("quick", False, "omit the speed", flag_values=values)
  paths.define("data_dir", "", "folder of prepared data sets", values)
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Checks and prints; see the docstring of the module."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  from infomin_jax import provenance

  device = provenance.device()
  room = shutil.disk_usage(os.getcwd()).free
  facts: dict[str, Any] = {
    "devices": f"{device['count']} of {device['kind']}",
    "cpu": f"{len(os.sched_getaffinity(0))} cores of {device['cpu']}",
    **provenance.versions(),
    "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    "compilation cache": _cache(),
    "free disk": f"{room / 2**30:.0f} GiB here",
    "data sets": ", ".join(_ready(values.data_dir)),
  }
  speed = {} if values.quick else _speed()
  facts |= speed
  facts["next"] = _next(device, room, facts["data sets"], speed)
  if values.json:
    print(to_json(facts, 2))
    return
  for name, value in facts.items():
    for line in value if isinstance(value, list) else [value]:
      print(f"{name:18s} {line}")


def _cache() -> str:
  """Returns the folder of compiled programs, and a note if it is read-only."""
  folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
  if folder and "://" not in folder:
    try:
      os.makedirs(folder, exist_ok=True)
      with tempfile.TemporaryFile(dir=folder):
        pass
    except OSError as error:
      return f"{folder} ({error.strerror}: each start compiles again)"
  return folder


def _ready(data_dir: str) -> list[str]:
  """Returns data sets that can be read here and need no argument."""
  from infomin_jax import data

  return [row["name"] for row in data.describe(data_dir) if row["ready"]]


def _speed() -> dict[str, str]:
  """Measures a training step of the quickstart, and reading its images."""
  import jax

  from infomin_jax.train.experiment import make_experiment

  values = flags.FlagValues()
  argv = ["infomin doctor", "--config=configs/colorful_digits.py"]
  define_config(values, argv)
  values(argv)
  experiment = make_experiment(values.config)
  step, state = experiment.step(), experiment.init()
  batches = experiment.batches(0)
  began = time.perf_counter()
  state, _ = step(state, next(batches), experiment.resident)
  jax.block_until_ready(state.step)
  compiled = time.perf_counter() - began
  began = time.perf_counter()
  loaded = [next(batches) for _ in range(STEPS)]
  reading = time.perf_counter() - began
  began = time.perf_counter()
  for batch in loaded:
    state, _ = step(state, batch, experiment.resident)
  jax.block_until_ready(state)
  images = STEPS * experiment.config.batch_size
  stepping = time.perf_counter() - began
  return {
    "first step": f"{compiled:.1f} s with compilation",
    "step": f"{images / stepping:,.0f} images/s (a small network of digits)",
    "input": f"{images / reading:,.0f} images/s",
  }


def _next(device, room: int, ready: str, speed: dict[str, str]) -> list[str]:
  """Returns what to do, the worst obstacles first."""
  advice = []
  if room < ROOM:
    advice.append(
      f"Only {room / 2**30:.1f} GiB are free here: checkpoints and prepared "
      "sets need more."
    )
  if device["kind"] == "cpu" and shutil.which("nvidia-smi"):
    advice.append(
      "There is a GPU that JAX does not use: pip install 'infomin-jax[gpu]'."
    )
  if runtime.has_tpu_chips() and device["kind"] == "cpu":
    advice.append(
      "There are TPUs that JAX does not use: pip install 'infomin-jax[tpu]'."
    )
  if "fashion_mnist" not in ready:
    advice.append(
      "No photographs are here yet: infomin data list shows how to get some."
    )
  if speed:
    advice.append(
      "infomin train --config configs/colorful_digits.py --workdir runs/first"
    )
  return advice
