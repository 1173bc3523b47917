"""When not to believe an estimate: flags for programs, words for people."""

import math

import numpy as np

from infomin_jax.output import number

NO_DEPENDENCE = 0.05  # p value above which none was found
NEAR_CEILING = 0.5  # nats
# Columns of both sides beyond which critics overlook some of what is bent, and
# of few samples.
_MANY_COLUMNS, _FEW_COLUMNS = 20, 4
_ROWS_PER_COLUMN = 200
# flag -> what it says; `{...}` are figures of the estimate.
WORDS = {
  "same_column": (
    "{same_column}: a column that orders the rows as another one does shares "
    "all its entropy with it, without a bound if its values never repeat; "
    "leave one out, unless that is what you ask"
  ),
  "row_order": (
    "{row_order}: both follow the order of the rows, as row numbers, ids, time "
    "stamps and sorted classes do, and share many nats by that alone; leave "
    "them out"
  ),
  "constant": "{constant} of the columns are constant and were left out",
  "reduced": (
    "{reduced}: too many for the samples, so that the value is a lower bound "
    "for what they share"
  ),
  "many_classes": (
    "pairs dealt anew show {chance:.2f} nats by chance alone: there are too "
    "many classes for the samples, and the value may be as much too high"
  ),
  "duplicates": (
    "{duplicates:.0%} of the pairs are copies of others; copies in two folds "
    "make what was seen in training look new, so the value may be too high"
  ),
  "few_samples": (
    "{samples} pairs are too few for {nats} nats: a bound from that many "
    "needs about exp(nats) of them for each unit; take more samples"
  ),
  "near_ceiling": (
    "the value is within 0.5 of {ceiling} nats, the most that this many "
    "negatives can show: the truth may be much higher"
  ),
  "wide_interval": "the interval is wider than the value",
  "critic_short": (
    "the critics show {critic_short} nats: the value is that of nearest "
    "neighbors, which is no bound"
  ),
  "below_zero": (
    "on new pairs the critic is worse than none ({below_zero} nats): the "
    "value is 0, or more than so few samples can show"
  ),
  "bounds_apart": (
    "lower and upper bounds are {apart} nats apart: the critic is far "
    "from the log density ratio"
  ),
  "model_based": (
    "too few negatives carry the partition, so it was taken from the fitted "
    "model: the value is as good as that model, and no bound"
  ),
  "thin_partition": (
    "too few negatives carry the partition of the critic: the value may be far "
    "off, to either side; compare other seeds, or take more samples"
  ),
  "overfitted": (
    "the critic scores {optimism} nats more on pairs that it was fitted "
    "to: the truth is likely to lie between; take more samples"
  ),
  "still_rising": (
    "twice the pairs made the critic show {rise} nats more, and more pairs "
    "would go on: the truth is likely to be higher"
  ),
  "bent": (
    "the dependence is bent, and in {columns} columns critics find only a part "
    "of that: the truth may be higher"
  ),
  "independent": "no dependence was found (p = {p_value:.2g})",
}


def flags(figures: dict) -> tuple[str, ...]:
  """The flags that hold, in the order of `WORDS`.

  Args:
    figures: `nats`, `interval`, `ceiling`, `samples`, `p_value`, `optimism`,
      `apart`, `model_based`, `thin_partition`, `constant` and `duplicates` of
      an estimate. Texts `same_column`, `row_order` and `reduced`, and nats
      `chance` of dealt classes, where there are any.
  """
  chance = figures.get("chance", 0.0)
  nats, (low, high) = figures["nats"], figures["interval"]
  holds = {
    "same_column": bool(figures.get("same_column")),
    "row_order": bool(figures.get("row_order")),
    "constant": figures["constant"] > 0,
    "reduced": bool(figures.get("reduced")),
    "many_classes": chance > max(0.05, 0.1 * nats),
    "duplicates": figures["duplicates"] > 0.01,
    "few_samples": figures["samples"] < 20 * math.exp(min(nats, 50)) + 50,
    "near_ceiling": nats > figures["ceiling"] - NEAR_CEILING,
    "wide_interval": high - low > max(nats, 0),
    "critic_short": "critic_short" in figures,
    "below_zero": figures.get("below_zero", 0.0) < -0.02,
    "bounds_apart": figures["apart"] > max(0.3, 0.5 * nats),
    "model_based": figures["model_based"],
    "thin_partition": figures["thin_partition"],
    "overfitted": figures["optimism"] > max(0.1, 0.15 * nats),
    "still_rising": figures.get("rise", 0.0) > 0.02 * (1 + max(nats, 0)),
    "bent": figures["bent"]
    and _many(figures.get("columns", 0), figures["samples"]),
    "independent": figures["p_value"] > NO_DEPENDENCE,
  }
  return tuple(name for name in WORDS if holds[name])


def _many(columns: int, samples: int) -> bool:
  """Returns whether critics overlook some of what is bent in so many
  columns.
  """
  few = samples < _ROWS_PER_COLUMN * columns
  return columns > _MANY_COLUMNS or (columns > _FEW_COLUMNS and few)


def words(names: tuple[str, ...], figures: dict) -> tuple[str, ...]:
  """One sentence a flag."""
  nats = (
    *("nats", "ceiling", "apart", "optimism", "critic_short", "below_zero"),
    "rise",
  )
  shown = figures | {n: number(figures[n]) for n in nats if n in figures}
  return tuple(WORDS[name].format(**shown) for name in names)


def duplicated(x: np.ndarray, y: np.ndarray) -> float:
  """The share of pairs of which an equal one came before, 0 to 1."""
  rows = np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1)
  # Bytes of a row as one value: sorting these is quick.
  flat = np.ascontiguousarray(rows, np.float64)
  keys = flat.view(np.dtype((np.void, flat.strides[0]))).reshape(-1)
  return 1 - len(np.unique(keys)) / len(keys)
