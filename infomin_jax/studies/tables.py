"""The printed table of a study: one row per line, one column per metric."""

from collections.abc import Callable, Mapping

import rich.table


def table_of(
  title: str,
  first: str,
  rows: list[dict],
  headings: Mapping[str, str],
  cell: Callable[[Mapping, str], str],
) -> rich.table.Table:
  """Returns a table of the rows that have a number or a lost run.

  Args:
    title: title of the table.
    first: heading of the names of the rows.
    rows: mappings with `row` (the name), `done`, `lost`, and metrics or None.
    headings: headings of the columns by metric.
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
  """Returns mean, deviation over seeds and the paper's value as text.

  `69.1 ± 0.2 (70.1)` has the paper's value in parentheses. A mean of None
  becomes `-` if the paper has a value, and an empty text if not.

  Args:
    row: mapping with the keys `METRIC`, `METRIC_sd` and `paper_METRIC`.
    metric: name of the metric.
    scale: factor of the numbers, 100 for percent.
    form: format of the numbers.
  """
  paper = row.get(f"paper_{metric}")
  published = "" if paper is None else f" ({scale * paper:{form}})"
  if row[metric] is None:
    return f"-{published}" if published else ""
  sd = scale * row[f"{metric}_sd"]
  return f"{scale * row[metric]:{form}} ± {sd:{form}}{published}"
