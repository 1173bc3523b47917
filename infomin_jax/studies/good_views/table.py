"""The table: one line per kind of views, with information and accuracy."""

from collections.abc import Mapping

from infomin_jax.studies import tables
from infomin_jax.studies.good_views import published, runs
from infomin_jax.studies.results import Results

# Metric -> heading, scale and format of the printed number.
COLUMNS = {
  "shared_views": ("I(v1; v2)", 1, ".2f"),
  "label_nats_1_views": ("I(v1; y)", 1, ".2f"),
  "label_nats_2_views": ("I(v2; y)", 1, ".2f"),
  "linear_pool": ("accuracy %", 100, ".1f"),
  "linear_pool_tint": ("tint %", 100, ".1f"),
  "miou_conv": ("mIoU %", 100, ".1f"),
  "linear_pool_background": ("background %", 100, ".1f"),
  "pixels_pool": ("position, pixels", 1, ".2f"),
}


def rows(results: Results, chosen: Mapping[str, Mapping]) -> list[dict]:
  """Returns one row per family and line.

  Each metric of `COLUMNS` has three keys: `METRIC` is the mean over seeds,
  `METRIC_sd` the standard deviation, and `paper_METRIC` the paper's number.
  """
  table_rows = []
  for family, options in chosen.items():
    for line in runs.asked(options):
      lost = results.lost(line.name)
      row = {
        "family": family,
        "line": line.name,
        "row": line.name.partition("-")[2],
        "done": len(results.records(line.name)) - lost,
        "lost": lost,
        "why": results.reasons.get(line.config, ""),
      }
      paper = published.beside(family, row["row"])
      for metric in COLUMNS:
        mean, sd = results.spread(line.name, metric) or (None, None)
        row |= {metric: mean, f"{metric}_sd": sd}
        row[f"paper_{metric}"] = paper.get(metric)
      table_rows.append(row)
  return [row for row in table_rows if row["done"] or row["lost"] or row["why"]]


def shown(rows: list[dict]) -> list:
  """Returns one table per family."""
  parts: list = []
  for family in dict.fromkeys(row["family"] for row in rows):
    selected = [row for row in rows if row["family"] == family]
    reasons = dict.fromkeys(row["why"] for row in selected if row["why"])
    parts += [f"{family}: {why}" for why in reasons]
    selected = [row for row in selected if not row["why"]]
    headings = {
      metric: heading
      for metric, (heading, _, _) in COLUMNS.items()
      if any(row[metric] is not None for row in selected)
    }
    if headings:
      parts.append(tables.table_of(family, "views", selected, headings, cell))
  return parts


def cell(row: Mapping, metric: str) -> str:
  """Returns mean and deviation of a metric in the format of its column."""
  _, scale, form = COLUMNS[metric]
  return tables.cell(row, metric, scale, form)
