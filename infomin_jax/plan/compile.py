"""What a run would need on chips that are not here, read from its own step.

The very step that `train` runs is compiled for them. Times are bounds from
below: what the chip's arithmetic, memory and links allow at best.
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
    bytes: what each leaves on a chip.
    count: how many.
    what: the largest array of it, as the compiler writes it: `f32[2048,128]`.
  """

  kind: str
  bytes: int
  count: int
  what: str


def compile_step(experiment: Experiment) -> Any:
  """The training step, compiled for the experiment's mesh.

  Raises:
    UserError: it does not fit the chips' memory.
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
  """JAX can write programs for absent chips to its cache, but not read them."""
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
  """The compiler's own numbers, out of its long message."""
  found = re.search(r"[Uu]sed ([\d.]+\w) of ([\d.]+\w)", text)
  found = found or re.search(r"\(([\d.]+\w)\) exceeds.*?\(([\d.]+\w)\)", text)
  return f"needs {found[1]}B of {found[2]}B" if found else text.splitlines()[0]


def collectives(program: str) -> list[Collective]:
  """The communications of a compiled program, the largest first."""
  counts: dict[tuple[str, int, str], int] = {}
  for line in program.splitlines():
    if found := _COLLECTIVE.search(line):
      arrays = re.findall(r"(\w+)\[([\d,]*)\]", found[1])
      sizes = [
        (
          _BYTES.get(kind, 4)
          * math.prod(map(int, filter(None, dims.split(",")))),
          f"{kind}[{dims}]",
        )
        for kind, dims in arrays
      ]
      if found[3] and found[2] != "all-reduce":
        sizes = sizes[len(sizes) // 2 :]  # a start gives operands and results
      key = found[2], sum(size for size, _ in sizes), max(sizes)[1]
      counts[key] = counts.get(key, 0) + 1
  rows = [
    Collective(kind, size, count, what)
    for (kind, size, what), count in counts.items()
  ]
  return sorted(rows, key=lambda row: -row.bytes * row.count)


def plan(config, chips: Slice, images_per_core: float) -> dict[str, Any]:
  """One row of `infomin plan`.

  Args:
    config: of the run.
    chips: to compile for.
    images_per_core: images a second that a core of the host reads.

  Returns:
    What DESIGN says of `plan --json`: bytes, FLOPs and seconds of a chip and
    a step. Where it does not fit, `fits` is False and `why` says so.

  Raises:
    UserError: what `make_experiment` refuses.
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
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  found = collectives(compiled.as_text())
  flops = cost["flops"] * chip.devices
  moved = cost["bytes accessed"] * chip.devices
  sent = sum(row.bytes * row.count * _share(row.kind) for row in found)
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
    "collectives": [row._asdict() for row in found],
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
  """Bytes that a chip sends for each byte of the result, of many chips."""
  return 2.0 if kind == "all-reduce" else 1.0


def largest(config, chips: Slice, images_per_core: float) -> dict[str, Any]:
  """`plan` of the largest batch that fits, a multiple of 8 images a chip.

  The memory of two batches tells where the limit must be; that is compiled
  too, and made smaller until it fits.
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
