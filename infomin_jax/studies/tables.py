"""The table that studies show: a line each, what was measured in columns."""

from collections.abc import Callable, Mapping

import rich.table


def table_of(
  title: str,
  first: str,
  rows: list[dict],
  headings: Mapping[str, str],
  cell: Callable[[Mapping, str], str],
) -> rich.table.Table:
  """Rows for which something was measured, or a run was lost.

  Args:
    title: above it.
    first: heading of the rows' names.
    rows: each with `row`, its name, `done`, `lost`, and the metrics or None.
    headings: of the metrics that are columns.
    cell: `(row, metric) -> text`.
  """
  table = rich.table.Table(title=title)
  table.add_column(first, no_wrap=True)
  for heading in ("runs", *headings.values()):
    table.add_column(heading, justify="right")
  for row in rows:
    if row["lost"] or any(row[metric] is not None for metric in headings):
      lost = f" + {row['lost']} lost" if row["lost"] else ""
      cells = (cell(row, metric) for metric in headings)
      table.add_row(row["row"], f"{row['done']}{lost}", *cells)
  return table


def cell(row: Mapping, metric: str, scale: float = 1, form: str = ".2f") -> str:
  """`69.1 ± 0.2 (70.1)`: mean, deviation over seeds, the paper's in brackets.

  Args:
    row: with `metric`, and `metric_sd` and `paper_metric` beside it.
    metric: its name; nothing, or `-`, stands for one that is None.
    scale: 100 for per cent.
    form: of the numbers.
  """
  paper = row.get(f"paper_{metric}")
  beside = "" if paper is None else f" ({scale * paper:{form}})"
  if row[metric] is None:
    return f"-{beside}" if beside else ""
  sd = scale * row[f"{metric}_sd"]
  return f"{scale * row[metric]:{form}} ± {sd:{form}}{beside}"
