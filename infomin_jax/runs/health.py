"""Rules that detect problems of a run from its metrics, and advise the user.

To add a rule, write a function `(rows, config) -> (observation, hint)` that
returns None if nothing is wrong, and enter it in `RULES`. `rows` is `Recent`.
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
_LOOKS = 3  # evaluations or log lines that must agree before advice is given


class Advice(NamedTuple):
  """A problem and a hint.

  Attributes:
    rule: name of the rule in `RULES`.
    seen: the observation, with its figure.
    hint: what to try.
  """

  rule: str
  seen: str
  hint: str

  def __str__(self) -> str:
    return f"{self.seen} {self.hint}"


class Recent(Sequence[Row]):
  """The newest lines of a run, which is all that the rules read.

  It holds the last `KEPT` lines of each set of keys. A rule that reads the
  newest `KEPT` lines with certain keys therefore gets the same lines as from
  the whole run. The cost of a line does not grow with the length of the run.

  Attributes:
    norm: the newest `grad_norm`, or None.
    norms: all earlier ones that are finite.
    highest: the largest of `norms`.
  """

  KEPT = _LOOKS + 1  # `input_bound` reads one line more than it compares

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
    """Adds the next line."""
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
        (pair for group in self._alike.values() for pair in group),
        key=lambda pair: pair[0],
      )
      self._rows = [row for _, row in numbered]
    return self._rows

  def __len__(self) -> int:
    return len(self._newest())

  def __getitem__(self, at):
    return self._newest()[at]


def pinned(rows: Sequence[Row], config: Any) -> Found:
  """The bound is at the ceiling that its number of candidates sets."""
  del config
  row = _last(rows, "mi_bound")
  # `not <=` instead of `>`: a bound of NaN gives no advice.
  if row is None or not row["mi_ceiling"] - row["mi_bound"] <= 0.1:
    return None
  return (
    f"The bound on the information, {number(row['mi_bound'])} nats, is at its "
    f"ceiling: log of {number(math.exp(row['mi_ceiling']), 0)} candidates is "
    f"{row['mi_ceiling']:.2f}.",
    "It cannot rise further: compare more candidates (a larger batch_size, a "
    "queue), or make the views share less.",
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
  """The bound rises while the linear probe's accuracy falls."""
  looks = [row for row in rows if "mi_bound" in row and "linear" in row]
  if len(looks) < _LOOKS:
    return None
  first, *_, last = looks[-_LOOKS:]
  bounds = [row["mi_bound"] for row in looks[-_LOOKS:]]
  probes = [row["linear"] for row in looks[-_LOOKS:]]
  if not (_rises(bounds) and _rises([-x for x in probes])):
    return None
  # The fall must exceed two standard errors of a difference of two accuracies
  # on `count` images. Lines of older runs lack that count; these runs asked for
  # `monitor_examples` images.
  p, asked = first["linear"], config["run"]["monitor_examples"]
  count = last.get("held_out_images", asked)
  if p - last["linear"] < max(0.02, 2 * math.sqrt(2 * p * (1 - p) / count)):
    return None
  return (
    f"The bound rose from {number(first['mi_bound'])} to "
    f"{number(last['mi_bound'])} nats while the linear probe fell from "
    f"{first['linear']:.1%} to "
    f"{last['linear']:.1%}.",
    "The views do not share what the task needs: let them share it (larger "
    "crops, weaker jitter) and differ in the rest, or stop here.",
  )


def same_negatives(rows: Sequence[Row], config: Any) -> Found:
  """Many negatives are copies of the anchor, or of its class."""
  del config
  row = _last(rows, "copies")
  if row and row["copies"] > 0.01:
    return (
      f"{row['copies']:.1%} of the held-out images are copies of others.",
      "As negatives, they push an image away from itself: remove copies from "
      "the data.",
    )
  row = _last(rows, "same_class")
  if row and row["same_class"] > 0.3:
    return (
      f"{row['same_class']:.0%} of the negatives are of the anchor's own "
      "class.",
      "The objective pushes images of one class apart: use fewer negatives or "
      "the supervised objective, or balance the data.",
    )
  return None


def stale_queue(rows: Sequence[Row], config: Any) -> Found:
  """The oldest keys come from a momentum encoder that has changed since."""
  del rows
  for name, term in _terms(config):
    if term.get("term", name) == "queue":
      steps = term["size"] / config["batch_size"]
      # Age of the oldest key in time constants of the momentum encoder, each
      # of 1 / (1 - ema) steps.
      age = steps * (1 - config["ema"])
      if age > 1.5:
        return (
          f"The oldest keys of the queue are {steps:.0f} steps old. That is "
          f"{age:.1f} times the memory of the momentum encoder (1 / (1 - "
          f"ema) steps, ema={config['ema']}).",
          "Make config.ema larger, such as "
          f"{1 - 0.5 / steps:.4f}, or the queue smaller.",
        )
  return None


