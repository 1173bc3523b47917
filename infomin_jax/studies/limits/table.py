"""The table: one line per encoder, critic and objective, and the paper's."""

from collections.abc import Mapping

import rich.table

from infomin_jax.studies.limits import published, runs, settings
from infomin_jax.studies.results import Results

METRICS = (
  "accuracy",
  "bound_train",
  "bound_test",
  "infonce_test",
  "gap_train",
  "log_condition_median",
  "inverse_error",
)


def rows(results: Results, chosen: Mapping[str, Mapping]) -> list[dict]:
  """Returns one row per line of every experiment that was run or selected.

  Each metric of `METRICS` at the last evaluation has three keys: `METRIC` is
  the mean over seeds, `METRIC_sd` the standard deviation, and `paper_METRIC`
  the paper's number. `accuracy_start` is the accuracy before training.
  """
  experiments = {name.partition("-")[0] for name in results.runs}
  table_rows = []
  for experiment in settings.PAPER:
    if experiment in experiments or experiment in results.reasons:
      changes = _changes(experiment, chosen)
      table_rows += [
        _row(variant, results, changes)
        for variant in runs.variants(experiment, chosen[experiment])
      ]
  return table_rows


def _row(variant: runs.Variant, results: Results, changes: str) -> dict:
  name, paper = variant.name, published.PAPER.get(variant.name, {})
  row = {
    "line": name,
    "encoder": variant.encoder or variant.kind,
    "critic": variant.critic,
    "objective": variant.objective,
    "target": variant.target,
    **results.counts(name),
  }
  for metric in METRICS:
    mean, sd = results.spread(name, metric) or (None, None)
    row |= {metric: mean, f"{metric}_sd": sd}
    row[f"paper_{metric}"] = paper.get(metric)
  row["accuracy_start"] = _start(results, name)
  errors = {r["error"] for r in results.records(name) if r["error"]}
  reason = results.reasons.get(variant.experiment)
  row["unmeasured"] = reason or "; ".join(sorted(errors))
  row["changed"] = changes
  return row


def _start(results, name):
  values = [
    record["curve"][0].get("accuracy")
    for record in results.records(name)
    if record["status"] == "done"
  ]
  values = [v for v in values if v is not None]
  return sum(values) / len(values) if values else None


def _changes(experiment, chosen) -> str:
  changed = settings.changed({experiment: chosen[experiment]})[experiment]
  return "; ".join(
    f"{key} {here} (paper {paper})" for key, (paper, here) in changed.items()
  )


def shown(rows: list[dict]) -> list:
  """Returns the table that is printed."""
  table = rich.table.Table(
    title="Mean ± standard deviation over seeds (the paper's in brackets)"
  )
  table.add_column("line", no_wrap=True)
  for column in ("runs", "accuracy", "bound, train", "test", "other"):
    table.add_column(column, justify="right")
  for row in rows:
    table.add_row(*_cells(row))
  return [table]


def changes(result: Mapping) -> list[str]:
  """Returns a line of text per experiment with changed settings."""
  return [
    f"{name}: {_changes(name, result['settings'])}"
    for name, changed in result["changed"].items()
    if changed
  ]


def _cells(row: Mapping) -> tuple[str, ...]:
  lost = ", ".join(f"{row[k]} {k}" for k in ("nan", "raised") if row[k])
  runs = f"{row['done']}{' + ' + lost if lost else ''}"
  other = ""
  for metric, name in (
    ("gap_train", "off target"),
    ("log_condition_median", "log cond"),
  ):
    if row[metric] is not None:
      other = f"{name} {_cell(row, metric, '.3f')}"
  cells = (
    _cell(row, "accuracy", ".1%"),
    _cell(row, "bound_train", ".3f"),
    _cell(row, "bound_test", ".3f"),
    other,
  )
  return (row["line"], runs, *cells)


def _cell(row, metric, form) -> str:
  paper = row[f"paper_{metric}"]
  published = "" if paper is None else f" ({paper:{form}})"
  if row[metric] is None:
    return f"-{published}" if published else ""
  return f"{row[metric]:{form}} ± {row[f'{metric}_sd']:{form}}{published}"
