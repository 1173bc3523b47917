"""The page of one run: results, health, curves, and how to repeat it."""

import itertools
import pathlib
from collections.abc import Callable
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


def run_page(
  workdir: str | pathlib.Path,
  images: int,
  plane: str,
  say: Callable[[str], None] = lambda line: None,
) -> str:
  """Returns the page of a run's folder; the run need not be finished.

  Args:
    workdir: the run's folder.
    images: number of test images to show.
    plane: how features become points of a plane, `pca` or `tsne`.
    say: called with a line of text if a section is left out.

  Raises:
    UserError: the folder holds no run, or has no line of metrics yet.
  """
  workdir = pathlib.Path(workdir)
  config, rows = (
    read_config(workdir),
    some_metrics(workdir),
  )
  probed = probed_rows(workdir)
  try:
    samples = look(workdir, images)
    shown = {
      "Features": pictures.features(samples, plane),
      "Nearest neighbors": pictures.neighbors(samples),
      "Views": pictures.views(samples, config),
    }
  except UserError as error:  # no checkpoint yet, or the data are missing
    shown = {"Features": [Words(f"Not shown: {error}", "warn")]}
    say(f"Features and views are not shown: {error}")
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
  """Returns `read_metrics`, at least one line.

  Raises:
    UserError: there is no line, or a line lacks the loss or the seconds.
  """
  rows = read_metrics(workdir)
  for key in ("loss", "seconds"):
    if rows and not all(key in row for row in rows):
      raise UserError(
        f"{workdir}/metrics.jsonl has lines without {key!r}: expected lines of "
        "`infomin train`."
      )
  if not rows:
    raise UserError(
      f"{workdir} has no line of metrics.jsonl yet: wait for the first."
    )
  return rows


