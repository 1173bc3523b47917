"""The step at which a run's loss was not finite, once more, and where.

  infomin replay --workdir runs/fm

Runs on whatever is here, such as a CPU, with the same state, records and keys.
"""

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import to_json

SHOWN = 5  # arrays


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin replay`."""
  del argv
  paths.define("workdir", None, "folder of the run", values)
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Replays; see the module's text."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  if not values.workdir:
    raise UserError("--workdir is missing: name the folder of the run.")
  from infomin_jax.train.replay import replay

  found = replay(values.workdir)
  if values.json:
    print(to_json(found, 2))
    return
  print(f"Step {found['step']}: loss {found['loss']:.6g}")
  print(f"  first not finite: {found['where'] or 'nothing, here'}")
  for name, value in found["metrics"].items():
    print(f"  {name} {value:.6g}")
  for i, (low, high) in enumerate(found["views"]):
    print(f"  view {i}: from {low:.4g} to {high:.4g}")
  for kind in ("parameters", "gradients"):
    for name, value in list(found[kind].items())[:SHOWN]:
      print(f"  {kind}, largest: {name} {value:.4g}")
  print(f"  records: {' '.join(map(str, found['records'][:20]))} ...")
