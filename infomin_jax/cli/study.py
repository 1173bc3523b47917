"""Repeat a paper's experiments and check each of its claims.

  infomin study limits --preset local --out runs/limits
  infomin study limits --only E1,E4 --preset smoke --out runs/limits_smoke
  infomin study good_views --family jitter --out runs/good_views

Presets: `paper` has the published settings, `local` takes about an hour on two
cores, and `smoke` only shows that everything runs. It writes table.csv,
figures, claims.json and one file per run into the folder. Run the same command
again to resume a study that was stopped.
"""

import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import to_json


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin study`."""
  del argv
  flags.DEFINE_string(
    "preset", "local", "smoke, local or paper", flag_values=values
  )
  flags.DEFINE_list(
    "only",
    [],
    "experiments, separated by commas (default: all)",
    flag_values=values,
  )
  flags.DEFINE_alias("family", "only", flag_values=values)
  paths.define("out", None, "folder of the study", values)
  paths.define("data_dir", "", "folder of prepared data sets", values)
  flags.DEFINE_integer(
    "jobs",
    0,
    "lines of the table trained at a time (0: one per processor)",
    lower_bound=0,
    flag_values=values,
  )
  flags.DEFINE_boolean(
    "json", False, "print rows and claims as JSON", flag_values=values
  )
  paths.define("evidence", None, "also store the result as this file", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Runs; see the docstring of the module."""
  if len(rest) != 1:
    raise UserError("name one study: infomin study limits --out FOLDER.")
  if not values.out:
    raise UserError("--out is missing: name the folder of the study.")
  import rich.console

  from infomin_jax import provenance
  from infomin_jax.errors import lookup
  from infomin_jax.studies import STUDIES
  from infomin_jax.studies.claims import verdicts

  study = lookup("study", rest[0], STUDIES)
  out = pathlib.Path(values.out)
  result = study(out, values.preset, values.only, values.data_dir, values.jobs)
  if values.json:
    record = {key: result[key] for key in ("rows", "claims")}
    print(to_json(record, 1))
  else:
    console = rich.console.Console()
    for part in (*result["shown"], *verdicts(result["claims"])):
      console.print(part, highlight=False, markup=False)
  if values.evidence:
    provenance.write(
      values.evidence,
      commands=[command],
      config={"preset": values.preset, "settings": result["settings"]},
      seeds=result["seeds"],
      values=result["rows"],
      extra={"claims": result["claims"], "changed": result["changed"]},
    )
