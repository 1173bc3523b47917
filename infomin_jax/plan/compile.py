"""Memory, communication and time of a run on chips that are not present.

The training step itself is compiled for these chips. Times are lower bounds:
the best that a chip's arithmetic, memory and links allow.
"""

import contextlib
import math
import re
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from infomin_jax import data
from infomin_jax.errors import UserError
from infomin_jax.plan.chips import Slice
from infomin_jax.train import mesh as meshes
from infomin_jax.train.experiment import Experiment, make_experiment

_BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "u16": 2, "s16": 2}
_BYTES |= {"pred": 1, "u8": 1, "s8": 1, "f64": 8, "s64": 8, "u64": 8}
_COLLECTIVE = re.compile(
  r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|"
  r"collective-permute)(-start)?\("
)


class Collective(NamedTuple):
  """Communications of one kind and size in a step.

  Attributes:
    kind: such as `all-reduce`.
    bytes: size of its result on one chip.
    count: number of them.
    what: its largest array in the compiler's notation, as `f32[2048,128]`.
  """

  kind: str
  bytes: int
  count: int
  what: str


def compile_step(experiment: Experiment) -> Any:
  """Compiles the training step for the experiment's mesh.

  Raises:
    TooLarge: it does not fit the chips' memory.
  """
  mesh, config = experiment.mesh, experiment.config

  def placed(tree, sharding):
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
    )

  state = placed(jax.eval_shape(experiment.init), meshes.whole(mesh))
  size, resident = config.batch_size, {}
  batch = experiment.shape_of_batch(size)
  if config.data.resident and not config.data.host_crops:
    resident = experiment.shape_of_batch(len(experiment.source))
    batch = {"index": batch["index"]}
  lowered = experiment.lowered_step(
    state,
    placed(batch, meshes.by_row(mesh)),
    placed(resident, meshes.whole(mesh)),
  )
  try:
    with _without_cache():
      return lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    raise TooLarge(_needed(str(error))) from error


@contextlib.contextmanager
def _without_cache():
  """Disables the compilation cache while open."""
  # JAX writes programs for absent chips to its cache but cannot read them back.
  config: Any = jax.config
  before = config.jax_enable_compilation_cache
  try:
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
  finally:
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()


class TooLarge(UserError):
  """The step needs more memory than a chip has."""


def _needed(text: str) -> str:
  """Returns needed and available memory, from the compiler's long message."""
  match = re.search(r"[Uu]sed ([\d.]+\w) of ([\d.]+\w)", text)
  match = match or re.search(r"\(([\d.]+\w)\) exceeds.*?\(([\d.]+\w)\)", text)
  return f"needs {match[1]}B of {match[2]}B" if match else text.splitlines()[0]


def collectives(program: str) -> list[Collective]:
  """Returns the communications of a compiled program, largest total first."""
  counts: dict[tuple[str, int, str], int] = {}
  for line in program.splitlines():
    if match := _COLLECTIVE.search(line):
      arrays = re.findall(r"(\w+)\[([\d,]*)\]", match[1])
      sizes = [
        (
          _BYTES.get(kind, 4)
          * math.prod(map(int, filter(None, dims.split(",")))),
          f"{kind}[{dims}]",
        )
        for kind, dims in arrays
      ]
      if match[3] and match[2] != "all-reduce":
        # The type of a `-start` lists operands, then results. That of an
        # all-reduce lists results only.
        sizes = sizes[len(sizes) // 2 :]
      key = match[2], sum(size for size, _ in sizes), max(sizes)[1]
      counts[key] = counts.get(key, 0) + 1
  rows = [
    Collective(kind, size, count, what)
    for (kind, size, what), count in counts.items()
  ]
  return sorted(rows, key=lambda row: -row.bytes * row.count)


def plan(config, chips: Slice, images_per_core: float) -> dict[str, Any]:
  """Returns one row of `infomin plan`.

  Args:
    config: the run's configuration.
    chips: the chips to compile for.
    images_per_core: images per second that one host core reads.

  Returns:
    A row of `infomin plan --json`: bytes, FLOPs and seconds per chip and step.
    If the step does not fit, `fits` is False and `why` gives the reason.

  Raises:
    UserError: as for `make_experiment`.
  """
  source = data.load_or_absent(config.data, config.data.split)
  experiment = make_experiment(config, chips.devices, source)
  chip, batch = chips.chip, config.batch_size
  row: dict[str, Any] = {
    "topology": chips.name,
    "slices": chips.slices,
    "chips": chips.chips,
    "batch": batch,
  }
  try:
    compiled = compile_step(experiment)
  except TooLarge as error:
    return row | {"fits": False, "why": str(error)}
  # The compiler's figures are those of one device, and some chips are two.
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  communications = collectives(compiled.as_text())
  flops = cost["flops"] * chip.devices
  moved = cost["bytes accessed"] * chip.devices
  sent = sum(row.bytes * row.count * _share(row.kind) for row in communications)
  times = {
    "arithmetic": flops / chip.flops,
    "memory": moved / chip.bandwidth,
    "links": sent / chip.links if chips.chips > 1 else 0.0,
  }
  limit = max(times, key=lambda name: times[name])
  rate = batch / times[limit]
  return row | {
    "fits": True,
    "bytes_per_chip": {
      "limit": chip.memory,
      "peak": memory.peak_memory_in_bytes * chip.devices,
      "state": memory.argument_size_in_bytes * chip.devices,
      "temporary": memory.temp_size_in_bytes * chip.devices,
      "program": memory.generated_code_size_in_bytes * chip.devices,
    },
    "flops_per_chip": flops,
    "bytes_moved_per_chip": moved,
    "collectives": [row._asdict() for row in communications],
    "seconds": times,
    "limit": limit,
    "roofline_seconds": times[limit],
    "images_per_second": rate,
    "host_cores": math.ceil(
      rate / chips.chips * min(chip.per_host, chips.chips) / images_per_core
    ),
    "scores": experiment.forms(),
  }


def _share(kind: str) -> float:
  """Returns the bytes that a chip sends per byte of the result."""
  # In a ring of n chips an all-reduce sends 2 (n - 1) / n bytes per byte, an
  # all-gather (n - 1) / n. These are the limits of large n.
  return 2.0 if kind == "all-reduce" else 1.0


def largest(config, chips: Slice, images_per_core: float) -> dict[str, Any]:
  """Returns `plan` of the largest batch that fits.

  The batch is a multiple of 8 images per device. The memory of two small
  batches predicts the limit. The predicted batch is compiled too, and reduced
  until it fits.
  """
  config = config.copy_and_resolve_references()
  unit = 8 * len(chips.devices) * config.accumulate * config.grad_cache
  rows = []
  for batch in (unit, 2 * unit):
    config.batch_size = batch
    rows.append(plan(config, chips, images_per_core))
    if not rows[-1]["fits"]:
      return rows[0] if rows[0]["fits"] else rows[-1]
  peaks = [row["bytes_per_chip"]["peak"] for row in rows]
  each = max(peaks[1] - peaks[0], 1)
  units = int((chips.chip.memory - peaks[0]) / each) + 1
  while units > 2:
    config.batch_size = units * unit
    row = plan(config, chips, images_per_core)
    if row["fits"]:
      return row
    units = min(units - 1, int(np.floor(0.93 * units)))
  return rows[1]
