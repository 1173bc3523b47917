"""Advice on a run: what goes wrong, in plain words, with the figure behind it.

Add a rule: write a function `(rows, config) -> (what is seen, what to try)`, or
None where nothing is wrong, and enter it in `RULES`. The rows are `Recent`.
"""

import array
import collections
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from infomin_jax.output import number

Row = Mapping[str, float]
Found = tuple[str, str] | None
_LOOKS = 3  # evaluations or log lines that must agree


class Advice(NamedTuple):
  """One thing that is wrong.

  Attributes:
    rule: its name in `RULES`.
    seen: what was seen, with the figure.
    hint: what to try.
  """

  rule: str
  seen: str
  hint: str

  def __str__(self) -> str:
    return f"{self.seen} {self.hint}"


class Recent(Sequence[Row]):
  """The newest lines of a run: those that rules look at, however long it is.

  Of the lines that have the same keys it holds the last `KEPT`. So the newest
  `KEPT` lines that have certain keys are here, as in the whole run, and a line
  costs the same at the start and at the end of a long run.

  Attributes:
    norm: the newest `grad_norm`, or None.
    norms: those before it, all that are finite.
    highest: the largest of these.
  """

  KEPT = _LOOKS + 1

  def __init__(self, rows: Iterable[Row] = ()):
    self.norm: float | None = None
    self.norms = array.array("d")
    self.highest = -math.inf
    self._count = 0
    self._alike: dict[tuple[str, ...], collections.deque[tuple[int, Row]]] = {}
    self._rows: list[Row] | None = None
    for row in rows:
      self.append(row)

  def append(self, row: Row) -> None:
    """Takes the next line."""
    keys, fresh = tuple(row), collections.deque(maxlen=self.KEPT)
    self._alike.setdefault(keys, fresh).append((self._count, row))
    self._count += 1
    self._rows = None
    if "grad_norm" in row:
      if self.norm is not None and math.isfinite(self.norm):
        self.norms.append(self.norm)
        self.highest = max(self.highest, self.norm)
      self.norm = row["grad_norm"]

  def _newest(self) -> list[Row]:
    if self._rows is None:
      numbered = sorted(
        (pair for kept in self._alike.values() for pair in kept),
        key=lambda pair: pair[0],
      )
      self._rows = [row for _, row in numbered]
    return self._rows

  def __len__(self) -> int:
    return len(self._newest())

  def __getitem__(self, at):
    return self._newest()[at]


def pinned(rows: Sequence[Row], config: Any) -> Found:
  """The bound is as high as its number of candidates allows."""
  del config
  row = _last(rows, "mi_bound")
  if row is None or not row["mi_ceiling"] - row["mi_bound"] <= 0.1:  # or NaN
    return None
  return (
    f"The bound on the information, {number(row['mi_bound'])} nats, is at its "
    f"ceiling: log of {number(math.exp(row['mi_ceiling']), 0)} candidates is "
    f"{row['mi_ceiling']:.2f}.",
    "It can rise no further, whatever is learned: compare more candidates "
    "(a larger batch_size, a queue), or make the views share less.",
  )


def collapse(rows: Sequence[Row], config: Any) -> Found:
  """All images have nearly the same features."""
  del config
  row, ranked = _last(rows, "feature_std"), _last(rows, "effective_rank")
  if row and row["feature_std"] < 1e-3:
    figure = f"their standard deviation is {row['feature_std']:.1e}"
  elif ranked and ranked["effective_rank"] < 2:
    figure = f"they use {ranked['effective_rank']:.1f} directions"
  else:
    return None
  return (
    f"The features of all images are nearly the same: {figure}.",
    "Lower the learning rate, add batch norm to the head, or use an objective "
    "with negatives.",
  )


def probe_falls(rows: Sequence[Row], config: Any) -> Found:
  """The bound rises while a probe reads less from the features."""
  looks = [row for row in rows if "mi_bound" in row and "linear" in row]
  if len(looks) < _LOOKS:
    return None
  first, *_, last = looks[-_LOOKS:]
  bounds = [row["mi_bound"] for row in looks[-_LOOKS:]]
  probes = [row["linear"] for row in looks[-_LOOKS:]]
  if not (_rises(bounds) and _rises([-x for x in probes])):
    return None
  # Twice the standard error of the difference, on so many held-out images.
  # (runs of before do not say how many; they asked for so many).
  p, asked = first["linear"], config["run"]["monitor_examples"]
  count = last.get("held_out_images", asked)
  if p - last["linear"] < max(0.02, 2 * math.sqrt(2 * p * (1 - p) / count)):
    return None
  return (
    f"The bound rose from {number(first['mi_bound'])} to "
    f"{number(last['mi_bound'])} nats while the linear probe fell from "
    f"{first['linear']:.1%} to "
    f"{last['linear']:.1%}.",
    "What the views share is not what the task needs: let them share that "
    "(larger crops, weaker jitter) and differ in the rest, or stop here.",
  )


def same_negatives(rows: Sequence[Row], config: Any) -> Found:
  """Many negatives are the same image, or of the anchor's own class."""
  del config
  row = _last(rows, "copies")
  if row and row["copies"] > 0.01:
    return (
      f"{row['copies']:.1%} of the held-out images are copies of others.",
      "A copy is a negative that is a positive: remove copies from the data.",
    )
  row = _last(rows, "same_class")
  if row and row["same_class"] > 0.3:
    return (
      f"{row['same_class']:.0%} of the negatives are of the anchor's own "
      "class.",
      "The objective pushes a class apart: use fewer negatives, the supervised "
      "objective, or balance the data.",
    )
  return None


