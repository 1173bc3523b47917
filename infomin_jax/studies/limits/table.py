"""The table: a line an encoder, critic and objective, the paper beside it."""

from collections.abc import Mapping

import rich.table

from infomin_jax.studies.limits import runs, settings, targets
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
  """One row a line of every experiment that was run or asked for.

  `METRICS` are those of the last look: mean and `_sd` over seeds, with
  `paper_` before the name the paper's. `accuracy_start` is before training.
  """
  ran = {name.partition("-")[0] for name in results.runs}
  found = []
  for experiment in settings.PAPER:
    if experiment in ran or experiment in results.reasons:
      changes = _changes(experiment, chosen)
      found += [
        _row(variant, results, changes)
        for variant in runs.variants(experiment, chosen[experiment])
      ]
  return found


def _row(variant: runs.Variant, results: Results, changes: str) -> dict:
  name, paper = variant.name, targets.PAPER.get(variant.name, {})
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


def shown(result: Mapping) -> list:
  """The table, then a line an experiment whose settings were changed."""
  table = rich.table.Table(
    title="Mean ± standard deviation over seeds (the paper's in brackets)"
  )
  table.add_column("line", no_wrap=True)
  for column in ("runs", "accuracy", "bound, train", "test", "other"):
    table.add_column(column, justify="right")
  for row in result["rows"]:
    table.add_row(*_cells(row))
  changes = [
    f"{name}: {_changes(name, result['settings'])}"
    for name, changed in result["changed"].items()
    if changed
  ]
  return [table, *changes]


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
  beside = "" if paper is None else f" ({paper:{form}})"
  if row[metric] is None:
    return f"-{beside}" if beside else ""
  return f"{row[metric]:{form}} ± {row[f'{metric}_sd']:{form}}{beside}"
