"""Advice on a run: what goes wrong, in plain words, with the figure behind it.

Add a rule: write a function `(rows, config) -> (what is seen, what to try)`, or
None where nothing is wrong, and enter it in `RULES`.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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


def pinned(rows: Sequence[Row], config: Any) -> Found:
  """The bound is as high as its number of candidates allows."""
  del config
  row = _last(rows, "mi_bound")
  if row is None or row["mi_ceiling"] - row["mi_bound"] > 0.1:
    return None
  return (
    f"The bound on the information, {row['mi_bound']:.2f} nats, is at its "
    f"ceiling: log of {math.exp(row['mi_ceiling']):.0f} candidates is "
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
    f"The bound rose from {first['mi_bound']:.2f} to {last['mi_bound']:.2f} "
    f"nats while the linear probe fell from {first['linear']:.1%} to "
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
    if name == "queue":
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
  looks = [row for row in rows if "mi_bound" in row]
  names = [f"{name}_nats" for name, _ in _terms(config)]
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
        f"{where}: scores reach {1 / t:.0f}, and one negative decides.",
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
  norms = [row["grad_norm"] for row in rows if "grad_norm" in row]
  if len(norms) <= _LOOKS:
    return None
  usual, now = float(np.median(norms[:-1])), norms[-1]
  if now < max(1e3 * usual, 10 * max(norms[:-1]), 1e4):
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
  """What the rules find wrong.

  Args:
    rows: the lines of `metrics.jsonl`, the newest last.
    config: of the run.
  """
  found = {name: rule(rows, config) for name, rule in RULES.items()}
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