def stale_queue(rows: Sequence[Row], config: Any) -> Found:
  """The oldest keys are of an encoder that is long gone."""
  del rows
  for name, term in _terms(config):
    if term.get("term", name) == "queue":
      steps = term["size"] / config["batch_size"]
      moved = steps * (1 - config["ema"])
      if moved > 1.5:
        return (
          f"The oldest keys of the queue are {steps:.0f} steps old, in which "
          f"the momentum encoder (ema={config['ema']}) has moved "
          f"{moved:.1f} times its memory.",
          "Make config.ema larger, such as "
          f"{1 - 0.5 / steps:.4f}, or the queue smaller.",
        )
  return None


def leaking_statistics(rows: Sequence[Row], config: Any) -> Found:
  """Training batches are told apart by more than the features."""
  terms = dict(_terms(config))
  names = [f"{name}_nats" for name in terms]
  looks = [
    row
    for row in rows
    if "mi_bound" in row
    and all(_remembers(name, term, row, config) for name, term in terms.items())
  ]
  if len(looks) < _LOOKS:
    return None
  gaps = [
    row[name] - row["mi_bound"]
    for row in looks[-_LOOKS:]
    for name in names
    if name in row
  ]
  # A bound of held-out pairs far below the training one, and near nothing.
  if not gaps or min(gaps) < 1 or looks[-1]["mi_bound"] > 0.5:
    return None
  return (
    f"In training the bound is {min(gaps):.1f} nats higher than on held-out "
    f"images with fixed statistics ({looks[-1]['mi_bound']:.2f} nats).",
    "Batch norm may tell which images belong together: set "
    "config.objective.queue.shuffle, or encoder.groups=1; or the encoder "
    "knows its few training images by heart.",
  )


def _remembers(name: str, term: Any, row: Row, config: Any) -> bool:
  """Returns whether a term's memory holds no random keys of its start.

  Those are easy to distinguish, so the bound of training is high.
  """
  if term.get("term", name) == "bank":
    epochs = row["step"] * config["batch_size"] / term["images"]
    return epochs >= 1 and term.get("momentum", 0.5) ** epochs < 0.1
  return row.get(f"{name}_filled", 1.0) >= 1


def temperature(rows: Sequence[Row], config: Any) -> Found:
  """Cosines divided by the temperature cannot tell the candidates apart."""
  for name, term in _terms(config):
    critic = term.get("critic") or {}
    t = critic.get("temperature", 1.0)
    if not critic.get("normalize") or t <= 0:
      continue
    row = _last(rows, "mi_ceiling")
    n = math.exp(row["mi_ceiling"]) if row else config["batch_size"]
    most = math.log(n) - math.log1p((n - 1) * math.exp(-2 / t))
    where = f"config.objective.{name}.critic.temperature is {t}"
    if most < 0.5 * math.log(n):
      return (
        f"{where}: cosines, between -1 and 1, allow a bound of {most:.2f} "
        f"nats at the most, of {math.log(n):.2f}.",
        "Make it smaller, such as 0.1.",
      )
    if t < 0.01:
      return (
        f"{where}: scores reach {number(1 / t, 0)}, and one negative decides.",
        "Make it larger, such as 0.1.",
      )
  return None


def input_bound(rows: Sequence[Row], config: Any) -> Found:
  """Steps wait for images."""
  del config
  shares = [
    row["input_wait_share"] for row in rows if "input_wait_share" in row
  ]
  if len(shares) <= _LOOKS or min(shares[-_LOOKS:]) < 0.3:
    return None
  share = float(np.median(shares[-_LOOKS:]))
  return (
    f"{share:.0%} of a step's time waits for images.",
    "Give more config.data.workers, smaller files, or config.data.resident "
    "where the set fits.",
  )


def near_infinite(rows: Sequence[Row], config: Any) -> Found:
  """Gradients grow towards what is not finite."""
  del config
  seen = rows if isinstance(rows, Recent) else Recent(rows)
  now = seen.norm
  if now is None or len(seen.norms) < _LOOKS:
    return None
  if now < max(10 * seen.highest, 1e4):
    return None
  # The median of all costs as much as there are, but few lines come this far.
  usual = float(np.median(seen.norms))
  if now < 1e3 * usual:
    return None
  return (
    f"The gradient's norm is {now:.1e}; usual is {usual:.1e}.",
    "The run is about to break: lower config.schedule.peak, lengthen its "
    "warmup, or set config.optimizer.clip.",
  )


RULES: Mapping[str, Callable[[Sequence[Row], Any], Found]] = {
  "pinned": pinned,
  "collapse": collapse,
  "probe_falls": probe_falls,
  "same_negatives": same_negatives,
  "stale_queue": stale_queue,
  "leaking_statistics": leaking_statistics,
  "temperature": temperature,
  "input_bound": input_bound,
  "near_infinite": near_infinite,
}


def advise(rows: Sequence[Row], config: Any) -> list[Advice]:
  """Returns what the rules find wrong.

  Args:
    rows: the lines of `metrics.jsonl`, the newest last; `Recent` lines cost
      the same however many came before.
    config: of the run.
  """
  recent = rows if isinstance(rows, Recent) else Recent(rows)
  found = {name: rule(recent, config) for name, rule in RULES.items()}
  return [Advice(name, *words) for name, words in found.items() if words]


def _terms(config: Any) -> Iterator[tuple[str, Any]]:
  """Names and options of the objective's terms that count."""
  for name, term in config["objective"].items():
    if hasattr(term, "get") and term.get("weight", 1.0):
      yield name, term


def _last(rows: Sequence[Row], key: str) -> Row | None:
  """The newest row that has a key."""
  return next((row for row in reversed(rows) if key in row), None)


def _rises(values: Sequence[float]) -> bool:
  return all(a < b for a, b in itertools.pairwise(values))
