"""How many nats two sets of paired samples share, and how sure that is."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from infomin_jax.data.paired import Paired, as_paired
from infomin_jax.errors import UserError
from infomin_jax.estimation import advice, interval, neighbors, order
from infomin_jax.estimation.classes import count_classes
from infomin_jax.estimation.columns import fit_whole
from infomin_jax.estimation.crossfit import CrossFit, cross_fit
from infomin_jax.estimation.held import Held, donsker_varadhan, log_partition
from infomin_jax.estimation.models import NETWORKS
from infomin_jax.estimation.partition import ENOUGH
from infomin_jax.estimators import leave_one_out, nwj
from infomin_jax.estimators.nonneural import entropy

_FOLDS = 5
# How many times what twice the pairs gain may be to come.
_RISE = 2.0
# Of a value, and of one nat: what other seeds change, which no bootstrap sees.
_SURE = 0.003
_DRAWS = 500
_PERMUTATIONS = 999
# Classes that are compared with numbers, at most; each becomes a column.
_CLASSES = 256
_CELLS = 50_000_000  # of these columns: 400 MB
# Nats, and for each nat, that neighbors may be too high: of one pair of
# columns, and else.
_MORE_OF_PAIR, _MORE = 0.01, 0.03
FEWEST = 40  # samples: below, a fold has too few to choose with


@dataclasses.dataclass(frozen=True)
class Estimate:
  """Mutual information of paired samples.

  Attributes:
    nats: the value.
    interval: 95 % of it, `(low, high)` in nats.
    estimator: bound and critic, in words.
    ceiling: the most that this many negatives can show, nats.
    flags: names of what speaks against the value, keys of `advice.WORDS`.
    advice: a sentence each, and notes on the data.
    samples: pairs.
    seconds: wall time.
    p_value: of a permutation test; small means dependent.
    held: scores of every fold, for `side_by_side`; empty for discrete data.
  """

  nats: float
  interval: tuple[float, float]
  estimator: str
  ceiling: float
  flags: tuple[str, ...]
  advice: tuple[str, ...]
  samples: int
  seconds: float
  p_value: float
  held: Sequence[Held] = dataclasses.field(default=(), repr=False)

  def to_json(self) -> dict:
    """What `infomin estimate --json` prints."""
    known = dataclasses.asdict(dataclasses.replace(self, held=()))
    del known["held"]
    return known | {
      "interval": list(self.interval),
      "flags": list(self.flags),
      "advice": list(self.advice),
    }


def estimate(
  x: Any,
  y: Any,
  *,
  critic: str = "auto",
  seed: int = 0,
  say: Callable[[str], None] = lambda text: None,
) -> Estimate:
  """Estimates I(X; Y) from paired samples, in nats.

  Every coordinate is replaced by its rank. A Student-t copula, a mixture of
  normals and a network added to the copula are fitted to four fifths of the
  pairs, and the sum of those that held-out pairs like scores the last fifth; so
  five times, until each pair has been scored by a critic that has not seen it.
  The value is the Donsker-Varadhan bound of these scores, and what such critics
  fall short by: half of what they show more of the pairs that they were fitted
  to, or what a network gains by twice the pairs. Nearest neighbors are a second
  look; the value is theirs where they show clearly more, unless a critic is
  named. Two discrete variables are counted.

  Args:
    x: `[n]`, `[n, d]`, or images `[n, h, w]` or `[n, h, w, c]`; integers of
      few values are classes.
    y: its partners; row i of x was observed with row i of y.
    critic: `auto`, or one of `crossfit.CRITICS`.
    seed: of folds, training, bootstrap and permutations: the same seed and
      data give the same value on the same machine, if JAX has computed
      nothing before (its settings are those of the command then).
    say: told what is being done, a line at a time.

  Returns:
    The estimate; print its `advice` beside it.

  Raises:
    UserError: arrays that cannot be paired, or fewer than 40 samples.
  """
  return estimate_paired(as_paired(x, y), critic=critic, seed=seed, say=say)


def estimate_paired(
  pairs: Paired,
  *,
  critic: str = "auto",
  seed: int = 0,
  say: Callable[[str], None] = lambda text: None,
) -> Estimate:
  """`estimate` of samples that have been read and checked already."""
  began = time.perf_counter()
  count = len(pairs.x)
  if count < FEWEST:
    raise UserError(
      f"x has {count} samples: at least {FEWEST} pairs are needed to fit a "
      "critic and to judge it on others."
    )
  figures: dict[str, Any] = {
    "samples": count,
    "constant": 0,
    "duplicates": 0.0,
    "optimism": 0.0,
    "rise": 0.0,
    "network": False,
    "apart": 0.0,
    "model_based": False,
    "thin_partition": False,
  }
  figures["same_column"], figures["row_order"] = order.shared(pairs)
  if pairs.x_kind == pairs.y_kind == "discrete":
    figures["constant"] = sum(np.all(v == v[0]) for v in (pairs.x, pairs.y))
    found, how, held = _nothing(count), "no varying column", ()
    if not figures["constant"]:
      found, how = count_classes(pairs.x, pairs.y, seed), "plug-in"
  else:
    x, x_constant, x_note = _floats("x", pairs.x, pairs.x_kind, pairs.x_text)
    y, y_constant, y_note = _floats("y", pairs.y, pairs.y_kind, pairs.y_text)
    figures["constant"] = x_constant + y_constant
    pairs = dataclasses.replace(pairs, notes=(*pairs.notes, *x_note, *y_note))
    if x.size and y.size:
      if "image" not in (pairs.x_kind, pairs.y_kind):
        figures["duplicates"] = advice.duplicated(x, y)
      figures["reduced"] = _reduced(x, y)
      fit = cross_fit(x, y, folds=_FOLDS, seed=seed, critic=critic, say=say)
      found, how, held = _continuous(fit, seed), _name(fit), fit.held
      if x.ndim == y.ndim == 2:
        figures["columns"] = x.shape[1] + y.shape[1]
      if critic == "auto" and x.ndim == y.ndim == 2:
        say("nearest neighbors")
        found |= (better := _second_look(x, y, fit, found, seed))
        how = better.pop("how", how)
      found |= _above_zero(found)
      found |= _below_entropy(found, pairs)
    else:
      found, how, held = _nothing(count), "no varying column", ()
  figures |= found
  names = advice.flags(figures)
  return Estimate(
    nats=figures["nats"],
    interval=figures["interval"],
    estimator=how,
    ceiling=figures["ceiling"],
    flags=names,
    advice=(*advice.words(names, figures), *pairs.notes),
    samples=count,
    seconds=time.perf_counter() - began,
    p_value=figures["p_value"],
    held=held,
  )


def _floats(side, values, kind, text) -> tuple[np.ndarray, int, tuple]:
  """Floats `[n, d]` or `[n, h, w, c]` in [0, 1], constant columns, and notes.

  Classes become a column each but the first; too many of them become one of
  numbers, and are refused if they are texts.
  """
  values = np.asarray(values)
  if kind == "image":
    scale = 255 if values.dtype == np.uint8 else 1
    images = values.astype(np.float32) / scale
    return images[..., None] if images.ndim == 3 else images, 0, ()
  values, notes = values.reshape(len(values), -1), ()
  if kind == "discrete":
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) <= min(_CLASSES, _CELLS // len(values)):
      codes = codes.reshape(-1, 1)
      dummies = codes == np.arange(1, len(classes))[None]
      return dummies.astype(np.float64), int(len(classes) == 1), ()
    if text:
      raise UserError(
        f"{side} is text of {len(classes):,} categories in {len(values):,} "
        f"rows: at most {min(_CLASSES, _CELLS // len(values))} can be compared "
        "with numbers; join rare ones, or name a column of numbers."
      )
    notes = (f"{side}: {len(classes)} distinct integers, taken as numbers.",)
  values = values.astype(np.float64)
  varies = np.max(values, axis=0) > np.min(values, axis=0)
  return values[:, varies], int(np.sum(~varies)), notes


def _reduced(x, y) -> str:
  """What is fitted instead of all columns, or nothing."""
  if x.ndim != 2 or y.ndim != 2:
    return ""
  dims = x.shape[1], y.shape[1]
  if fit_whole(dims, int(len(x) * (1 - 1 / _FOLDS) * 7 / 8)):
    return ""
  return (
    f"of {dims[0]:,} columns of x and {dims[1]:,} of y, components or those "
    "that correlate were fitted"
  )


def _below_entropy(found, pairs) -> dict[str, Any]:
  """The value and interval, no higher than the entropy of classes."""
  most = np.inf
  for values, kind in ((pairs.x, pairs.x_kind), (pairs.y, pairs.y_kind)):
    if kind == "discrete":
      counts = np.unique(values, return_counts=True)[1]
      most = min(most, entropy(counts))
  low, high = found["interval"]
  return {
    "nats": min(found["nats"], most),
    "interval": (min(low, most), min(high, most)),
  }


def _continuous(fit: CrossFit, seed: int) -> dict[str, Any]:
  held = float(np.mean([donsker_varadhan(fold) for fold in fit.held]))
  fitted = float(np.mean([fold.fitted_nats for fold in fit.held]))
  optimism = fitted - held
  draws = interval.bootstrap(fit.held, _DRAWS, seed)
  low, high = interval.interval(draws)
  carried = min(log_partition(fold)[1] for fold in fit.held)
  thin = carried < ENOUGH
  # A model shows as much too little of new pairs as too much of those that it
  # was fitted to. A network falls shorter, by what more pairs would gain.
  network = bool(set(fit.critics) & set(NETWORKS))
  rise = max(fit.rise, 0.0)
  short = max(optimism, 0.0) / 2 + (rise / 2 if network else 0.0)
  nats = held + short
  more = optimism + _RISE * rise if network else max(optimism, _RISE * rise)
  sure = _SURE * (1 + nats)
  low, high = low + short / 2 - sure, high + max(more, short) + sure
  matrices = [jnp.asarray(fold.matrix) for fold in fit.held]
  lower = np.mean([float(nwj(matrix + 1)) for matrix in matrices])
  upper = np.mean([float(leave_one_out(matrix)) for matrix in matrices])
  size = len(fit.held[0].matrix)
  return {
    "nats": nats,
    "interval": (low, high),
    "ceiling": float(np.log(size * (size - 1) * len(fit.held))),
    "optimism": optimism,
    "rise": rise if network else 0.0,
    "network": network,
    "apart": float(max(upper, held) - min(lower, held)),
    "model_based": thin and fit.held[0].normalised,
    "thin_partition": thin and not fit.held[0].normalised,
    "p_value": interval.permutation_p_value(fit.held, _PERMUTATIONS, seed),
  }


def _second_look(x, y, fit: CrossFit, found, seed: int) -> dict[str, Any]:
  """What neighbors change: the value where they show more than the critic.

  Critics and neighbors both fall short, but hardly ever exceed the truth by
  more than `_MORE`. So where they differ by more, the higher is nearer.
  """
  near = neighbors.look(x, y, seed)
  if near is None:
    return {}
  scores = np.empty(len(x))
  for fold in fit.held:
    scores[fold.rows] = fold.pairs - log_partition(fold)[0]
  # The critics' own value is higher than what they show of new pairs.
  scores += found["nats"] - np.mean(scores)
  more = near.each - scores[near.rows]
  error = np.std(more) / np.sqrt(len(more))
  pair = x.shape[1] == y.shape[1] == 1
  least = (_MORE_OF_PAIR if pair else _MORE) * (1 + abs(near.nats))
  least = max(least, 3 * error)
  low, high = found["interval"]
  # What neighbors show by chance is looked at only where it can matter.
  if np.mean(more) <= least or np.mean(more) <= least + near.chance:
    return {"interval": (low, max(high, near.nats + 2 * error))}
  near_low, near_high = near.interval()
  return {
    "how": near.how,
    "nats": near.nats,
    "interval": (near_low, max(near_high, high)),
    "ceiling": near.ceiling,
    "critic_short": found["nats"],
    "optimism": 0.0,
    "rise": 0.0,
    "network": False,
    "apart": 0.0,
    "model_based": False,
    "thin_partition": False,
  }


def _above_zero(found) -> dict[str, Any]:
  """The value, and an interval that says how little is known below zero."""
  nats, (low, high) = found["nats"], found["interval"]
  if nats >= 0:
    return {"interval": (max(low, 0.0), high)}
  # The pairs that the critic was fitted to bound what it may have missed.
  most = max(high, nats + found["optimism"], 0.0)
  return {"nats": 0.0, "interval": (0.0, most), "below_zero": nats}


def _name(fit: CrossFit) -> str:
  return f"Donsker-Varadhan, cross-fitted ({fit.name})"


def _nothing(count: int) -> dict[str, Any]:
  """A variable that never varies shares nothing."""
  return {
    "nats": 0.0,
    "interval": (0.0, 0.0),
    "ceiling": float(np.log(count)),
    "p_value": 1.0,
  }
