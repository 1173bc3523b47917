"""The page of several runs: overlaid curves, and tables with a row per run."""

import pathlib
from collections.abc import Sequence

from infomin_jax.errors import UserError
from infomin_jax.output import to_json
from infomin_jax.report import plots
from infomin_jax.report.page import Block, Plot, Table, Words, page
from infomin_jax.report.run import probed_rows, series, some_metrics
from infomin_jax.runs import health
from infomin_jax.runs.progress import read_metrics, say
from infomin_jax.runs.workdir import as_json, differences, read_config

# Metrics of the overlaid curves, with their units.
CURVES = {
  "loss": "loss",
  "mi_bound": "nats",
  "knn": "accuracy",
  "linear": "accuracy",
  "effective_rank": "directions",
}
FINAL = ("step", "loss", "mi_bound", "mi_ceiling", "knn", "linear", "seconds")


def runs_page(workdirs: Sequence[str | pathlib.Path]) -> str:
  """Returns the page of several runs' folders.

  Raises:
    UserError: a folder holds no run, or has no line of metrics yet.
  """
  folders = {_name(path, workdirs): pathlib.Path(path) for path in workdirs}
  rows = {name: some_metrics(folder) for name, folder in folders.items()}
  configs = {name: read_config(folder) for name, folder in folders.items()}
  return page(
    f"{len(rows)} runs",
    {
      "Where they ended": [_final(rows), *_probes(folders)],
      "How they differ": [_changes(configs)],
      "Curves": _curves(rows),
      "Health": _health(rows, configs),
    },
  )


def _name(path, workdirs) -> str:
  """Returns the folder's name, or its path if another has the same name."""
  names = [pathlib.Path(other).name for other in workdirs]
  own = pathlib.Path(path).name
  return own if names.count(own) == 1 else str(path)


def _final(rows) -> Table:
  last = {name: newest(lines) for name, lines in rows.items()}
  columns = [key for key in FINAL if any(key in x for x in last.values())]
  table = [
    (name, *(shown(x.get(key)) for key in columns)) for name, x in last.items()
  ]
  return Table("The newest values.", ("run", *columns), table)


def newest(lines) -> dict[str, float]:
  """Returns the last value of every metric."""
  values: dict[str, float] = {}
  for line in lines:
    values |= line
  return values


def find_runs(root: pathlib.Path) -> list[dict]:
  """Returns a mapping for each run below a folder.

  Each has `run` (its folder), `data`, `encoder`, `steps` and the last value of
  every metric, where `step` is the last completed one. A run that cannot be
  read is skipped, with a line to the terminal.
  """
  rows = []
  for path in sorted(root.rglob("metrics.jsonl")):
    folder = path.parent
    if not (folder / "config.json").exists():
      continue
    try:
      lines, config = (
        read_metrics(folder),
        read_config(folder),
      )
    except UserError as error:  # other runs may still be readable
      say(f"{folder} is skipped: {error}")
      continue
    if lines:
      about = {
        "run": str(folder),
        "data": config.data.name,
        "encoder": config.encoder.name,
        "steps": config.steps,
      }
      rows.append(about | newest(lines))
  return rows


def shown(value) -> str:
  """Returns a number with 4 significant digits, or "" for None."""
  return "" if value is None else f"{value:.4g}"


def _probes(folders) -> list[Block]:
  """Tabulates the scores of probes on learned features, one column per run."""
  probed = {name: probed_rows(folder) for name, folder in folders.items()}
  names = ("task", "protocol", "tap", "metric")
  cells, keys = {}, []
  for run, rows in probed.items():
    for row in rows:
      if row["features"] == "learned":
        key = tuple(row[n] for n in names)
        keys.append(key)
        cells[key, run] = shown(row["value"])
  if not keys:
    return []
  table = [
    (*key, *(cells.get((key, run), "") for run in probed))
    for key in dict.fromkeys(keys)
  ]
  return [Table("What probes read.", (*names, *probed), table)]


def _changes(configs) -> Block:
  rows = changes([as_json(config) for config in configs.values()])
  if not rows:
    return Words("Their configurations are the same.")
  return Table("Keys that differ.", ("key", *configs), rows)


def changes(configs: Sequence[dict]) -> list[tuple[str, ...]]:
  """Returns the keys that differ between configurations, with all values."""
  first, *others = configs
  keys = sorted({key for x in others for key, *_ in differences(first, x)})
  return [(key, *(to_json(_at(x, key)) for x in configs)) for key in keys]


def _at(config, key: str):
  for part in key.split("."):
    config = config.get(part) if isinstance(config, dict) else None
  return config


def _curves(rows) -> list[Block]:
  blocks: list[Block] = []
  for key, unit in CURVES.items():
    lines = {name: series(lines, key) for name, lines in rows.items()}
    lines = {name: line for name, line in lines.items() if line[0]}
    if lines:
      blocks.append(Plot(f"{key}.", plots.curves(lines, "step", unit)))
  return blocks


def _health(rows, configs) -> list[Block]:
  findings = [
    (name, str(advice))
    for name in rows
    for advice in health.advise(rows[name], configs[name])
  ]
  if not findings:
    return [Words("No rule found a problem.", "good")]
  return [Table("Problems that the rules found.", ("run", "advice"), findings)]
