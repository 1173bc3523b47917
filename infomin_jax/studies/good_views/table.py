"""The table: a line a kind of views, what they share, tell and teach."""

from collections.abc import Mapping

from infomin_jax.studies import tables
from infomin_jax.studies.good_views import published, runs
from infomin_jax.studies.results import Results

# Metric -> heading, scale and form of what is shown.
COLUMNS = {
  "shared_views": ("I(v1; v2)", 1, ".2f"),
  "told1_views": ("I(v1; y)", 1, ".2f"),
  "told2_views": ("I(v2; y)", 1, ".2f"),
  "linear_pool": ("accuracy %", 100, ".1f"),
  "linear_pool_tint": ("tint %", 100, ".1f"),
  "miou_conv": ("mIoU %", 100, ".1f"),
  "linear_pool_background": ("background %", 100, ".1f"),
  "pixels_pool": ("position, pixels", 1, ".2f"),
}


def rows(results: Results, chosen: Mapping[str, Mapping]) -> list[dict]:
  """One row a family and line: means and `_sd` over seeds, `paper_` beside."""
  found = []
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
      found.append(row)
  return [row for row in found if row["done"] or row["lost"] or row["why"]]


def shown(rows: list[dict]) -> list:
  """A table a family."""
  made: list = []
  for family in dict.fromkeys(row["family"] for row in rows):
    some = [row for row in rows if row["family"] == family]
    reasons = dict.fromkeys(row["why"] for row in some if row["why"])
    made += [f"{family}: {why}" for why in reasons]
    some = [row for row in some if not row["why"]]
    headings = {
      metric: heading
      for metric, (heading, _, _) in COLUMNS.items()
      if any(row[metric] is not None for row in some)
    }
    if headings:
      made.append(tables.table_of(family, "views", some, headings, cell))
  return made


def cell(row: Mapping, metric: str) -> str:
  """A metric's mean and deviation, as its column shows them."""
  _, scale, form = COLUMNS[metric]
  return tables.cell(row, metric, scale, form)
