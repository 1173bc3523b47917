"""Warnings about an estimate: a flag for programs, a sentence for people."""

import math

import numpy as np

from infomin_jax.output import number

NO_DEPENDENCE = 0.05  # p value above which no dependence is reported
NEAR_CEILING = 0.5  # nats
# Columns of both sides beyond which critics miss a part of a dependence that no
# copula describes: with enough samples, and with fewer than `_ROWS_PER_COLUMN`
# samples per column.
_MANY_COLUMNS, _FEW_COLUMNS = 20, 4
_ROWS_PER_COLUMN = 200
# flag -> sentence; `{...}` are figures of the estimate
WORDS = {
  "same_column": (
    "{same_column}. Columns that order the rows identically share all of their "
    "entropy, and their mutual information has no bound if their values never "
    "repeat. Leave one of them out, unless this is the question you ask."
  ),
  "row_order": (
    "{row_order}: both columns follow the order of the rows, as row numbers, "
    "IDs, time stamps and sorted classes do. This order alone gives many nats. "
    "Leave these columns out."
  ),
  "constant": "Constant columns were left out: {constant}.",
  "reduced": (
    "{reduced} are too many for the samples. Critics were fitted to principal "
    "components, or to the columns that correlate with the other side, so the "
    "value is a lower bound for all columns."
  ),
  "many_classes": (
    "Permuted pairs show {chance:.2f} nats by chance alone, because there are "
    "too many classes for the samples. The value may be too high by as much."
  ),
  "duplicates": (
    "{duplicates:.0%} of the pairs repeat an earlier pair. A copy in another "
    "fold was already used in training, so the value may be too high."
  ),
  "few_samples": (
    "{samples} pairs are too few for {nats} nats: the number of pairs that a "
    "bound needs grows as exp(nats). Take more samples."
  ),
  "near_ceiling": (
    "These samples can show {ceiling} nats at most. The value is close to that "
    "or above it: the truth may be much higher, and the value may be wrong."
  ),
  "wide_interval": "The interval is wider than the value.",
  "critic_short": (
    "The value comes from nearest neighbors and is not a bound. The critics "
    "show {critic_short} nats."
  ),
  "below_zero": (
    "On new pairs the critic scores worse than no critic ({below_zero} nats). "
    "Either x and y share nothing, or the samples are too few to show it."
  ),
  "bounds_apart": (
    "Lower and upper bounds of this critic are {apart} nats apart, so the "
    "critic is far from the log density ratio."
  ),
  "model_based": (
    "Too few negatives determine the partition function, so it was taken from "
    "the fitted model. The value is as good as that model, and is not a bound."
  ),
  "thin_partition": (
    "Too few negatives determine the partition function of the critic. The "
    "value may be far too high or too low. Compare other seeds, or take more "
    "samples."
  ),
  "overfitted": (
    "The critic scores {optimism} nats more on the pairs that it was fitted to "
    "than on new pairs. The truth probably lies between the two. Take more "
    "samples."
  ),
  "still_rising": (
    "A critic fitted to twice as many pairs shows {rise} nats more, and this "
    "growth has not ended. The truth is probably higher."
  ),
  "bent": (
    "A Student-t copula does not describe this dependence. In {columns} "
    "columns, other critics find only a part of it, so the truth may be higher."
  ),
  "independent": "No dependence was found (p = {p_value:.2g}).",
}


def flags(figures: dict) -> tuple[str, ...]:
  """Returns the flags that hold, in the order of `WORDS`.

  Args:
    figures: `nats`, `interval`, `ceiling`, `samples`, `p_value`, `optimism`,
      `apart`, `model_based`, `thin_partition`, `bent`, `constant` and
      `duplicates` of an estimate. Optional: the texts `same_column`,
      `row_order` and `reduced`; the number of `columns`; and the nats `chance`
      (of permuted classes), `critic_short`, `below_zero` and `rise`.
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
  """Returns whether critics miss a part of what is in so many columns."""
  few = samples < _ROWS_PER_COLUMN * columns
  return columns > _MANY_COLUMNS or (columns > _FEW_COLUMNS and few)


def words(names: tuple[str, ...], figures: dict) -> tuple[str, ...]:
  """Returns one sentence per flag."""
  nats = (
    *("nats", "ceiling", "apart", "optimism", "critic_short", "below_zero"),
    "rise",
  )
  rounded = figures | {n: number(figures[n]) for n in nats if n in figures}
  return tuple(WORDS[name].format(**rounded) for name in names)


def duplicated(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the share of pairs that repeat an earlier pair, 0 to 1."""
  rows = np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1)
  # The bytes of a row become one value, because sorting such values is fast.
  flat = np.ascontiguousarray(rows, np.float64)
  keys = flat.view(np.dtype((np.void, flat.strides[0]))).reshape(-1)
  return 1 - len(np.unique(keys)) / len(keys)
