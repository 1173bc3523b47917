"""The table: a line a config, row and change, the paper beside it."""

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
SHARES = ("mlp", "semi", "svm", "error")  # shown in per cent


def rows(results: Results, chosen: Mapping[str, Mapping]) -> list[dict]:
  """One row a line that was run; raw pixels first.

  `METRICS` are means and `_sd` over seeds; `paper_` before a name: the paper's.
  """
  found = []
  for line in runs.lines(chosen, list(chosen)):
    name = line.name
    if line.trains:
      found.append(_row(line, name, results, {m: m for m in METRICS}))
    else:
      of_pixels = {m: _of_pixels(m) for m in METRICS}
      found.append(_row(line, f"{line.config}-pixels", results, of_pixels))
      found.append(_row(line, name, results, {m: m for m in METRICS}))
  return [row for row in found if row["done"] or row["lost"] or row["why"]]


def _of_pixels(metric: str) -> str:
  """Raw pixels have one tap, which stands with the features next to them."""
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
  """Tables by config and kind of probe, of what was measured."""
  made: list = []
  for config in dict.fromkeys(row["config"] for row in rows):
    some = [row for row in rows if row["config"] == config]
    if some[0]["why"]:
      made.append(f"{config}: {some[0]['why']}")
      continue
    data = published.STANDS_FOR.get(config)
    paper = f"{config} (in brackets the paper's, {data})" if data else config
    for title, metrics in GROUPS.items():
      measured = [m for m in metrics if any(r[m] is not None for r in some)]
      if measured:
        headings = {metric: metric.replace("_", " ") for metric in measured}
        title = f"{paper}: {title}"
        made.append(tables.table_of(title, "row", some, headings, cell))
  return made


def cell(row: Mapping, metric: str) -> str:
  """Shares in per cent, others as they are."""
  scale, form = (100, ".1f") if metric.startswith(SHARES) else (1, ".2f")
  return tables.cell(row, metric, scale, form)
