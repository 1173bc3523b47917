"""The figures of the paper: means and deviations of the runs, one PNG each."""

import math
import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from infomin_jax.studies.limits.dependent import TRUE_MI
from infomin_jax.studies.results import Results

_ESTIMATORS = ("infonce", "nwj")
# By estimator: [(line, label)].
_E4 = {
  estimator: [
    (f"{critic}-{estimator}", critic)
    for critic in ("bilinear", "separable", "concat")
  ]
  for estimator in _ESTIMATORS
}
_E5 = {
  estimator: [
    (f"{encoder}-t{t}-{estimator}", f"{encoder}, t = {t}")
    for encoder in ("convnet", "mlp")
    for t in (2, 4)
  ]
  for estimator in _ESTIMATORS
}
_BOTH = [("infonce", "infonce"), ("nwj", "nwj")]
_METRIC = [
  (name, name.replace("_", " "))
  for name in (
    "infonce",
    "kpair_multiclass",
    "kpair",
    "triplet",
    "triplet_semihard",
  )
]
_E6 = [
  (f"{pairs}-{estimator}", f"{pairs}, {estimator}")
  for pairs in ("dependent", "independent")
  for estimator in ("infonce", "nwj")
]


def _each(title: str, experiment: str, lines: dict, metric: str) -> list:
  return [
    (f"{title}, {estimator}", experiment, lines[estimator], metric)
    for estimator in _ESTIMATORS
  ]


# file -> panels: title, experiment, [(line, label)], metric.
FIGURES = {
  "figure1": [
    ("1a: bound, invertible", "E1", _BOTH, "bound_train"),
    ("1b: accuracy, invertible", "E1", _BOTH, "accuracy"),
    ("1c: accuracy, adversarial", "E2", [("", "adversarial")], "accuracy"),
  ],
  "figure2": [
    ("2a: accuracy, skip-MLP", "E3", _BOTH, "accuracy"),
    ("2b: conditioning, infonce", "E3", _BOTH[:1], "log_condition"),
    ("2c: conditioning, nwj", "E3", _BOTH[1:], "log_condition"),
  ],
  "figure3": _each("3: accuracy by critic", "E4", _E4, "accuracy"),
  "figure4": [
    *_each("4: accuracy, held bounds", "E5", _E5, "accuracy"),
    ("4c: dependent negatives", "E6", _E6, "bound_train"),
  ],
  "figure5": [("5: bound, skip-MLP", "E3", _BOTH, "bound_train")],
  "figure6": _each("6: bound by critic", "E4", _E4, "bound_train"),
  "figure7": _each("7: distance to target", "E5", _E5, "gap_train"),
  "figure8": [
    *_each("8: accuracy, CIFAR-10", "E7", _E4, "accuracy"),
    *_each("8: bound, CIFAR-10", "E7", _E4, "bound_train"),
  ],
  "figure9": [
    *_each("9: accuracy, CIFAR-10", "E7", _E5, "accuracy"),
    *_each("9: distance to target", "E7", _E5, "gap_train"),
  ],
  "metric": [
    ("metric learning: accuracy", "metric", _METRIC, "accuracy"),
    ("metric learning: InfoNCE", "metric", _METRIC, "infonce_test"),
  ],
}
_LABELS = {
  "accuracy": "test accuracy",
  "bound_train": "nats",
  "gap_train": "nats",
  "infonce_test": "nats, held out",
  "log_condition": "log condition number",
}


def draw_all(
  out: pathlib.Path, results: Results, chosen: Mapping[str, Mapping]
) -> list[pathlib.Path]:
  """Writes `figureN.png` for all experiments that were run.

  Returns:
    The paths of the files.
  """
  paths = []
  for name, panels in FIGURES.items():
    available = [panel for panel in panels if _has_runs(results, panel)]
    if available:
      path = out / f"{name}.png"
      _draw(path, available, results, chosen)
      paths.append(path)
  return paths


def _draw(path, panels, results, chosen) -> None:
  figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
  grid = figure.subplots(1, len(panels), squeeze=False)[0]
  for axis, (title, experiment, lines, metric) in zip(
    grid, panels, strict=True
  ):
    for line, label in lines:
      name = f"{experiment}-{line}".rstrip("-")
      if metric == "log_condition":
        _percentiles(axis, results, name)
      else:
        _curve(axis, results, name, metric, label)
    _guides(axis, results, experiment, metric, chosen[experiment])
    data = chosen[experiment].get("data", "Gaussian numbers")
    axis.set(title=title, xlabel=f"steps ({data})", ylabel=_LABELS[metric])
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
      axis.legend(fontsize=7)
  figure.savefig(path, dpi=120)


def _curve(axis, results, name, metric, label) -> None:
  """Draws mean and a band of one deviation over the runs that have a step."""
  points: dict[int, list[float]] = {}
  for record in results.records(name):
    for row in record["curve"]:
      if row.get(metric) is not None:
        points.setdefault(row["step"], []).append(row[metric])
  if not points:
    return
  steps = sorted(points)
  mean = np.array([np.mean(points[s]) for s in steps])
  sd = np.array([np.std(points[s]) for s in steps])
  lost = results.lost(name)
  label += f" ({lost} lost)" if lost else ""
  (line,) = axis.plot(steps, mean, marker=".", label=label)
  axis.fill_between(
    steps, mean - sd, mean + sd, alpha=0.2, color=line.get_color(), lw=0
  )


def _percentiles(axis, results, name) -> None:
  """Draws the 0, 20, ..., 100 % percentiles over the images of all runs."""
  points: dict[int, list[float]] = {}
  for record in results.records(name):
    for row in record["curve"]:
      logs = [v for v in row.get("log_condition", []) if v is not None]
      points.setdefault(row["step"], []).extend(logs)
  steps = sorted(step for step in points if points[step])
  for percent in range(0, 101, 20):
    values = [
      sorted(points[s])[int(percent / 100 * (len(points[s]) - 1))]
      for s in steps
    ]
    axis.plot(steps, values, marker=".", label=f"{percent} %")


def _guides(axis, results, experiment, metric, options) -> None:
  if metric == "accuracy":
    pixels = results.spread(f"{experiment}-pixels", "accuracy")
    if pixels:
      axis.axhline(pixels[0], color="gray", ls=":", label="pixels")
  elif experiment == "E6":
    axis.axhline(TRUE_MI, color="gray", ls=":", label="true MI")
    axis.set_ylim(-0.3, 0.3)
  elif metric == "bound_train":
    ceiling = math.log(options["batch_size"])
    axis.axhline(ceiling, color="gray", ls=":", label="log K")
    axis.set_ylim(-3, ceiling + 3)


def _has_runs(results, panel) -> bool:
  _, experiment, lines, _ = panel
  names = [f"{experiment}-{line}".rstrip("-") for line, _ in lines]
  return any(results.records(name) for name in names)
