"""The page of several runs: curves over each other, tables side by side."""

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

# What is overlaid, and its unit.
CURVES = {
  "loss": "loss",
  "mi_bound": "nats",
  "knn": "accuracy",
  "linear": "accuracy",
  "effective_rank": "directions",
}
FINAL = ("step", "loss", "mi_bound", "mi_ceiling", "knn", "linear", "seconds")


def runs_page(workdirs: Sequence[str | pathlib.Path]) -> str:
  """The page of some runs' folders.

  Raises:
    UserError: a folder is none of a run, or has no line of metrics yet.
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
  """The folder's name, or its path where two have one name."""
  names = [pathlib.Path(other).name for other in workdirs]
  own = pathlib.Path(path).name
  return own if names.count(own) == 1 else str(path)


def _final(rows) -> Table:
  found = {name: newest(lines) for name, lines in rows.items()}
  kept = [key for key in FINAL if any(key in x for x in found.values())]
  table = [
    (name, *(shown(x.get(key)) for key in kept)) for name, x in found.items()
  ]
  return Table("The newest figures.", ("run", *kept), table)


def newest(lines) -> dict[str, float]:
  """The last value of every metric."""
  found: dict[str, float] = {}
  for line in lines:
    found |= line
  return found


def find_runs(root: pathlib.Path) -> list[dict]:
  """The runs below a folder, a mapping each.

  Returns:
    `run`, its folder; `data`, `encoder`, `steps`, and the last value of every
    metric, of which `step` is the last one done.
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
    except UserError as error:  # the others can be listed
      say(f"{folder} is left out: {error}")
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
  """A number in a few digits, or nothing."""
  return "" if value is None else f"{value:.4g}"


def _probes(folders) -> list[Block]:
  """Shows the scores of probes on learned features, one column per run."""
  found = {name: probed_rows(folder) for name, folder in folders.items()}
  names = ("task", "protocol", "tap", "metric")
  cells, keys = {}, []
  for run, rows in found.items():
    for row in rows:
      if row["features"] == "learned":
        key = tuple(row[n] for n in names)
        keys.append(key)
        cells[key, run] = shown(row["value"])
  if not keys:
    return []
  table = [
    (*key, *(cells.get((key, run), "") for run in found))
    for key in dict.fromkeys(keys)
  ]
  return [Table("What probes read.", (*names, *found), table)]


def _changes(configs) -> Block:
  rows = changes([as_json(config) for config in configs.values()])
  if not rows:
    return Words("Their configurations are the same.")
  return Table("Keys that differ.", ("key", *configs), rows)


def changes(configs: Sequence[dict]) -> list[tuple[str, ...]]:
  """The keys that are not the same in all configurations, with their values."""
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
  found = [
    (name, str(advice))
    for name in rows
    for advice in health.advise(rows[name], configs[name])
  ]
  if not found:
    return [Words("Nothing wrong was found.", "good")]
  return [Table("What the rules found.", ("run", "advice"), found)]
