"""The page of one run: what it learned, whether all is well, how to redo it."""

import json
import pathlib
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from infomin_jax import evidence
from infomin_jax.errors import UserError
from infomin_jax.eval.look import look
from infomin_jax.report import figures, pictures
from infomin_jax.report.page import Block, Plot, Table, Words, page
from infomin_jax.train import health
from infomin_jax.train.checkpoint import as_json, read_config
from infomin_jax.train.log import read_metrics


def run_page(workdir: str | pathlib.Path, images: int, plane: str) -> str:
  """The page of a run's folder, also while it goes on.

  Args:
    workdir: of the run.
    images: test images to look at.
    plane: how features become points: `pca` or `tsne`.

  Raises:
    UserError: the folder is none of a run, or has no line of metrics yet.
  """
  workdir = pathlib.Path(workdir)
  config, rows = read_config(workdir), some_metrics(workdir)
  probed = probed_rows(workdir)
  try:
    found = look(workdir, images)
    shown = {
      "Features": pictures.features(found, plane),
      "Nearest neighbours": pictures.neighbours(found),
      "Views": pictures.views(found, config),
    }
  except UserError as error:  # no checkpoint yet, or the data are elsewhere
    shown = {"Features": [Words(f"Not shown: {error}", "warn")]}
  return page(
    f"Run {workdir.name}",
    {
      "What was learned": [Words(s) for s in _sentences(rows, config, probed)],
      "Health": _health(rows, config),
      "Training": training_blocks(rows, probed),
      "Probes": [probe_table(probed)] if probed else [],
      **shown,
      "How to do it again": _how(workdir, config),
    },
  )


def some_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """`read_metrics`, at least one line.

  Raises:
    UserError: there is none.
  """
  rows = read_metrics(workdir)
  if not rows:
    raise UserError(
      f"{workdir} has no line of metrics.jsonl yet: wait for the first."
    )
  return rows


def probed_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of `evaluation.json`, if it is there."""
  path = workdir / "evaluation.json"
  return json.loads(path.read_text())["rows"] if path.exists() else []


def series(rows, key: str) -> tuple[list[float], list[float]]:
  """Steps, and a metric where it was measured."""
  having = [row for row in rows if key in row]
  return [row["step"] for row in having], [row[key] for row in having]


def _sentences(rows, config, probed) -> list[str]:
  """What was learned, in three sentences at the most."""
  last, steps = rows[-1], config.steps
  done = "" if last["step"] >= steps else f" of {steps:,}"
  minutes = last["seconds"] / 60
  said = [
    f"{int(last['step']):,}{done} steps on {config.data.name} in {minutes:.1f} "
    f"minutes brought the loss to {last['loss']:.3f}."
  ]
  if bound := [row for row in rows if "mi_bound" in row]:
    row = bound[-1]
    around = 1.96 * row.get("mi_bound_error", 0.0)
    spread = f" (± {around:.2f})" if around else ""
    said.append(
      f"Two views of an image that it has not seen share at least "
      f"{row['mi_bound']:.2f}{spread} nats by its critic; this estimate cannot "
      f"exceed {row['mi_ceiling']:.2f} (log of "
      f"{np.exp(row['mi_ceiling']):.0f} candidates)."
    )
  if probed:
    first = next(r for r in probed if r["features"] == "learned")
    same = ("task", "protocol", "metric")
    beside = {
      r["features"]: r["value"]
      for r in probed
      if all(r[k] == first[k] for k in same)
      and r["tap"] in (first["tap"], "pixels")
    }
    others = [
      f"{_number(beside[name], first['metric'])} from {words}"
      for name, words in (
        ("pixels", "raw pixels"),
        ("untrained", "the untrained encoder"),
      )
      if name in beside
    ]
    said.append(
      f"{first['task'].capitalize()} is read by {_plain(first['protocol'])} "
      f"with {first['metric']} {_number(first['value'], first['metric'])} from "
      f"what it learned ({', '.join(others)})."
    )
  elif "linear" in last:
    said.append(
      f"A quick linear probe reads the first label right in "
      f"{last['linear']:.1%}; `infomin evaluate` compares with raw pixels."
    )
  return said


def _plain(protocol: str) -> str:
  return protocol.partition(" (")[0]


def _number(value: float, metric: str) -> str:
  return f"{value:.1%}" if metric == "accuracy" else f"{value:.3g}"


def _health(rows, config) -> list[Block]:
  found = health.advise(rows, config)
  if not found:
    names = ", ".join(name.replace("_", " ") for name in health.RULES)
    return [Words(f"Nothing wrong was found; looked for: {names}.", "good")]
  return [Words(str(advice), "warn") for advice in found]


def training_blocks(rows, probed) -> list[Block]:
  """Curves of a run's lines, beside its evaluation (`probed_rows`)."""
  blocks: list[Block] = [
    Plot(
      "Loss; of a bound it is minus the nats, and falls below 0.",
      figures.curves({"loss": series(rows, "loss")}, "step", "loss"),
    )
  ]
  bounds = [row for row in rows if "mi_bound" in row]
  if bounds:
    half = [1.96 * row.get("mi_bound_error", 0.0) for row in bounds]
    blocks.append(
      Plot(
        "Bound on the information between two views of held-out images, with "
        "its 95 % interval over batches; the ceiling is log of the candidates.",
        figures.curves(
          {"bound": series(bounds, "mi_bound")},
          "step",
          "nats",
          flat={"ceiling": bounds[-1]["mi_ceiling"]},
          bands={"bound": half},
        ),
      )
    )
  probes = {k: series(rows, k) for k in ("knn", "linear")}
  probes = {k: found for k, found in probes.items() if found[0]}
  if probes:
    # While it trains, the first task is probed.
    flat = {
      f"{_plain(r['protocol'])}, {r['features']}": r["value"]
      for r in probed
      if r["task"] == probed[0]["task"]
      and r["features"] != "learned"
      and _plain(r["protocol"]) in probes
    }
    blocks.append(
      Plot(
        "Quick probes while it trained; dashed, where the run was evaluated, "
        "raw pixels and the untrained encoder (on more images).",
        figures.curves(probes, "step", "accuracy", flat=flat),
      )
    )
  for key, words in (
    (
      "feature_std",
      "Standard deviation of features of length one: 1 / sqrt(d) where all d "
      "are used alike, 0 where they collapse.",
    ),
    ("effective_rank", "Effective rank: how many directions features use."),
  ):
    if series(rows, key)[0]:
      plot = figures.curves({key: series(rows, key)}, "step", key)
      blocks.append(Plot(words, plot))
  return [*blocks, Plot("Where the time went.", times(rows))]


