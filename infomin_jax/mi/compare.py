"""Several estimators on the same held-out scores, and a figure of samples."""

import pathlib
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from infomin_jax.estimators import ESTIMATORS, NONNEURAL, PROPERTIES
from infomin_jax.mi import interval
from infomin_jax.mi.held import Held, donsker_varadhan
from infomin_jax.mi.inputs.samples import Paired

# Those whose best critic is a shift of the log ratio and whose value is nats
# of I(X; Y), not of another divergence.
SCORED = (
  "infonce",
  "infonce_symmetric",
  "nwj",
  "js_nwj",
  "tuba",
  "i_alpha",
  "dv",
  "smile",
  "leave_one_out",
)
_DIRECTIONS = {
  "lower": "lower bound",
  "upper": "upper bound if the critic is the log ratio",
  "neither": "neither",
}
# Rows of the arrays that neighbors are searched in.
_NEIGHBOURS = 10_000


def table(held: Sequence[Held], pairs: Paired) -> list[dict]:
  """Rows `estimator`, `nats`, `interval`, `direction`, `ceiling`.

  Args:
    held: scores of each fold; none for discrete variables.
    pairs: the samples, for estimators without a critic.

  Returns:
    A row for each estimator; the interval of those of scores is that of the
    mean over folds, two standard errors, null for the others.
  """
  rows = [_scored(name, held) for name in SCORED] if held else []
  if "image" in (pairs.x_kind, pairs.y_kind):
    return rows
  few = np.random.default_rng(0).permutation(len(pairs.x))[:_NEIGHBOURS]
  x, y = (v.reshape(len(v), -1)[few] for v in (pairs.x, pairs.y))
  discrete = [pairs.x_kind, pairs.y_kind].count("discrete")
  for name in {0: ("gaussian", "ksg"), 1: ("mixed_ksg",), 2: ("plug_in",)}[
    discrete
  ]:
    if name == "gaussian" and len(x) <= x.shape[1] + y.shape[1]:
      continue  # it has no value
    nats = float(NONNEURAL[name](x, y))
    rows.append(_row(name, nats, None, "neither", None))
  return rows


def _scored(name, held) -> dict:
  properties, size = PROPERTIES[name], len(held[0].matrix)
  nats = _values(name, held)
  error = 2 * np.std(nats, ddof=1) / np.sqrt(len(nats))
  mean = float(np.mean(nats))
  ceiling = float(np.log(size)) if "infonce" in name else None
  interval = [mean - float(error), mean + float(error)]
  direction = _DIRECTIONS[properties.direction]
  return _row(name, mean, interval, direction, ceiling)


def _row(estimator, nats, interval, direction, ceiling) -> dict:
  return {
    "estimator": estimator,
    "nats": nats,
    "interval": interval,
    "direction": direction,
    "ceiling": ceiling,
  }


def _values(name, held) -> list[float]:
  """Nats of each fold, of the scores shifted as the estimator wants them."""
  shift = PROPERTIES[name].shift or 0.0
  return [
    float(ESTIMATORS[name](jnp.asarray(fold.matrix + shift))) for fold in held
  ]


def draw(
  path: pathlib.Path, counts: Sequence[int], held: Sequence[Sequence[Held]]
) -> None:
  """A figure of bounds against the number of samples seen.

  Args:
    path: of the PNG.
    counts: samples.
    held: the folds' scores for each count.
  """
  import matplotlib

  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
  values = [[donsker_varadhan(fold) for fold in folds] for folds in held]
  draws = [
    interval.interval(interval.bootstrap(folds, 200, 0)) for folds in held
  ]
  low, high = zip(*draws, strict=True)
  axes.fill_between(counts, low, high, alpha=0.2, label="95 % interval")
  axes.plot(counts, np.mean(values, axis=1), "o-", label="Donsker-Varadhan")
  for name in ("infonce", "nwj", "leave_one_out"):
    nats = [np.mean(_values(name, folds)) for folds in held]
    axes.plot(counts, nats, ".--", linewidth=1, label=name)
  axes.set(xscale="log", xlabel="samples", ylabel="mutual information, nats")
  axes.set_xticks(counts, [f"{count:,}" for count in counts])
  axes.minorticks_off()
  axes.legend(frameon=False)
  figure.savefig(path, dpi=150)
  plt.close(figure)