def leaking_statistics(rows: Sequence[Row], config: Any) -> Found:
  """The bound of training is far above the bound on held-out images."""
  terms = dict(_terms(config))
  names = [f"{name}_nats" for name in terms]
  looks = [
    row
    for row in rows
    if "mi_bound" in row
    and all(
      _memory_is_warm(name, term, row, config) for name, term in terms.items()
    )
  ]
  if len(looks) < _LOOKS:
    return None
  gaps = [
    row[name] - row["mi_bound"]
    for row in looks[-_LOOKS:]
    for name in names
    if name in row
  ]
  # Advice needs both: each gap at least 1 nat, and almost no bound held out.
  if not gaps or min(gaps) < 1 or looks[-1]["mi_bound"] > 0.5:
    return None
  return (
    f"In training the bound is {min(gaps):.1f} nats higher than on held-out "
    f"images with fixed statistics ({looks[-1]['mi_bound']:.2f} nats).",
    "Batch statistics may show which images belong together: set "
    "config.objective.queue.shuffle, or encoder.groups=1. Or the encoder has "
    "memorized its few training images.",
  )


def _memory_is_warm(name: str, term: Any, row: Row, config: Any) -> bool:
  """Returns whether a term's memory holds no initial random keys any more.

  Random keys are easy to distinguish from the positive, so they raise the bound
  of training.
  """
  if term.get("term", name) == "bank":
    epochs = row["step"] * config["batch_size"] / term["images"]
    return epochs >= 1 and term.get("momentum", 0.5) ** epochs < 0.1
  return row.get(f"{name}_filled", 1.0) >= 1


def temperature(rows: Sequence[Row], config: Any) -> Found:
  """The temperature limits the bound, or lets one negative dominate."""
  for name, term in _terms(config):
    critic = term.get("critic") or {}
    t = critic.get("temperature", 1.0)
    if not critic.get("normalize") or t <= 0:
      continue
    row = _last(rows, "mi_ceiling")
    n = math.exp(row["mi_ceiling"]) if row else config["batch_size"]
    # InfoNCE at the best cosines there are: 1 for the positive, -1 for all
    # n - 1 negatives.
    most = math.log(n) - math.log1p((n - 1) * math.exp(-2 / t))
    where = f"config.objective.{name}.critic.temperature is {t}"
    if most < 0.5 * math.log(n):
      return (
        f"{where}: cosines, between -1 and 1, then allow a bound of {most:.2f} "
        f"nats at most; log of the candidates is {math.log(n):.2f}.",
        "Make it smaller, such as 0.1.",
      )
    if t < 0.01:
      return (
        f"{where}: scores reach {number(1 / t, 0)}, so a single negative "
        "decides the loss.",
        "Make it larger, such as 0.1.",
      )
  return None


def input_bound(rows: Sequence[Row], config: Any) -> Found:
  """Steps wait for input images."""
  del config
  shares = [
    row["input_wait_share"] for row in rows if "input_wait_share" in row
  ]
  if len(shares) <= _LOOKS or min(shares[-_LOOKS:]) < 0.3:
    return None
  share = float(np.median(shares[-_LOOKS:]))
  return (
    f"A step waits for images in {share:.0%} of its time.",
    "Set more config.data.workers, use smaller image files, or set "
    "config.data.resident if the data set fits in memory.",
  )


def near_infinite(rows: Sequence[Row], config: Any) -> Found:
  """The gradient's norm grows far beyond its usual size."""
  del config
  recent = rows if isinstance(rows, Recent) else Recent(rows)
  now = recent.norm
  if now is None or len(recent.norms) < _LOOKS:
    return None
  if now < max(10 * recent.highest, 1e4):
    return None
  # The median costs time in proportion to the length of the run, but few lines
  # pass the checks above.
  usual = float(np.median(recent.norms))
  if now < 1e3 * usual:
    return None
  return (
    f"The gradient's norm is {now:.1e}; usual is {usual:.1e}.",
    "The loss may soon be infinite or NaN: lower config.schedule.peak, "
    "lengthen its warmup, or set config.optimizer.clip.",
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
  """Returns the advice of all rules that find a problem.

  Args:
    rows: the lines of `metrics.jsonl`, newest last. With `Recent`, the cost
      does not depend on the length of the run.
    config: the run's configuration.
  """
  recent = rows if isinstance(rows, Recent) else Recent(rows)
  results = {name: rule(recent, config) for name, rule in RULES.items()}
  return [Advice(name, *words) for name, words in results.items() if words]


def _terms(config: Any) -> Iterator[tuple[str, Any]]:
  """Yields name and options of each term whose weight is not 0."""
  for name, term in config["objective"].items():
    if hasattr(term, "get") and term.get("weight", 1.0):
      yield name, term


def _last(rows: Sequence[Row], key: str) -> Row | None:
  """Returns the newest row that has a key, or None."""
  return next((row for row in reversed(rows) if key in row), None)


def _rises(values: Sequence[float]) -> bool:
  return all(a < b for a, b in itertools.pairwise(values))
