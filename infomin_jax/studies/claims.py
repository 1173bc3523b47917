"""What the paper claims, each a difference over seeds that has a sign.

A claim's effect is computed seed by seed (all lines of a seed saw the same
data order). It holds if the whole 95 % interval of its mean is on the claimed
side of the threshold, fails if it is on the other side, and is otherwise
unmeasured: these seeds do not decide it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from infomin_jax.studies.results import Missing, Results


@dataclasses.dataclass(frozen=True)
class Claim:
  """One statement.

  Attributes:
    id: `E4-bilinear-above-concat-nwj`.
    claim: in words.
    paper_value: the effect in the paper, or None where it gives no number.
    lines: of the table that it needs.
    effect: `results -> {seed: effect}`.
    threshold: the effect is claimed to be above it...
    below: ... or, if set, below it.
  """

  id: str
  claim: str
  paper_value: float | None
  lines: tuple[str, ...]
  effect: Callable[[Results], dict[int, float]]
  threshold: float = 0.0
  below: bool = False

  def check(self, results: Results) -> dict[str, Any]:
    """The entry of `claims.json`."""
    row: dict[str, Any] = {
      "id": self.id,
      "claim": self.claim,
      "paper_value": self.paper_value,
      "threshold": self.threshold,
      "direction": "below" if self.below else "above",
      "effect": None,
      "interval": None,
      "seeds": [],
      "lost_runs": sum(results.lost(line) for line in self.lines),
      "verdict": "unmeasured",
    }
    try:
      found = self.effect(results)
    except Missing as error:
      return row | {"why": str(error)}
    effects = np.array(list(found.values()))
    row |= {"effect": float(np.mean(effects)), "seeds": list(found)}
    if len(effects) < 2:
      return row | {"why": "an interval needs at least two seeds."}
    low, high = interval(effects)
    row["interval"] = [low, high]
    sides = (high < self.threshold, low > self.threshold)
    right, wrong = sides if self.below else sides[::-1]
    side = row["direction"]
    if right:
      return row | {"verdict": "holds"}
    if wrong:
      why = f"the whole interval is not {side} {self.threshold:.4g}"
      return row | {"verdict": "fails", "why": why}
    return row | {
      "why": f"undecided: the interval of {len(effects)} seeds contains "
      f"{self.threshold:.4g}"
    }


def interval(effects: np.ndarray) -> tuple[float, float]:
  """95 % interval of the mean of `[n]` numbers, n >= 2, by Student's t."""
  n = len(effects)
  half = stats.t.ppf(0.975, n - 1) * np.std(effects, ddof=1) / np.sqrt(n)
  return float(np.mean(effects) - half), float(np.mean(effects) + half)


def difference(a: tuple, b: tuple) -> Callable[[Results], dict[int, float]]:
  """Effect a - b, each `(line, metric, look)`, over the seeds of both."""

  def effect(results):
    first, second = results.values(*a), results.values(*b)
    return paired(lambda x, y: x - y, first, second)

  return effect


def excess(line: str, metric: str, over: float):
  """Effect of one number above a constant."""
  return lambda results: {
    seed: value - over for seed, value in results.values(line, metric).items()
  }


def extreme(pick: Callable, lines, metric: str):
  """The largest or smallest of several lines, seed by seed."""
  return lambda results: paired(
    lambda *x: pick(x), *(results.values(line, metric) for line in lines)
  )


def paired(function: Callable, *tables: dict) -> dict[int, Any]:
  """`function` of the numbers of each seed that all tables have."""
  first, *others = (set(table) for table in tables)
  seeds: list[int] = sorted(first.intersection(*others))
  if not seeds:
    raise Missing("no seed ended well in every line that is compared.")
  return {seed: function(*(t[seed] for t in tables)) for seed in seeds}


def rises(line, metric, text, paper, suffix):
  """Claim: a number is larger after training than before."""
  return Claim(
    f"{line}-{suffix}",
    text,
    paper,
    (line,),
    difference((line, metric, -1), (line, metric, 0)),
  )


def above(name, text, a, b, paper, metric="accuracy"):
  """Claim: line a ends above line b."""
  effect = difference((a, metric, -1), (b, metric, -1))
  return Claim(name, text, paper, (a, b), effect)


def verdicts(claims: list[dict]) -> list[str]:
  """A line a claim; those that could not be measured at all, by reason."""
  shown, unmeasured = ["Claims: effect, 95 % interval (the paper's)"], {}
  for claim in claims:
    if claim["effect"] is None:
      unmeasured.setdefault(claim["why"], []).append(claim["id"])
      continue
    low, high = claim["interval"] or (None, None)
    between = f", {_number(low)} to {_number(high)}" if low is not None else ""
    why = f" [{claim['why']}]" if "why" in claim else ""
    paper = _number(claim["paper_value"]) or "no number"
    shown.append(
      f"  {claim['verdict']:10s} {claim['id']}: {claim['claim']}: "
      f"{_number(claim['effect'])}{between} ({paper}){why}"
    )
  for why, ids in unmeasured.items():
    shown.append(f"  unmeasured {', '.join(ids)}: {why}")
  return shown


def _number(value) -> str:
  return "" if value is None else f"{value:.3g}"
