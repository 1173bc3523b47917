"""The table: a line an encoder, critic and objective, the paper beside it."""

import csv
import pathlib
from collections.abc import Mapping

import rich.console
import rich.table

from infomin_jax.studies.limits import lines, settings, targets
from infomin_jax.studies.limits.results import Results

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
        for variant in lines.variants(experiment, chosen[experiment])
      ]
  return found


def _row(variant: lines.Variant, results: Results, changes: str) -> dict:
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


def write_csv(path: pathlib.Path, rows: list[dict]) -> None:
  """Writes the rows; an empty cell is a number that is not there."""
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def show(result: Mapping) -> None:
  """Prints table, changed settings and claims to standard output."""
  console = rich.console.Console()
  shown = rich.table.Table(
    title="Mean ± standard deviation over seeds (the paper's in brackets)"
  )
  shown.add_column("line", no_wrap=True)
  for column in ("runs", "accuracy", "bound, train", "test", "other"):
    shown.add_column(column, justify="right")
  for row in result["rows"]:
    shown.add_row(*_cells(row))
  console.print(shown)
  for name, changed in result["changed"].items():
    if changed:
      text = _changes(name, result["settings"])
      console.print(f"{name}: {text}", highlight=False, markup=False)
  for line in _verdicts(result["claims"]):
    console.print(line, highlight=False, markup=False)


def _verdicts(claims: list[dict]) -> list[str]:
  """A line a claim; those that could not be measured at all, by reason."""
  shown, unmeasured = ["Claims: effect, 95 % interval (the paper's)"], {}
  for claim in claims:
    if claim["effect"] is None:
      unmeasured.setdefault(claim["why"], []).append(claim["id"])
      continue
    low, high = claim["interval"] or (None, None)
    between = f", {_number(low)} to {_number(high)}" if low is not None else ""
    why = f" [{claim['why']}]" if "why" in claim else ""
    paper = _number(claim["paper_value"]) or "no number"
    shown.append(
      f"  {claim['verdict']:10s} {claim['id']}: {claim['claim']}: "
      f"{_number(claim['effect'])}{between} ({paper}){why}"
    )
  for why, ids in unmeasured.items():
    shown.append(f"  unmeasured {', '.join(ids)}: {why}")
  return shown


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


def _number(value) -> str:
  return "" if value is None else f"{value:.3g}"
