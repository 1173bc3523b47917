"""How many nats two sets of paired samples share, and how sure that is."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.mi import order, value, warnings
from infomin_jax.mi.classes import count_classes
from infomin_jax.mi.columns import fit_whole
from infomin_jax.mi.cross_fit import cross_fit
from infomin_jax.mi.held import Held
from infomin_jax.mi.inputs.samples import Paired, as_paired

_FOLDS = 5
# Classes that are compared with numbers, at most; each becomes a column.
_CLASSES = 256
_CELLS = 50_000_000  # of these columns: 400 MB
FEWEST = 40  # samples: below, a fold has too few to choose with


@dataclasses.dataclass(frozen=True)
class Estimate:
  """Mutual information of paired samples.

  Attributes:
    nats: the value.
    interval: 95 % of it, `(low, high)` in nats.
    estimator: bound and critic, in words.
    ceiling: the most that this many negatives can show, nats.
    flags: names of what speaks against the value, keys of `warnings.WORDS`.
    advice: a sentence each, and notes on the data.
    samples: pairs.
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
    critic: `auto`, or one of `cross_fit.CRITICS`.
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
  } | value.NO_DOUBT
  figures["same_column"], figures["row_order"] = order.shared(pairs)
  if pairs.x_kind == pairs.y_kind == "discrete":
    figures["constant"] = sum(np.all(v == v[0]) for v in (pairs.x, pairs.y))
    found, how, held = _nothing(count), "no varying column", ()
    if not figures["constant"]:
      found, how = count_classes(pairs.x, pairs.y, seed), "plug-in"
  else:
    found, how, held, notes = _of_numbers(pairs, critic, seed, say)
    pairs = dataclasses.replace(pairs, notes=(*pairs.notes, *notes))
  figures |= found
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
  """Figures, estimator in words, folds and notes, where a side has numbers."""
  x, x_constant, x_notes = _floats("x", pairs.x, pairs.x_kind, pairs.x_text)
  y, y_constant, y_notes = _floats("y", pairs.y, pairs.y_kind, pairs.y_text)
  found: dict[str, Any] = {"constant": x_constant + y_constant}
  notes = (*x_notes, *y_notes)
  if not x.size or not y.size:
    found |= _nothing(len(pairs.x))
    return found, "no varying column", (), notes
  if "image" not in (pairs.x_kind, pairs.y_kind):
    found["duplicates"] = warnings.duplicated(x, y)
  vectors = x.ndim == y.ndim == 2
  if vectors:
    # The columns that classes become are one column of the data.
    found["columns"] = sum(
      1 if kind == "discrete" else values.shape[1]
      for kind, values in ((pairs.x_kind, x), (pairs.y_kind, y))
    )
    found["reduced"] = _reduced(x, y)
  fit = cross_fit(x, y, folds=_FOLDS, seed=seed, critic=critic, say=say)
  found |= value.of_scores(fit, seed)
  how = f"Donsker-Varadhan, cross-fitted ({fit.name})"
  if critic == "auto" and vectors:
    say("nearest neighbors")
    found |= value.second_look(x, y, fit, found, seed)
    how = found.pop("how", how)
  found |= value.above_zero(found)
  found |= value.below_entropy(found, pairs)
  return found, how, fit.held, notes


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
  """Says what is fitted instead of all columns, or nothing."""
  dims = x.shape[1], y.shape[1]
  if fit_whole(dims, int(len(x) * (1 - 1 / _FOLDS) * 7 / 8)):
    return ""
  return (
    f"of {dims[0]:,} columns of x and {dims[1]:,} of y, components or those "
    "that correlate were fitted"
  )


def _nothing(count: int) -> dict[str, Any]:
  """A variable that never varies shares nothing."""
  return {
    "nats": 0.0,
    "interval": (0.0, 0.0),
    "ceiling": float(np.log(count)),
    "p_value": 1.0,
  }
