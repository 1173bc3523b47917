"""The table: one line per config, row and change, with the paper's numbers."""

from collections.abc import Mapping

from infomin_jax.studies import tables
from infomin_jax.studies.deep_infomax import published, runs
from infomin_jax.studies.results import Results

# Columns that are shown together.
GROUPS = {
  "200-unit MLP, %": ("mlp_conv", "mlp_fc", "mlp_y", "mlp_glob"),
  "other factors, MLP, %": ("mlp_y_position", "mlp_y_background"),
  "fine-tuned on few labels, %": ("semi_conv",),
  "linear SVM, %": ("svm_conv", "svm_fc", "svm_y"),
  "y: SSIM, MINE and NDM in nats": ("ssim_y", "mine_y", "ndm_y"),
  "attributes, class-balanced error, %": ("error_y",),
}
METRICS = tuple(metric for group in GROUPS.values() for metric in group)
SHARES = ("mlp", "semi", "svm", "error")  # printed in percent


def rows(results: Results, chosen: Mapping[str, Mapping]) -> list[dict]:
  """Returns one row per line that was run, raw pixels first.

  Each metric of `METRICS` has three keys: `METRIC` is the mean over seeds,
  `METRIC_sd` the standard deviation, and `paper_METRIC` the paper's number.
  """
  table_rows = []
  for line in runs.lines(chosen, list(chosen)):
    name = line.name
    if line.trains:
      table_rows.append(_row(line, name, results, {m: m for m in METRICS}))
    else:
      of_pixels = {m: _of_pixels(m) for m in METRICS}
      table_rows.append(_row(line, f"{line.config}-pixels", results, of_pixels))
      table_rows.append(_row(line, name, results, {m: m for m in METRICS}))
  return [row for row in table_rows if row["done"] or row["lost"] or row["why"]]


def _of_pixels(metric: str) -> str:
  """Returns the key of a metric for raw pixels, or "" if they lack it.

  Raw pixels have a single tap. It is shown in the columns of `conv` and `y`.
  """
  kind, tap, *task = metric.split("_")
  return "_".join([kind, "pixels", *task]) if tap in ("conv", "y") else ""


def _row(line: runs.Line, name: str, results: Results, keys: Mapping) -> dict:
  paper = published.beside(line.config, name.partition("-")[2])
  lost = results.lost(line.name)
  row = {
    "line": name,
    "config": line.config,
    "row": name.partition("-")[2],
    "done": len(results.records(line.name)) - lost,
    "lost": lost,
    "why": results.reasons.get(line.config, ""),
  }
  for metric, key in keys.items():
    mean, sd = results.spread(line.name, key) or (None, None)
    row |= {metric: mean, f"{metric}_sd": sd}
    row[f"paper_{metric}"] = paper.get(metric)
  return row


def shown(rows: list[dict]) -> list:
  """Returns tables of all measurements, by config and kind of probe."""
  parts: list = []
  for config in dict.fromkeys(row["config"] for row in rows):
    selected = [row for row in rows if row["config"] == config]
    if selected[0]["why"]:
      parts.append(f"{config}: {selected[0]['why']}")
      continue
    data = published.STANDS_FOR.get(config)
    paper = f"{config} (in brackets the paper's, {data})" if data else config
    for title, metrics in GROUPS.items():
      measured = [m for m in metrics if any(r[m] is not None for r in selected)]
      if measured:
        headings = {metric: metric.replace("_", " ") for metric in measured}
        title = f"{paper}: {title}"
        parts.append(tables.table_of(title, "row", selected, headings, cell))
  return parts


def cell(row: Mapping, metric: str) -> str:
  """Returns a cell, with shares in percent and other numbers unscaled."""
  scale, form = (100, ".1f") if metric.startswith(SHARES) else (1, ".2f")
  return tables.cell(row, metric, scale, form)
