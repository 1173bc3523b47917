"""Claims of a paper, each an effect over seeds with a claimed sign.

The effect of a claim is computed seed by seed, because all lines of a seed use
the same data order. A claim holds if the whole 95 % interval of the mean effect
is on the claimed side of the threshold. It fails if the whole interval is on
the other side. Otherwise it is unmeasured: the seeds do not decide it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from infomin_jax.studies.results import Missing, Results


@dataclasses.dataclass(frozen=True)
class Claim:
  """One claim.

  Attributes:
    id: unique name, such as `E4-bilinear-above-concat-nwj`.
    claim: the claim in words.
    paper_value: the effect in the paper, or None if it gives no number.
    lines: the lines of the table that the effect needs.
    effect: `results -> {seed: effect}`.
    threshold: the bound of the claimed effects.
    below: whether the effect is claimed to be below the threshold, not above.
  """

  id: str
  claim: str
  paper_value: float | None
  lines: tuple[str, ...]
  effect: Callable[[Results], dict[int, float]]
  threshold: float = 0.0
  below: bool = False

  def check(self, results: Results) -> dict[str, Any]:
    """Returns the entry of `claims.json`."""
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
      by_seed = self.effect(results)
    except Missing as error:
      return row | {"why": str(error)}
    effects = np.array(list(by_seed.values()))
    row |= {"effect": float(np.mean(effects)), "seeds": list(by_seed)}
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
  """Returns the 95 % interval of a mean of `[n]` numbers, by Student's t.

  It is finite for n > 1.
  """
  n = len(effects)
  half = stats.t.ppf(0.975, n - 1) * np.std(effects, ddof=1) / np.sqrt(n)
  return float(np.mean(effects) - half), float(np.mean(effects) + half)


def difference(a: tuple, b: tuple) -> Callable[[Results], dict[int, float]]:
  """Returns the effect a - b over the seeds that both lines have.

  Args:
    a: `(line, metric, index)` with the index of the evaluation in the curve.
    b: the same for the other number.
  """

  def effect(results):
    first, second = results.values(*a), results.values(*b)
    return paired(lambda x, y: x - y, first, second)

  return effect


def excess(line: str, metric: str, over: float):
  """Returns the effect of one metric minus the constant `over`."""
  return lambda results: {
    seed: value - over for seed, value in results.values(line, metric).items()
  }


def extreme(pick: Callable, lines, metric: str):
  """Returns the effect `pick` (min or max) of several lines, seed by seed."""
  return lambda results: paired(
    lambda *x: pick(x), *(results.values(line, metric) for line in lines)
  )


def paired(function: Callable, *tables: dict) -> dict[int, Any]:
  """Returns `{seed: function(numbers)}` over the seeds that all tables have.

  Raises:
    Missing: the tables have no seed in common.
  """
  first, *others = (set(table) for table in tables)
  seeds: list[int] = sorted(first.intersection(*others))
  if not seeds:
    raise Missing("no seed has a finished run in every compared line.")
  return {seed: function(*(t[seed] for t in tables)) for seed in seeds}


def rises(line, metric, text, paper, suffix):
  """Returns the claim that a metric is larger after training than before."""
  return Claim(
    f"{line}-{suffix}",
    text,
    paper,
    (line,),
    difference((line, metric, -1), (line, metric, 0)),
  )


def above(name, text, a, b, paper, metric="accuracy"):
  """Returns the claim that line a ends with a higher metric than line b."""
  effect = difference((a, metric, -1), (b, metric, -1))
  return Claim(name, text, paper, (a, b), effect)


def verdicts(claims: list[dict]) -> list[str]:
  """Returns one text line per measured claim, then the others by reason."""
  lines, unmeasured = ["Claims: effect, 95 % interval (the paper's)"], {}
  for claim in claims:
    if claim["effect"] is None:
      unmeasured.setdefault(claim["why"], []).append(claim["id"])
      continue
    low, high = claim["interval"] or (None, None)
    between = f", {_number(low)} to {_number(high)}" if low is not None else ""
    why = f" [{claim['why']}]" if "why" in claim else ""
    paper = _number(claim["paper_value"]) or "no number"
    lines.append(
      f"  {claim['verdict']:10s} {claim['id']}: {claim['claim']}: "
      f"{_number(claim['effect'])}{between} ({paper}){why}"
    )
  for why, ids in unmeasured.items():
    lines.append(f"  unmeasured {', '.join(ids)}: {why}")
  return lines


def _number(value) -> str:
  return "" if value is None else f"{value:.3g}"
