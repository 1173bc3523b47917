"""The page of one run: what it learned, whether all is well, how to redo it."""

import itertools
import pathlib
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from infomin_jax import provenance
from infomin_jax.errors import UserError
from infomin_jax.output import number, read_json
from infomin_jax.report import pictures, plots
from infomin_jax.report.page import Block, Plot, Table, Words, page
from infomin_jax.report.samples import look
from infomin_jax.runs import health
from infomin_jax.runs.progress import read_metrics
from infomin_jax.runs.workdir import as_json, read_config


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
  config, rows = (
    read_config(workdir),
    some_metrics(workdir),
  )
  probed = probed_rows(workdir)
  try:
    found = look(workdir, images)
    shown = {
      "Features": pictures.features(found, plane),
      "Nearest neighbours": pictures.neighbors(found),
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
    UserError: there is none, or it lacks what every line has.
  """
  rows = read_metrics(workdir)
  for key in ("loss", "seconds"):
    if rows and not all(key in row for row in rows):
      raise UserError(
        f"{workdir}/metrics.jsonl has lines without {key!r}: expected those of "
        "`infomin train`."
      )
  if not rows:
    raise UserError(
      f"{workdir} has no line of metrics.jsonl yet: wait for the first."
    )
  return rows


def probed_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of `evaluation.json`, if it is there."""
  path = workdir / "evaluation.json"
  return read_json(path)["rows"] if path.exists() else []


def series(rows, key: str) -> tuple[list[float], list[float]]:
  """Steps, and a metric where it was measured."""
  having = [row for row in rows if key in row]
  return [row["step"] for row in having], [row[key] for row in having]


def _sentences(rows, config, probed) -> list[str]:
  """Says what was learned, in at most three sentences."""
  last, steps = rows[-1], config.steps
  done = "" if last["step"] >= steps else f" of {steps:,}"
  minutes = _seconds(rows) / 60
  took = f"{minutes:.1f} minutes"
  if minutes >= 120:
    took = f"{minutes / 60:,.1f} hours"
  said = [
    f"{int(last['step']):,}{done} steps on {config.data.name} in {took} "
    f"brought the loss to {number(last['loss'], 3)}."
  ]
  if bound := [row for row in rows if "mi_bound" in row]:
    row = bound[-1]
    around = 1.96 * row.get("mi_bound_error", 0.0)
    spread = f" (± {number(around)})" if around else ""
    said.append(
      f"Two views of an image that it has not seen share at least "
      f"{number(row['mi_bound'])}{spread} nats by its critic; this estimate "
      f"cannot exceed {number(row['mi_ceiling'])} (log of "
      f"{number(np.exp(row['mi_ceiling']), 0)} candidates)."
    )
  return said + _probe_sentences(probed, last)


def _probe_sentences(probed, last) -> list[str]:
  """Returns what is read from the features, by `evaluate` or while training."""
  read = [r for r in probed if r["features"] == "learned"]
  read = [r for r in read if r["value"] is not None]
  said = []
  if read:
    first = read[0]
    same = ("task", "protocol", "metric")
    beside = {
      r["features"]: r["value"]
      for r in probed
      if all(r[k] == first[k] for k in same)
      and r["tap"] in (first["tap"], "pixels")
      and r["value"] is not None
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
    if largest := [
      r
      for r in read
      if (r["task"], r["metric"]) == (first["task"], "largest_class")
    ]:
      said.append(
        f"Always guessing its largest class is right in "
        f"{largest[0]['value']:.1%}: compare with that."
      )
  elif "linear" in last:
    said.append(
      f"A quick linear probe reads the first label right in "
      f"{last['linear']:.1%}; `infomin evaluate` compares with raw pixels."
    )
    if "largest_class" in last:
      said.append(
        f"Always guessing its largest class is right in "
        f"{last['largest_class']:.1%}: compare with that."
      )
  return said


def _seconds(rows) -> float:
  """Seconds of training; runs of before counted each start's from 0."""
  counted = [row["seconds"] for row in rows]
  starts = [a for a, b in itertools.pairwise(counted) if b < a]
  return sum(starts) + counted[-1]


def _plain(protocol: str) -> str:
  return protocol.partition(" (")[0]


def _number(value: float | None, metric: str) -> str:
  if value is None:
    return "none"
  shares = ("accuracy", "balanced_accuracy", "largest_class")
  return f"{value:.1%}" if metric in shares else f"{value:.3g}"


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
      plots.curves({"loss": series(rows, "loss")}, "step", "loss"),
    )
  ]
  bounds = [row for row in rows if "mi_bound" in row]
  if bounds:
    half = [1.96 * row.get("mi_bound_error", 0.0) for row in bounds]
    blocks.append(
      Plot(
        "Bound on the information between two views of held-out images, with "
        "its 95 % interval over batches; the ceiling is log of the candidates.",
        plots.curves(
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
      and r["metric"] == "accuracy"
      and r["value"] is not None
      and r["features"] != "learned"
      and _plain(r["protocol"]) in probes
    }
    blocks.append(
      Plot(
        "Quick probes while it trained; dashed, where the run was evaluated, "
        "raw pixels and the untrained encoder (on more images).",
        plots.curves(probes, "step", "accuracy", flat=flat),
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
      plot = plots.curves({key: series(rows, key)}, "step", key)
      blocks.append(Plot(words, plot))
  return [*blocks, Plot("Where the time went.", times(rows))]


def times(rows):
  """Milliseconds a step of input, computation and evaluation."""
  steps = np.diff([0.0, *(row["step"] for row in rows)])
  steps[steps <= 0] = np.nan  # of a line that is there twice
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
  return plots.curves(lines, "step", "ms a step")


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
  summary = read_json(path) if path.exists() else {}
  blocks: list[Block] = []
  if "command" in summary:
    blocks.append(Words(summary["command"], "code"))
  facts = {
    "device": summary.get("device"),
    "devices": summary.get("devices"),
    "processes": summary.get("processes"),
    **summary.get("versions", {}),
    "this page by infomin-jax": provenance.versions()["infomin-jax"],
  }
  known = [(k, v) for k, v in facts.items() if v is not None]
  settings = sorted(flatten_dict(as_json(config), sep=".").items())
  return [
    *blocks,
    Table("Where it ran.", ("what", "which"), known),
    Table("Its configuration.", ("key", "value"), settings, folded=True),
  ]
