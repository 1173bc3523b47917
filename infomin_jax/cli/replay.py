"""Repeat the step at which a run's loss was not finite, and find where.

  infomin replay --workdir runs/fm

It runs on any machine, such as a CPU, with the same state, records and keys.
"""

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import to_json

SHOWN = 5  # arrays that are printed


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin replay`."""
  del argv
  paths.define("workdir", None, "folder of the run", values)
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Replays; see the docstring of the module."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  if not values.workdir:
    raise UserError("--workdir is missing: name the folder of the run.")
  from infomin_jax.train.replay import replay

  result = replay(values.workdir)
  if values.json:
    print(to_json(result, 2))
    return
  print(f"Step {result['step']}: loss {result['loss']:.6g}")
  print(f"  first not finite: {result['where'] or 'nothing, here'}")
  for name, value in result["metrics"].items():
    print(f"  {name} {value:.6g}")
  for i, (low, high) in enumerate(result["views"]):
    print(f"  view {i}: from {low:.4g} to {high:.4g}")
  for kind in ("parameters", "gradients"):
    for name, value in list(result[kind].items())[:SHOWN]:
      print(f"  {kind}, largest: {name} {value:.4g}")
  print(f"  records: {' '.join(map(str, result['records'][:20]))} ...")
