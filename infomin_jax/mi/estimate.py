"""Estimates how many nats paired samples share, with an interval."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.mi import row_order, value, warnings
from infomin_jax.mi.classes import count_classes
from infomin_jax.mi.columns import fit_whole
from infomin_jax.mi.cross_fit import cross_fit
from infomin_jax.mi.held import Held
from infomin_jax.mi.inputs.samples import Paired, as_paired

_FOLDS = 5
# Most classes that are compared with numbers; each becomes a column.
_CLASSES = 256
_CELLS = 50_000_000  # most cells of these columns: 400 MB
FEWEST = 40  # samples; with fewer, a fold has too few to choose with


@dataclasses.dataclass(frozen=True)
class Estimate:
  """The estimated mutual information of paired samples.

  Attributes:
    nats: the value.
    interval: the 95 % interval, `(low, high)` in nats.
    estimator: bound and critic, in words.
    ceiling: the most that this many negatives can show, nats.
    flags: names of the warnings, keys of `warnings.WORDS`.
    advice: one sentence per flag, and notes on the data.
    samples: number of pairs.
    seconds: wall time.
    p_value: of a permutation test; small means dependent.
    held: scores of every fold, for `compare`; empty for discrete data.
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
    """Returns what `infomin estimate --json` prints."""
    fields = dataclasses.asdict(dataclasses.replace(self, held=()))
    del fields["held"]
    return fields | {
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
  pairs. The sum of critics that held-out pairs favor scores the last fifth.
  This is repeated for each fifth, so no pair is scored by a critic that
  was fitted to it.

  The value is the Donsker-Varadhan bound of these scores, plus a correction for
  what such critics fall short by. The correction is half of the difference
  between fitted and new pairs. For networks, half of what twice as many pairs
  gain is added. Nearest neighbors are a second estimate. It replaces the value
  where it is clearly higher, unless a critic is named. Two discrete variables
  are counted.

  Args:
    x: `[n]`, `[n, d]`, or images `[n, h, w]` or `[n, h, w, c]`; integers of few
      values are classes.
    y: its partners; row i of x was observed with row i of y.
    critic: `auto`, or one of `cross_fit.CRITICS`.
    seed: seed of folds, training, bootstrap and permutations. The same seed and
      data give the same value on the same machine, if JAX has computed nothing
      before (it then has the settings of the command).
    say: called with one line of text per step.

  Returns:
    The estimate; print its `advice` with it.

  Example:
    >>> import numpy as np
    >>> x, noise = np.random.default_rng(0).normal(size=(2, 500))
    >>> result = estimate(x, x + noise, critic="copula")
    >>> low, high = result.interval
    >>> bool(low < np.log(2) / 2 < high)  # the truth, in nats
    True

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
  """Estimates as `estimate` does, from samples that are already checked."""
  began = time.perf_counter()
  count = len(pairs.x)
  if count < FEWEST:
    raise UserError(
      f"x has {count} samples: at least {FEWEST} pairs are needed to fit a "
      "critic and to test it on other pairs."
    )
  figures: dict[str, Any] = {
    "samples": count,
    "constant": 0,
    "duplicates": 0.0,
  } | value.NO_DOUBT
  figures["same_column"], figures["row_order"] = row_order.shared(pairs)
  if pairs.x_kind == pairs.y_kind == "discrete":
    figures["constant"] = sum(np.all(v == v[0]) for v in (pairs.x, pairs.y))
    result, how, held = _nothing(count), "no varying column", ()
    if not figures["constant"]:
      result, how = count_classes(pairs.x, pairs.y, seed), "plug-in"
  else:
    result, how, held, notes = _of_numbers(pairs, critic, seed, say)
    pairs = dataclasses.replace(pairs, notes=(*pairs.notes, *notes))
  figures |= result
  low, high = figures["interval"]
  names = warnings.flags(figures)
  return Estimate(
    nats=float(figures["nats"]),
    interval=(float(low), float(high)),
    estimator=how,
    ceiling=figures["ceiling"],
    flags=names,
    advice=(*warnings.words(names, figures), *pairs.notes),
    samples=count,
    seconds=time.perf_counter() - began,
    p_value=figures["p_value"],
    held=held,
  )


def _of_numbers(pairs, critic, seed, say):
  """Returns figures, estimator, folds and notes, if a side has numbers."""
  x, x_constant, x_notes = _floats("x", pairs.x, pairs.x_kind, pairs.x_text)
  y, y_constant, y_notes = _floats("y", pairs.y, pairs.y_kind, pairs.y_text)
  result: dict[str, Any] = {"constant": x_constant + y_constant}
  notes = (*x_notes, *y_notes)
  if not x.size or not y.size:
    result |= _nothing(len(pairs.x))
    return result, "no varying column", (), notes
  if "image" not in (pairs.x_kind, pairs.y_kind):
    result["duplicates"] = warnings.duplicated(x, y)
  vectors = x.ndim == y.ndim == 2
  if vectors:
    # The columns that classes become are one column of the data.
    result["columns"] = sum(
      1 if kind == "discrete" else values.shape[1]
      for kind, values in ((pairs.x_kind, x), (pairs.y_kind, y))
    )
    result["reduced"] = _reduced(x, y)
  fit = cross_fit(x, y, folds=_FOLDS, seed=seed, critic=critic, say=say)
  result |= value.of_scores(fit, seed)
  how = f"Donsker-Varadhan, cross-fitted ({fit.name})"
  if critic == "auto" and vectors:
    say("nearest neighbors")
    result |= value.second_look(x, y, fit, result, seed)
    how = result.pop("how", how)
  result |= value.above_zero(result)
  result |= value.below_entropy(result, pairs)
  return result, how, fit.held, notes


def _floats(side, values, kind, text) -> tuple[np.ndarray, int, tuple]:
  """Returns floats, the number of constant columns, and notes.

  The floats are columns `[n, d]`, or images `[n, h, w, c]` in [0, 1]. Each
  class but the first becomes a column. Too many classes become one column of
  numbers, or are refused if they are texts.
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
        "with numbers. Join rare categories, or name a column of numbers."
      )
    notes = (f"{side}: {len(classes)} distinct integers, taken as numbers.",)
  values = values.astype(np.float64)
  varies = np.max(values, axis=0) > np.min(values, axis=0)
  return values[:, varies], int(np.sum(~varies)), notes


def _reduced(x, y) -> str:
  """Returns the numbers of columns if not all of them are fitted, or ""."""
  dims = x.shape[1], y.shape[1]
  if fit_whole(dims, int(len(x) * (1 - 1 / _FOLDS) * 7 / 8)):
    return ""
  return f"The columns of both sides ({dims[0]:,} of x and {dims[1]:,} of y)"


def _nothing(count: int) -> dict[str, Any]:
  """Returns the figures of a variable that never varies and shares nothing."""
  return {
    "nats": 0.0,
    "interval": (0.0, 0.0),
    "ceiling": float(np.log(count)),
    "p_value": 1.0,
  }
