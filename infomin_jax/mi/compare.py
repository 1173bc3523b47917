"""Compares estimators on the same held-out scores, and draws a figure."""

import pathlib
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import lookup
from infomin_jax.estimators import ESTIMATORS, MI, NONNEURAL, infonce
from infomin_jax.mi import interval
from infomin_jax.mi.held import Held, donsker_varadhan
from infomin_jax.mi.inputs.samples import Paired

_DIRECTIONS = {
  "lower": "lower bound",
  "upper": "upper bound if the critic is the log ratio",
  "neither": "neither",
}
# Most rows in which neighbors are searched.
_NEIGHBORS = 10_000
# Number of discrete sides -> estimators without a critic that accept them.
_ACCEPT = {
  0: ("gaussian", "ksg"),
  1: ("mixed_ksg",),
  2: ("plug_in",),
}


def check_names(at: str, names: Sequence[str]) -> None:
  """Raises a UserError if a name is no estimator; `at` is the option used."""
  for name in names:
    lookup(f"estimator ({at})", name, ESTIMATORS | NONNEURAL)


def table(
  held: Sequence[Held], pairs: Paired, names: Sequence[str] = ()
) -> list[dict]:
  """Returns rows `estimator`, `nats`, `interval`, `direction`, `ceiling`.

  Args:
    held: scores of each fold; empty for discrete variables.
    pairs: the samples, for estimators without a critic.
    names: estimators; all that give nats of I(X; Y) if empty.

  Returns:
    One row per estimator that accepts the samples. For estimators of scores,
    the interval is two standard errors of the mean over folds; for others it is
    None.
  """
  if not names:
    bounds = {bound: name for name, bound in ESTIMATORS.items() if bound.of_mi}
    names = *bounds.values(), *NONNEURAL  # one row for a bound with two names
  rows = [_scored(name, held) for name in names if name in ESTIMATORS and held]
  if "image" in (pairs.x_kind, pairs.y_kind):
    return rows
  some = np.random.default_rng(0).permutation(len(pairs.x))[:_NEIGHBORS]
  x, y = (v.reshape(len(v), -1)[some] for v in (pairs.x, pairs.y))
  for name in _ACCEPT[[pairs.x_kind, pairs.y_kind].count("discrete")]:
    if name == "gaussian" and len(x) <= x.shape[1] + y.shape[1]:
      continue  # its covariance is singular
    if name in names:
      rows.append(_row(name, float(NONNEURAL[name](x, y)), None, "neither"))
  return rows


def _scored(name, held) -> dict:
  bound, size = ESTIMATORS[name], len(held[0].matrix)
  nats = _values(name, held)
  error = 2 * np.std(nats, ddof=1) / np.sqrt(len(nats))
  mean = float(np.mean(nats))
  function = getattr(bound.fn, "func", bound.fn)  # of a `partial`
  ceiling = float(np.log(size)) if function is infonce else None
  direction = _DIRECTIONS[bound.direction]
  if bound.quantity != MI:
    direction = bound.quantity
  interval = [mean - float(error), mean + float(error)]
  return _row(name, mean, interval, direction, ceiling)


def _row(estimator, nats, interval, direction, ceiling=None) -> dict:
  return {
    "estimator": estimator,
    "nats": nats,
    "interval": interval,
    "direction": direction,
    "ceiling": ceiling,
  }


def _values(name, held) -> list[float]:
  """Returns nats of each fold, of scores with the shift of the estimator."""
  shift = ESTIMATORS[name].shift or 0.0
  return [
    float(ESTIMATORS[name](jnp.asarray(fold.matrix + shift))) for fold in held
  ]


def draw(
  path: pathlib.Path, counts: Sequence[int], held: Sequence[Sequence[Held]]
) -> None:
  """Draws bounds against the number of samples, as a PNG.

  Args:
    path: the PNG.
    counts: numbers of samples.
    held: the scores of all folds for each count.
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
