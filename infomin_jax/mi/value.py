"""Turns the scores of held-out pairs into a value and its interval, in nats."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from infomin_jax.estimators import leave_one_out, nwj
from infomin_jax.estimators.nonneural import entropy
from infomin_jax.mi import interval, neighbors, warnings
from infomin_jax.mi.critics.models import NETWORKS
from infomin_jax.mi.cross_fit import CrossFit
from infomin_jax.mi.held import donsker_varadhan, log_partition
from infomin_jax.mi.inputs.samples import Paired
from infomin_jax.mi.partition import ENOUGH

# Figures of the critics that `warnings.flags` reads, where no value is taken
# from critics.
NO_DOUBT = {
  "optimism": 0.0,
  "rise": 0.0,
  "bent": False,
  "apart": 0.0,
  "model_based": False,
  "thin_partition": False,
}
_DRAWS = 500
_PERMUTATIONS = 999
# The interval extends upward by so many times the nats that twice the pairs
# gain: more pairs may gain more.
_RISE = 2.0
# Share of a value plus one nat that other seeds change. The bootstrap does not
# contain it.
_SURE = 0.003
# Nats, and nats per nat of the value, by which neighbors may be too high: for
# one pair of columns, and otherwise.
_MORE_OF_PAIR, _MORE = 0.01, 0.03


def of_scores(fit: CrossFit, seed: int) -> dict[str, Any]:
  """Returns value, interval and the figures that `warnings.flags` reads."""
  held = float(np.mean([donsker_varadhan(fold) for fold in fit.held]))
  fitted = float(np.mean([fold.fitted_nats for fold in fit.held]))
  optimism = fitted - held
  draws = interval.bootstrap(fit.held, _DRAWS, seed)
  low, high = interval.interval(draws)
  carried = min(log_partition(fold)[1] for fold in fit.held)
  thin = carried < ENOUGH
  # A model shows about as much too little on new pairs as it shows too much on
  # the pairs that it was fitted to. A network falls shorter, by what more pairs
  # would gain.
  network = bool(set(fit.critics) & set(NETWORKS))
  rise = max(fit.rise, 0.0)
  short = max(optimism, 0.0) / 2 + (rise / 2 if network else 0.0)
  p_value = interval.permutation_p_value(fit.held, _PERMUTATIONS, seed)
  if p_value > warnings.NO_DEPENDENCE:  # nothing to fall short of
    short, low = 0.0, min(low, 0.0)
  nats = held + short
  more = optimism + _RISE * rise if network else max(optimism, _RISE * rise)
  sure = _SURE * (1 + nats)
  low, high = low + short / 2 - sure, high + max(more, short) + sure
  matrices = [jnp.asarray(fold.matrix) for fold in fit.held]
  # The best critic of NWJ is the log density ratio plus 1.
  lower = np.mean([float(nwj(matrix + 1)) for matrix in matrices])
  upper = np.mean([float(leave_one_out(matrix)) for matrix in matrices])
  size = len(fit.held[0].matrix)
  return {
    "nats": nats,
    "interval": (low, high),
    # The log of the number of negatives in all folds.
    "ceiling": float(np.log(size * (size - 1) * len(fit.held))),
    "optimism": optimism,
    "rise": rise if network else 0.0,
    "bent": fit.critics != ("copula",),
    "apart": float(max(upper, held) - min(lower, held)),
    "model_based": thin and fit.held[0].normalized,
    "thin_partition": thin and not fit.held[0].normalized,
    "p_value": p_value,
  }


def second_look(x, y, fit: CrossFit, found, seed: int) -> dict[str, Any]:
  """Returns the value of neighbors where they show more than the critic.

  Critics and neighbors both fall short, but rarely exceed the truth by more
  than `_MORE`. So where they differ by more, the higher value is nearer to the
  truth. One kind of critic may be far too high: few negatives carry its
  partition at so many nats. Residuals of local fits need no partition, and take
  its place.
  """
  near = neighbors.look(x, y, seed)
  if near is None:
    return {}
  scores = np.empty(len(x))
  for fold in fit.held:
    scores[fold.rows] = fold.pairs - log_partition(fold)[0]
  # The value of the critics is higher than their mean score of new pairs, by
  # the correction of `of_scores`.
  scores += found["nats"] - np.mean(scores)
  more = near.each - scores[near.rows]
  error = np.std(more) / np.sqrt(len(more))
  pair = x.shape[1] == y.shape[1] == 1
  least = (_MORE_OF_PAIR if pair else _MORE) * (1 + abs(near.nats))
  least = max(least, 3 * error)
  low, high = found["interval"]
  few = found["model_based"] or found["thin_partition"]
  few = few or found["nats"] > found["ceiling"] - warnings.NEAR_CEILING
  fitted = pair and near.how == neighbors.FITTED and few
  # `near.chance` searches neighbors again, so it is computed only where it can
  # decide.
  higher = np.mean(more) > least and np.mean(more) > least + near.chance
  if not (higher or fitted):
    return {"interval": (low, max(high, near.nats + 2 * error))}
  near_low, near_high = near.interval()
  return {
    "how": near.how,
    "nats": near.nats,
    "interval": (near_low, max(near_high, high) if higher else near_high),
    "ceiling": near.ceiling,
    "critic_short": found["nats"],
  } | NO_DOUBT


def above_zero(found) -> dict[str, Any]:
  """Returns a value not below 0, and an interval that allows for doubt."""
  nats, (low, high) = found["nats"], found["interval"]
  if nats >= 0:
    return {"interval": (max(low, 0.0), high)}
  # The value on the pairs that the critic was fitted to bounds what it may have
  # missed.
  most = max(high, nats + found["optimism"], 0.0)
  return {"nats": 0.0, "interval": (0.0, most), "below_zero": nats}


def below_entropy(found, pairs: Paired) -> dict[str, Any]:
  """Returns the value and interval, at most the entropy of classes."""
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