def times(rows):
  """Milliseconds a step of input, computation and evaluation."""
  steps = np.diff([0, *(row["step"] for row in rows)])
  total = np.diff([0, *(row["seconds"] for row in rows)])
  looked = np.array([row.get("evaluation_seconds", 0.0) for row in rows])
  share = np.array([row.get("input_wait_share", 0.0) for row in rows])
  # A line's seconds are those before its evaluation; a run that went on counts
  # them anew.
  before = np.array([0.0, *looked[:-1]])
  rest = np.maximum(np.where(total < 0, 0, total) - before, 0)
  at = [row["step"] for row in rows]
  parts = {
    "computation": rest * (1 - share),
    "waiting for input": rest * share,
    "evaluation": looked,
  }
  lines = {name: (at, (1e3 * x / steps).tolist()) for name, x in parts.items()}
  return figures.curves(lines, "step", "ms a step")


def probe_table(probed) -> Table:
  """One row a task, probe, tap and metric; features in columns."""
  value, names = {}, []
  for row in probed:
    key = (row["task"], row["protocol"], row["metric"])
    tap = "" if row["features"] == "pixels" else row["tap"]
    value[(*key, tap, row["features"])] = _number(row["value"], row["metric"])
    if row["features"] == "learned":
      names.append((*key, tap))
  rows = [
    (
      *name,
      value.get((*name[:-1], "", "pixels"), ""),
      value.get((*name, "untrained"), ""),
      value[(*name, "learned")],
    )
    for name in dict.fromkeys(names)
  ]
  headings = ("task", "probe", "metric", "features")
  return Table(
    "What probes read from the features, on held-out images.",
    (*headings, "raw pixels", "untrained", "learned"),
    rows,
  )


def _how(workdir: pathlib.Path, config) -> list[Block]:
  path = workdir / "summary.json"
  summary = json.loads(path.read_text()) if path.exists() else {}
  blocks: list[Block] = []
  if "command" in summary:
    blocks.append(Words(summary["command"], "code"))
  facts = {
    "device": summary.get("device"),
    "devices": summary.get("devices"),
    "processes": summary.get("processes"),
    **summary.get("versions", {}),
    "this page by infomin-jax": evidence.versions()["infomin-jax"],
  }
  known = [(k, v) for k, v in facts.items() if v is not None]
  settings = sorted(flatten_dict(as_json(config), sep=".").items())
  return [
    *blocks,
    Table("Where it ran.", ("what", "which"), known),
    Table("Its configuration.", ("key", "value"), settings, folded=True),
  ]
