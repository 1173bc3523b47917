"""List the runs in a folder, sort them, find the best, or compare two.

  infomin runs runs
  infomin runs runs --sort linear
  infomin runs runs --best mi_bound
  infomin runs --difference runs/a runs/b

A run that is not finished shows its progress. `--sort` and `--best` accept any
metric of metrics.jsonl. The largest value comes first; for losses and times,
the smallest.
"""

import math
import sys

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError, lookup
from infomin_jax.output import to_json
from infomin_jax.runs.workdir import as_json, read_config

SHOWN = ("loss", "mi_bound", "knn", "linear", "seconds")
SMALL_IS_GOOD = ("loss", "seconds", "memory_bytes", "input_wait_share")


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin runs`."""
  del argv
  flags.DEFINE_string("sort", "", "metric to sort by", flag_values=values)
  flags.DEFINE_string(
    "best",
    "",
    "print the folder of the best run by a metric",
    flag_values=values,
  )
  flags.DEFINE_boolean(
    "difference", False, "compare two runs", flag_values=values
  )
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Lists or compares; see the docstring of the module."""
  del command
  if len(rest) != 1 + values.difference:
    expected = "two runs" if values.difference else "one folder of runs"
    raise UserError(f"expected {expected}, got {' '.join(rest) or 'nothing'}.")
  if values.difference:
    _differ(rest, values.json)
    return
  from infomin_jax.report.compare import find_runs

  rows = find_runs(paths.local("the folder", rest[0]))
  if not rows:
    raise UserError(f"{rest[0]} has no folder that `infomin train` made.")
  if key := values.best or values.sort:
    rows = ordered(rows, key)
  if values.best:
    print(rows[0]["run"])
  elif values.json:
    print(to_json(rows, 2))
  else:
    keys = dict.fromkeys((*filter(None, [values.sort]), *SHOWN))
    cells = [
      (
        row["run"],
        f"{row['data']}, {row['encoder']}",
        f"{row['step']} of {row['steps']}",
        *(f"{row[key]:.4g}" if key in row else "" for key in keys),
      )
      for row in rows
    ]
    _show(("run", "data, encoder", "steps", *keys), cells)


def ordered(rows: list[dict], key: str) -> list[dict]:
  """Returns the rows that have a metric, best first.

  Raises:
    UserError: no run has it.
  """
  metrics = {k: k for row in rows for k, x in row.items() if type(x) is not str}
  lookup("metric", key, metrics)
  sign = 1 if key in SMALL_IS_GOOD else -1

  def rank(row: dict) -> tuple[bool, float]:
    value = float(row[key])
    return math.isnan(value), sign * value  # NaN comes last

  return sorted((row for row in rows if key in row), key=rank)


def _differ(folders, in_json: bool) -> None:
  from infomin_jax.report.compare import changes, newest
  from infomin_jax.report.run import some_metrics

  places = [paths.local("the folder", folder) for folder in folders]
  configs = [as_json(read_config(p)) for p in places]
  metrics = [newest(some_metrics(place)) for place in places]
  rows = [(f"config.{key}", *texts) for key, *texts in changes(configs)]
  for key in ("step", *SHOWN):
    if any(key in x for x in metrics):
      values = (f"{x[key]:.4g}" if key in x else "" for x in metrics)
      rows.append((key, *values))
  if in_json:
    print(to_json({key: texts for key, *texts in rows}, 2))
  else:
    _show(("", *folders), rows)


def _show(headings, rows) -> None:
  import rich.console
  import rich.table
  import rich.text

  table = rich.table.Table()
  for heading in headings:
    table.add_column(rich.text.Text(heading), overflow="fold")
  for row in rows:
    table.add_row(*map(rich.text.Text, row))
  # rich cannot find the width of a pipe.
  width = None if sys.stdout.isatty() else 200
  rich.console.Console(width=width).print(table)
