"""Compute what a run needs on TPUs, without TPUs: memory, time, communication.

  infomin plan --config configs/imagenet_infomin.py --topology v5e:4x4
  infomin plan --config configs/imagenet_infomin.py --topology v5p:8x8x8 \\
      --batch auto --compare encoder.remat=True,encoder.dtype=float32

It compiles the step of `infomin train` for chips that this machine does not
have (`pip install 'infomin-jax[tpu]'`). A ResNet-50 takes minutes. Times are
lower bounds from the published figures of the chips. The network that joins
--slices is assumed to be as fast as the links within a slice, but it is slower.
The data set is not needed.
"""

import json
from typing import Any

from absl import flags

from infomin_jax.cli.train import define_config, required_config
from infomin_jax.errors import UserError
from infomin_jax.output import to_json


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin plan`."""
  define_config(values, argv)
  place: dict[str, Any] = dict(flag_values=values)
  flags.DEFINE_string(
    "topology", None, "chips, such as v5e:16x16 or v5p:8x8x8", **place
  )
  flags.DEFINE_integer(
    "slices", 1, "number of such slices, on one network", lower_bound=1, **place
  )
  flags.DEFINE_string(
    "batch", "", "global batch size; auto is the largest that fits", **place
  )
  flags.DEFINE_list(
    "compare",
    [],
    "changes of the config, KEY=VALUE, one row per change",
    **place,
  )
  flags.DEFINE_float(
    "images_per_core",
    500.0,
    "images per second that one core of a host reads",
    lower_bound=1e-3,
    **place,
  )
  flags.DEFINE_boolean("json", False, "print JSON", **place)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Plans; see the docstring of the module."""
  del command
  config = required_config(values, rest)
  if not values.topology:
    raise UserError("--topology is missing: name chips, such as v5e:4x4.")
  if values.batch and values.batch != "auto":
    if not values.batch.isdigit():
      raise UserError(
        f"--batch is {values.batch!r}: expected a number of images, or auto."
      )
    config.batch_size = int(values.batch)
  configs = {"as it is": config}
  for change in values.compare:
    configs[change] = changed(config, change)
  import jax

  jax.config.update("jax_platforms", "cpu")  # local accelerators are not used

  from infomin_jax.plan import chips
  from infomin_jax.plan.compile import largest, plan

  slices = chips.absent(values.topology, values.slices)
  make = largest if values.batch == "auto" else plan
  rows = []
  for name, one in configs.items():
    rows.append({"change": name, **make(one, slices, values.images_per_core)})
    if not values.json:
      print(shown(rows[-1]), flush=True)
  if values.json:
    print(to_json(rows if len(rows) > 1 else rows[0], 2))


def changed(config, change: str):
  """Returns a copy of a config with one key set, as by --config.KEY=VALUE."""
  key, _, text = change.partition("=")
  config = config.copy_and_resolve_references()
  at, *inner = key.split(".")
  holder = config
  for name in inner:
    holder, at = holder.get(at, None), name
    if not hasattr(holder, "keys"):
      break
  if not text or not hasattr(holder, "keys") or at not in holder:
    raise UserError(
      f"--compare {change}: expected KEY=VALUE with a key of the config, such "
      "as encoder.remat=True."
    )
  try:
    value = json.loads(text.lower() if text in ("True", "False") else text)
  except json.JSONDecodeError:
    value = text
  try:
    holder[at] = value
  except TypeError as error:
    raise UserError(f"--compare {change}: {error}") from error
  return config


def shown(row: dict[str, Any]) -> str:
  """Returns a row as text."""
  head = (
    f"{row['change']}: batch {row['batch']} on {row['chips']} chips of "
    + (f"{row['slices']} x " if row["slices"] > 1 else "")
    + row["topology"]
  )
  if not row["fits"]:
    return f"{head} does not fit: {row['why']}"
  gib = {key: x / 2**30 for key, x in row["bytes_per_chip"].items()}
  times = ", ".join(
    f"{name} {1e3 * seconds:.1f}" for name, seconds in row["seconds"].items()
  )
  lines = [
    f"{head} fits: {gib['peak']:.2f} of {gib['limit']:.0f} GiB per chip (state "
    f"{gib['state']:.2f}, temporary {gib['temporary']:.2f})",
    f"  step at least {1e3 * row['roofline_seconds']:.1f} ms, by "
    f"{row['limit']} (ms: {times}): at most {row['images_per_second']:,.0f} "
    f"images/s, which need {row['host_cores']} cores on each host to be read",
    f"  {row['flops_per_chip'] / 1e9:,.0f} GFLOP and "
    f"{row['bytes_moved_per_chip'] / 1e9:,.1f} GB moved per chip and step",
  ]
  for name, form in row["scores"].items():
    lines.append(f"  config.objective.{name}: {form}")
  total = sum(c["bytes"] * c["count"] for c in row["collectives"])
  lines.append(
    f"  {sum(c['count'] for c in row['collectives'])} collectives, "
    f"{total / 1e6:.1f} MB; the largest:"
  )
  for collective in row["collectives"][:5]:
    lines.append(
      f"    {collective['count']} x {collective['kind']} of "
      f"{collective['bytes'] / 1e6:.3f} MB ({collective['what']})"
    )
  return "\n".join(lines)
