"""Figures of the tables and ablations that were run, one PNG each.

Error bars are standard deviations over seeds.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from infomin_jax.studies.deep_infomax import runs
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line, load

_NAMES = {
  "local_dv": "Donsker-Varadhan",
  "local_jsd": "JSD",
  "local_infonce": "InfoNCE",
}


def draw_all(
  out: pathlib.Path, results: Results, chosen: Mapping[str, Mapping]
) -> None:
  """Writes the figures of all results into `out`."""
  for name in ("T1", "T2", "factors"):
    for config in chosen[name]["configs"]:
      table(out / f"{name}_{config}.png", config, results, chosen[name])
  for config in chosen["negatives"]["configs"]:
    negatives(out / "negatives.png", config, results, chosen["negatives"])
  for name in ("weights", "attributes"):
    for config in chosen[name]["configs"]:
      weights(out / f"{name}.png", config, results, chosen[name])
  for config in chosen["ndm"]["configs"]:
    dependence(out / "ndm.png", config, results, chosen["ndm"])


def table(path, config: str, results: Results, options: Mapping) -> None:
  """Draws the accuracy of the MLP probe by row, one marker per tap.

  A dotted line is the accuracy on raw pixels.
  """
  rows = [row for row in options["rows"] if f"{config}-{row}" in results.runs]
  if not rows:
    return
  figure = Figure(figsize=(6.5, 0.35 * len(rows) + 1.4), layout="constrained")
  axis = figure.subplots()
  for tap, marker in (("conv", "s"), ("fc", "^"), ("y", "o")):
    points = _spreads(
      results, [f"{config}-{row}" for row in rows], f"mlp_{tap}"
    )
    axis.errorbar(
      points[:, 0], range(len(rows)), xerr=points[:, 1], fmt=marker, label=tap
    )
  pixels = results.spread(f"{config}-untrained", "mlp_pixels")
  if pixels:
    axis.axvline(pixels[0], color="gray", ls=":", label="pixels")
  axis.set_yticks(range(len(rows)), rows)
  axis.invert_yaxis()
  axis.set(title=f"{config}: 200-unit MLP probe", xlabel="test accuracy")
  _finish(figure, [axis], path)


def negatives(path, config: str, results: Results, options: Mapping) -> None:
  """Draws accuracy against the number of negative images, one panel per tap."""
  batch = load(config).batch_size
  counts = sorted(options["negatives"], key=lambda n: n or batch - 1)
  rows = {
    row: [Line(config, *runs.fewer_negatives(row, n)).name for n in counts]
    for row in options["rows"]
  }
  fewest = [names[0] for names in rows.values()]
  taps = [
    tap
    for tap in ("y", "conv")
    if any(results.spread(name, f"mlp_{tap}") for name in fewest)
  ]
  if not taps:
    return
  figure = Figure(figsize=(4.8 * len(taps), 3.6), layout="constrained")
  axes = figure.subplots(1, len(taps), squeeze=False)[0]
  for axis, tap in zip(axes, taps, strict=True):
    for row, names in rows.items():
      x = [n or batch - 1 for n in counts]
      points = _spreads(results, names, f"mlp_{tap}")
      axis.errorbar(x, *points.T, marker="o", label=_NAMES.get(row, row))
    axis.set_xscale("log", base=2)
    axis.set(
      title=f"{config}, tap {tap}",
      xlabel="number of images with negatives",
      ylabel="test accuracy",
    )
  _finish(figure, axes, path)


def weights(path, config: str, results: Results, options: Mapping) -> None:
  """Draws a heat map per metric over alpha and beta, and NDM over gamma."""
  metrics = {
    "mlp_y": "accuracy (MLP, y)",
    "ssim_y": "SSIM of reconstruction (y)",
    "mine_y": "I(X; Y) by MINE (nats)",
    "ndm_y": "NDM (nats)",
    "error_y": "class-balanced error of attributes",
  }
  gammas = options["gamma"]
  grids = {m: _grid(results, config, options, m) for m in metrics}
  grids = {m: grid for m, grid in grids.items() if np.isfinite(grid).any()}
  if not grids:
    return
  count = len(grids) + (len(gammas) > 1)
  figure = Figure(figsize=(4 * count, 3.6), layout="constrained")
  axes = figure.subplots(1, count, squeeze=False)[0]
  for axis, (metric, grid) in zip(axes, grids.items(), strict=False):
    image = axis.imshow(grid, origin="lower", cmap="viridis")
    figure.colorbar(image, ax=axis)
    for (i, j), value in np.ndenumerate(grid):
      if math.isfinite(value):
        axis.text(j, i, f"{value:.3f}", ha="center", va="center", color="w")
    axis.set_xticks(range(len(options["beta"])), options["beta"])
    axis.set_yticks(range(len(options["alpha"])), options["alpha"])
    axis.set(
      title=metrics[metric], xlabel="beta, local", ylabel="alpha, global"
    )
  if len(gammas) > 1:
    names = [Line(config, *runs.mixture(0.0, 1.0, g)).name for g in gammas]
    points = _spreads(results, names, "ndm_y")
    axes[-1].errorbar(gammas, *points.T, marker="o", label="alpha 0, beta 1")
    axes[-1].set(title="NDM (nats)", xlabel="gamma, prior")
    axes[-1].legend(fontsize=8)
  figure.suptitle(config, fontsize=10)
  figure.savefig(path, dpi=120)


def _grid(results, config, options: Mapping[str, Any], metric) -> np.ndarray:
  """Returns means `[alpha, beta]`, NaN where nothing was measured."""
  gamma = options["gamma"][len(options["gamma"]) // 2]
  names = [
    Line(config, *runs.mixture(alpha, beta, gamma)).name
    for alpha in options["alpha"]
    for beta in options["beta"]
  ]
  means = _spreads(results, names, metric)[:, 0]
  return means.reshape(len(options["alpha"]), len(options["beta"]))


def dependence(path, config: str, results: Results, options: Mapping) -> None:
  """NDM against beta-VAE's beta."""
  betas = options["betas"]
  names = [Line(config, *runs.vae(beta)).name for beta in betas]
  points = _spreads(results, names, "ndm_y")
  if not np.isfinite(points).any():
    return
  figure = Figure(figsize=(4.6, 3.6), layout="constrained")
  axis = figure.subplots()
  axis.errorbar(betas, *points.T, marker="o", label=config)
  axis.set(title="beta-VAE", xlabel="beta", ylabel="NDM of y (nats)")
  _finish(figure, [axis], path)


def _spreads(results, names: list[str], metric: str) -> np.ndarray:
  """Returns mean and deviation of each line, `[lines, 2]`, NaN if missing."""
  nothing = (math.nan, math.nan)
  return np.array([results.spread(name, metric) or nothing for name in names])


def _finish(figure, axes, path) -> None:
  for axis in axes:
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
  figure.savefig(path, dpi=120)
