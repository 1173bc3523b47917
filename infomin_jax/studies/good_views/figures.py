"""Figures: accuracy against I(v1; v2), one PNG per family."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from infomin_jax.studies.claims import interval
from infomin_jax.studies.good_views import runs
from infomin_jax.studies.good_views.claims import ACCURACY, SHARED
from infomin_jax.studies.results import Missing, Results


def draw_all(
  out: pathlib.Path, results: Results, chosen: Mapping[str, Mapping]
) -> None:
  """Writes the figures of all results into `out`."""
  for family, options in chosen.items():
    names = list(dict.fromkeys(line.name for line in runs.asked(options)))
    path = out / f"{family}.png"
    if family == "moving":
      factors(path, names, results)
    else:
      reverse_u(path, family, names, results)


def reverse_u(path, family: str, names: list[str], results: Results) -> None:
  """Draws accuracy and I(v; y) against I(v1; v2).

  The band is the sweet spot: the 95 % interval, over seeds, of I(v1; v2) of the
  views with the best accuracy. Error bars are standard deviations over seeds.
  """
  points = {}
  for name in names:
    shared = results.spread(name, SHARED)
    best = results.spread(name, ACCURACY)
    if shared and best:
      points[name] = (*shared, *best)
  if len(points) < 2:
    return
  figure = Figure(figsize=(9.6, 3.8), layout="constrained")
  left, right = figure.subplots(1, 2)
  order = sorted(points, key=lambda name: points[name][0])
  x, dx, y, dy = np.array([points[name] for name in order]).T
  left.errorbar(x, y, xerr=dx, yerr=dy, marker="o", capsize=2)
  for name, point in zip(order, zip(x, y, strict=True), strict=True):
    left.annotate(
      name.partition("-")[2],
      point,
      (3, 4),
      fontsize=7,
      textcoords="offset points",
    )
  spot = sweet_spot(list(points), results)
  if spot is not None:
    low, high = spot
    left.axvspan(low, high, alpha=0.2, color="tab:green", label="sweet spot")
  left.set(
    title=family,
    xlabel="I(v1; v2) of held-out views (nats)",
    ylabel="test accuracy of a linear probe",
  )
  for metric, text in (
    ("label_nats_1_views", "I(v1; y)"),
    ("label_nats_2_views", "I(v2; y)"),
  ):
    label_nats = [results.spread(name, metric) for name in order]
    if all(label_nats):
      z, dz = np.array(label_nats).T
      right.errorbar(x, z, xerr=dx, yerr=dz, marker="o", capsize=2, label=text)
  right.set(
    title="information of a view about the label",
    xlabel="I(v1; v2) of held-out views (nats)",
    ylabel="nats",
  )
  for axis in (left, right):
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
      axis.legend(fontsize=8)
  figure.savefig(path, dpi=120)


def factors(path, names: list[str], results: Results) -> None:
  """Draws how well each factor is predicted, by the shared factors."""
  panels = {
    "linear_pool": "digit, accuracy",
    "linear_pool_background": "background, accuracy",
    "pixels_pool": "position, error in pixels",
  }
  spreads = {
    metric: [results.spread(name, metric) for name in names]
    for metric in panels
  }
  if not all(any(values) for values in spreads.values()):
    return
  figure = Figure(figsize=(9.6, 3.4), layout="constrained")
  rows = [name.partition("-")[2].replace("_", " + ") for name in names]
  axes = figure.subplots(1, len(panels), sharey=True)
  for axis, (metric, text) in zip(axes, panels.items(), strict=True):
    for row, value in zip(rows, spreads[metric], strict=True):
      mean, sd = value or (np.nan, 0.0)
      axis.barh(row, mean, xerr=sd, color="tab:blue", capsize=2)
    axis.set_title(text, fontsize=9)
    axis.grid(alpha=0.3, axis="x")
  axes[0].set_ylabel("shared by frames and still")
  axes[0].invert_yaxis()
  figure.savefig(path, dpi=120)


def sweet_spot(
  names: list[str], results: Results
) -> tuple[float, float] | None:
  """Returns the 95 % interval, over seeds, of I(v1; v2) of the best views."""
  try:
    accuracy = {name: results.values(name, ACCURACY) for name in names}
    shared = {name: results.values(name, SHARED) for name in names}
  except Missing:
    return None
  seeds = set.intersection(*(set(by_seed) for by_seed in accuracy.values()))
  if len(seeds) < 2:
    return None
  best = []
  for seed in seeds:
    name = max(names, key=lambda name: accuracy[name][seed])
    best.append(shared[name][seed])
  return interval(np.array(best))