def probed_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the rows of `evaluation.json`; [] if there is no such file."""
  path = workdir / "evaluation.json"
  return read_json(path)["rows"] if path.exists() else []


def series(rows, key: str) -> tuple[list[float], list[float]]:
  """Returns the steps at which a metric was measured, and its values."""
  having = [row for row in rows if key in row]
  return [row["step"] for row in having], [row[key] for row in having]


def _sentences(rows, config, probed) -> list[str]:
  """Returns sentences on the loss, the bound and the probes."""
  last, steps = rows[-1], config.steps
  done = "" if last["step"] >= steps else f" of {steps:,}"
  minutes = _seconds(rows) / 60
  took = f"{minutes:.1f} minutes"
  if minutes >= 120:
    took = f"{minutes / 60:,.1f} hours"
  sentences = [
    f"{int(last['step']):,}{done} steps on {config.data.name} in {took} "
    f"brought the loss to {number(last['loss'], 3)}."
  ]
  if bound := [row for row in rows if "mi_bound" in row]:
    row = bound[-1]
    around = 1.96 * row.get("mi_bound_error", 0.0)
    spread = f" (± {number(around)})" if around else ""
    sentences.append(
      f"Two views of a held-out image share at least "
      f"{number(row['mi_bound'])}{spread} nats by its critic. This estimate "
      f"cannot exceed {number(row['mi_ceiling'])} nats (log of "
      f"{number(np.exp(row['mi_ceiling']), 0)} candidates)."
    )
  return sentences + _probe_sentences(probed, last)


def _probe_sentences(probed, last) -> list[str]:
  """Returns sentences on the scores of `evaluate`, or of quick probes."""
  read = [r for r in probed if r["features"] == "learned"]
  read = [r for r in read if r["value"] is not None]
  sentences = []
  if read:
    first = read[0]
    same = ("task", "protocol", "metric")
    baselines = {
      r["features"]: r["value"]
      for r in probed
      if all(r[k] == first[k] for k in same)
      and r["tap"] in (first["tap"], "pixels")
      and r["value"] is not None
    }
    others = [
      f"{_number(baselines[name], first['metric'])} from {words}"
      for name, words in (
        ("pixels", "raw pixels"),
        ("untrained", "the untrained encoder"),
      )
      if name in baselines
    ]
    sentences.append(
      f"{first['task'].capitalize()}: the probe {_plain(first['protocol'])} "
      f"has {first['metric']} {_number(first['value'], first['metric'])} on "
      f"learned features ({', '.join(others)})."
    )
    if largest := [
      r
      for r in read
      if (r["task"], r["metric"]) == (first["task"], "largest_class")
    ]:
      sentences.append(
        f"For comparison, always guessing its largest class is right in "
        f"{largest[0]['value']:.1%}."
      )
  elif "linear" in last:
    sentences.append(
      f"A quick linear probe of the first label has accuracy "
      f"{last['linear']:.1%}; `infomin evaluate` compares with raw pixels."
    )
    if "largest_class" in last:
      sentences.append(
        f"For comparison, always guessing its largest class is right in "
        f"{last['largest_class']:.1%}."
      )
  return sentences


def _seconds(rows) -> float:
  """Returns the seconds of training over all starts of a run."""
  # In older runs the seconds of each start begin at 0.
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
  findings = health.advise(rows, config)
  if not findings:
    names = ", ".join(name.replace("_", " ") for name in health.RULES)
    return [Words(f"No problem was found. Rules: {names}.", "good")]
  return [Words(str(advice), "warn") for advice in findings]


def training_blocks(rows, probed) -> list[Block]:
  """Plots the curves of a run's lines, with its evaluation (`probed_rows`)."""
  blocks: list[Block] = [
    Plot(
      "Loss. For a bound it is minus the nats, and falls below 0.",
      plots.curves({"loss": series(rows, "loss")}, "step", "loss"),
    )
  ]
  bounds = [row for row in rows if "mi_bound" in row]
  if bounds:
    half = [1.96 * row.get("mi_bound_error", 0.0) for row in bounds]
    blocks.append(
      Plot(
        "Bound on the information between two views of held-out images, with "
        "its 95 % interval over batches. The ceiling is the log of the number "
        "of candidates.",
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
    # The quick probes of training use the first task only.
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
        "Quick probes during training. Dashed lines: raw pixels and the "
        "untrained encoder, by `infomin evaluate`, on more images.",
        plots.curves(probes, "step", "accuracy", flat=flat),
      )
    )
  for key, words in (
    (
      "feature_std",
      "Standard deviation of features of length one: 1 / sqrt(d) if all d are "
      "used equally, 0 if they collapse.",
    ),
    ("effective_rank", "Effective rank: the number of directions in use."),
  ):
    if series(rows, key)[0]:
      plot = plots.curves({key: series(rows, key)}, "step", key)
      blocks.append(Plot(words, plot))
  return [*blocks, Plot("Where the time went.", times(rows))]


def times(rows):
  """Plots milliseconds per step of input, computation and evaluation."""
  steps = np.diff([0.0, *(row["step"] for row in rows)])
  steps[steps <= 0] = np.nan  # a duplicated line has no steps
  total = np.diff([0, *(row["seconds"] for row in rows)])
  evaluation = np.array([row.get("evaluation_seconds", 0.0) for row in rows])
  share = np.array([row.get("input_wait_share", 0.0) for row in rows])
  # The seconds of a line are taken before its evaluation, so an evaluation
  # counts in the next line. In older runs a new start counts from 0 again.
  before = np.array([0.0, *evaluation[:-1]])
  rest = np.maximum(np.where(total < 0, 0, total) - before, 0)
  at = [row["step"] for row in rows]
  parts = {
    "computation": rest * (1 - share),
    "waiting for input": rest * share,
    "evaluation": evaluation,
  }
  lines = {name: (at, (1e3 * x / steps).tolist()) for name, x in parts.items()}
  return plots.curves(lines, "step", "ms per step")


def probe_table(probed) -> Table:
  """Returns a row per task, probe, metric and tap, with features in columns."""
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
  shown = [(k, v) for k, v in facts.items() if v is not None]
  settings = sorted(flatten_dict(as_json(config), sep=".").items())
  return [
    *blocks,
    Table("Where it ran.", ("what", "which"), shown),
    Table("Its configuration.", ("key", "value"), settings, folded=True),
  ]
