"""Prints the table of `infomin evaluate`."""

import rich.console
import rich.table

from infomin_jax import provenance
from infomin_jax.output import number

COLUMNS = ("pixels", "untrained", "learned")
# Metrics whose names begin so are shown in percent.
SHARES = ("accuracy", "balanced_accuracy", "balanced_error", "largest_class")
SHARES += ("mean_iou", "pixel_accuracy")


def show_table(rows: list[dict]) -> None:
  """Prints the rows to standard output, one line per task, metric and tap.

  Rows that differ only in the seed become mean ± sample standard deviation.
  Notes on missing values follow the table.
  """
  groups = {
    (r["task"], r["protocol"], r["metric"], r["tap"], r["features"]): r
    for r in provenance.over_seeds(rows)
  }
  protocols = list(dict.fromkeys(row["protocol"] for row in rows))
  table = rich.table.Table(
    title="Probes of the encoder, on held-out data",
    caption="\n".join(protocols),
  )
  for column in ("task", "protocol", "metric", *COLUMNS, "tap"):
    justify = "right" if column in COLUMNS else "left"
    table.add_column(column, justify=justify, overflow="fold")
  for task, protocol, metric, tap, features in groups:
    if features == "learned":
      about = (task, protocol, metric)
      table.add_row(
        task,
        protocol.split(" ")[0],
        metric,
        _cell(groups.get((*about, "pixels", "pixels")), metric),
        _cell(groups.get((*about, tap, "untrained")), metric),
        _cell(groups.get((*about, tap, "learned")), metric),
        tap,
      )
  console = rich.console.Console()
  console.print(table)
  for note in notes(rows):
    console.print(note, markup=False, highlight=False)


def notes(rows: list[dict]) -> list[str]:
  """Returns one line per reason why rows have no value."""
  protocols: dict[tuple, list[str]] = {}
  for row in rows:
    if row.get("note"):
      key = (row["task"], row["metric"], row["note"])
      protocols.setdefault(key, []).append(row["protocol"].partition(" ")[0])
  return [
    f"{task}: no {metric} of {', '.join(dict.fromkeys(names))}: {note}."
    for (task, metric, note), names in protocols.items()
  ]


def _cell(row: dict | None, metric: str) -> str:
  """Returns a cell such as `83.1% ± 0.2%`, or `-` if there is no value."""
  if row is None or row["mean"] is None:
    return "-"

  def shown(value: float) -> str:
    return f"{value:.1%}" if metric.startswith(SHARES) else number(value, 3)

  spread = "" if row["std"] is None else f" ± {shown(row['std'])}"
  return f"{shown(row['mean'])}{spread}"
