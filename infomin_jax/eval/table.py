"""The printed table of `infomin evaluate`."""

import rich.console
import rich.table

from infomin_jax import evidence

COLUMNS = ("pixels", "untrained", "learned")
# Shown in per cent.
SHARES = ("accuracy", "balanced_error", "mean_iou", "pixel_accuracy")


def show_table(rows: list[dict]) -> None:
  """Prints the rows to standard output, one line a task, metric and tap.

  Rows that differ only in the seed become mean +- sample standard deviation.
  """
  groups = {
    (r["task"], r["protocol"], r["metric"], r["tap"], r["features"]): r
    for r in evidence.over_seeds(rows)
  }
  protocols = list(dict.fromkeys(row["protocol"] for row in rows))
  table = rich.table.Table(
    title="What was learned: on held-out data", caption="\n".join(protocols)
  )
  for column in ("task", "protocol", "metric", *COLUMNS, "tap"):
    table.add_column(column, justify="right" if column in COLUMNS else "left")
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
  rich.console.Console().print(table)


def _cell(row: dict | None, metric: str) -> str:
  """`83.1% ± 0.2%`, or `-` where a protocol says nothing of these features."""
  if row is None:
    return "-"
  form = ".1%" if metric.startswith(SHARES) else ".3f"
  spread = "" if row["std"] is None else f" ± {row['std']:{form}}"
  return f"{row['mean']:{form}}{spread}"
