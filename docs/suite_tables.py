"""The table of the public suites: errors, goals, and coverage of the interval.

Rows are those of `benchmarks/mi_suite.py`. All values are means over what was
run, in nats unless a line says bits.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

from infomin_jax.mi.tasks import small

Rows = Sequence[dict]
Met = tuple[str, Callable[[tuple], bool]]

# Flags that speak of the data or of the test, and not against the value.
NO_DOUBT = {"independent", "constant"}
# The published results for 32 coordinates a side, of one run each: MINE, MINDE,
# MIENF, and the vector copula's.
VCE_PUBLISHED = {
  "wrapped_32v32": (4.00, 4.01, 8.82, 7.59),
  "student_32v32": (2.18, 10.29, -299.5, 9.96),
  "mixture_32v32": (3.09, 7.29, 2.22, 6.48),
  "spiral_32v32": (7.59, 10.22, 10.19, 10.03),
  "smoothed_uniform_32v32": (8.94, 28.42, 28.30, 22.69),
  "blobs_16_7": (5.83, 6.84, 9.37, 6.65),
}
LEVEL = 0.01  # of the truth: an error that is larger by less is level


def rows_of(record: dict, *suites: str) -> list[dict]:
  """Returns the rows of some suites, or all; older files have one suite."""
  samples = record.get("config", {}).get("samples")
  older = {"suite": "beyond_normal", "samples": samples}
  rows = [older | row for row in record["values"]]
  return [row for row in rows if not suites or row["suite"] in suites]


def known(rows: Rows) -> list[dict]:
  """Returns the rows that have a value."""
  return [row for row in rows if "error" not in row]


def error(row: dict, who: str = "nats") -> float:
  """Returns how far a value is from the truth, nats."""
  return abs(row[who] - row["truth"])


def flagged(row: dict) -> bool:
  """Returns whether a flag speaks against the value."""
  return bool(set(row["flags"]) - NO_DOUBT)


def missed(row: dict) -> bool:
  """Returns whether the interval and 0.05 nats + 5 % both miss the truth."""
  return not row["covered"] and error(row) > 0.05 + 0.05 * row["truth"]


def mean(values) -> float:
  """Returns the mean, NaN of nothing."""
  values = list(values)
  return sum(values) / len(values) if values else math.nan


def covered(rows: Rows) -> str:
  """Returns how many intervals hold the truth, as text."""
  if not rows:
    return "-"
  share = mean(row["covered"] for row in rows)
  return f"{share:.0%} of {len(rows)}"


def _mean_and_worst(rows):
  errors = [error(row) for row in rows]
  return mean(errors), max(errors)


def _mean(rows):
  return (mean(error(row) for row in rows),)


def _bits(rows):
  return (mean(error(row) for row in rows) / math.log(2),)


def _relative(rows):
  return max(error(row) / row["truth"] for row in rows), _seconds(rows)


def _seconds(rows):
  return max(row["seconds"] for row in rows)


def _vce(rows):
  """Wins or draws, of how many rows, worst relative error, seconds."""
  good = count = 0
  for task, published in VCE_PUBLISHED.items():
    some = [row for row in rows if row["task"] == task]
    if some:
      count += 1
      truth = some[0]["truth"]
      best = min(abs(value - truth) for value in published)
      good += mean(error(row) for row in some) <= best + LEVEL * truth
  rows = [row for row in rows if row["suite"] == "vce"]
  return good, count, *_relative(rows)


def _furthest(rows):
  return (max(rows, key=error)["nats"],)


def _above_ksg(rows):
  """How much further off than KSG, less 5 % and less 1 % of the truth."""
  rows = [row for row in rows if row["ksg"] is not None]
  more = [(error(row) - error(row, "ksg"), row["truth"]) for row in rows]
  return tuple(max(m - share * t for m, t in more) for share in (0.05, 0.01))


def _squares(rows):
  """Mean squared error, and families in which KSG's is smaller."""
  families: dict[str, list] = {}
  for row in rows:
    families.setdefault(family(row), []).append(row)
  worse = sum(
    squared(some) > squared(some, "ksg") for some in families.values()
  )
  return squared(rows), worse, len(families)


def squared(rows: Rows, who: str = "nats") -> float:
  """Returns the mean squared error of those rows that have it, nats^2."""
  return mean(error(row, who) ** 2 for row in rows if row[who] is not None)


def _below(*limits: float) -> Met:
  text = ", ".join(f"{limit:g}" for limit in limits)
  return text, lambda m: all(a <= b for a, b in zip(m, limits, strict=False))


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the table.

  Attributes:
    name: of the suite, with samples and what is measured.
    suites: whose rows count.
    published: the best published result.
    measure: rows -> numbers.
    show: a format of the numbers.
    floor, goal: words, and whether numbers reach it; None where not asked.
    where: which rows of the suites count.
  """

  name: str
  suites: tuple[str, ...]
  published: str
  measure: Callable[[Rows], tuple]
  show: str
  floor: Met | None = None
  goal: Met | None = None
  where: Callable[[dict], bool] = lambda row: True


def family(row: dict) -> str:
  """Returns the family of a task of few samples: its name without numbers."""
  return row["task"].rsplit("_", 2)[0]


def inside(row: dict) -> bool:
  """Returns whether a task is of a family that MIST was trained on."""
  return family(row) in small.INSIDE


_PERCENT = "{:.1%}, {:.0f} s"

LINES = (
  Line(
    "40 tasks (10,000): MAE, worst",
    ("beyond_normal",),
    "0.11",
    _mean_and_worst,
    "{:.3f}, {:.3f}",
    _below(0.018, 0.10),
    _below(0.010, 0.05),
  ),
  Line(
    "9 of them (300): MAE",
    ("few",),
    "-",
    _mean,
    "{:.3f}",
  ),
  Line(
    "mixtures (5,000): MAE",
    ("mixtures",),
    "plots",
    _mean,
    "{:.3f}",
    _below(0.04),
    _below(0.02),
  ),
  Line(
    "VCE, 4, 8, 32, 64 a side (10,000): best or level at 32, worst relative "
    "error, longest",
    ("vce", "images"),
    "[below](suites.md#vector-copulas)",
    _vce,
    "{:.0f} of {:.0f}, {:.1%}, {:.0f} s",
    ("4 of 6", lambda m: 6 * m[0] >= 4 * m[1]),
    ("10 %, 60 s", lambda m: m[2] <= 0.10 and m[3] <= 60),
    where=lambda row: row["suite"] == "vce" or row["task"] == "blobs_16_7",
  ),
  Line(
    "ladder, up to 5 nats (10,000): MAE",
    ("ladder",),
    "0.30 (InfoNCE), 0.83 (KSG), at 5 nats",
    _mean,
    "{:.3f}",
    _below(0.15),
    _below(0.10),
    where=lambda row: row["truth"] < 5.5,
  ),
  Line(
    "ladder, up to 10 nats (10,000): MAE",
    ("ladder",),
    "3.9 (InfoNCE), 3.8 (KSG), at 10 nats",
    _mean,
    "{:.3f}",
    _below(0.8),
    _below(0.5),
  ),
  Line(
    "80 nats, 160 + 160 columns (100,000): relative error",
    ("high",),
    "1.5 % (81.17)",
    _relative,
    _PERCENT,
    ("5 %", lambda m: m[0] <= 0.05),
    ("2 %, 60 s", lambda m: m[0] <= 0.02 and m[1] <= 60),
    where=lambda row: row["task"] == "corr_normal_160v160_80",
  ),
  Line(
    "high MI, all (100,000): worst relative error, longest",
    ("high",),
    "plots",
    _relative,
    _PERCENT,
  ),
  Line(
    "latent grid, 10 to 5,000 columns (2,000): MAE in bits",
    ("latent",),
    "0.407 (LMI)",
    _bits,
    "{:.3f}",
    _below(0.30),
    _below(0.15),
  ),
  Line(
    "partly discrete: Gao I to IV and others (2,000): MAE",
    ("mixed",),
    "plots (mixed KSG)",
    _mean,
    "{:.3f}",
    _below(0.04),
    _below(0.015),
  ),
  Line(
    "few samples (40 to 500), MIST's families: MSE, families where KSG's is "
    "smaller",
    ("small",),
    "0.12 (MIST-QR, 300 to 500)",
    _squares,
    "{:.3f}, {:.0f} of {:.0f}",
    ("0 families", lambda m: m[1] == 0),
    _below(0.15),
    where=inside,
  ),
  Line(
    "few samples (40 to 500), other families: MSE, families where KSG's is "
    "smaller",
    ("small",),
    "7.3 (MIST), 10 (MIST-QR)",
    _squares,
    "{:.3f}, {:.0f} of {:.0f}",
    ("0 families", lambda m: m[1] == 0),
    _below(0.15),
    where=lambda row: not inside(row),
  ),
  Line(
    "images, up to 5 nats (10,000): worst relative error, longest",
    ("images",),
    "4.93 of 5 (InfoBridge, 110,000)",
    _relative,
    _PERCENT,
    ("10 %", lambda m: m[0] <= 0.10),
    where=lambda row: row["truth"] < 5.5,
  ),
  Line(
    "images, 7 nats (10,000): value furthest off",
    ("images",),
    "6.84 (MINDE, after an autoencoder)",
    _furthest,
    "{:.2f}",
    None,
    ("6.8 of 7", lambda m: abs(m[0] - 7) <= 0.2),
    where=lambda row: row["truth"] > 5.5,
  ),
  Line(
    "functions (500, 5,000): most that it is worse than KSG, less 5 % "
    "and less 1 % of the truth",
    ("functions",),
    "KSG",
    _above_ksg,
    "{:+.3f}, {:+.3f}",
    ("0.05 + 5 %", lambda m: m[0] <= 0.05),
    ("0.05 + 1 %", lambda m: m[1] <= 0.05),
  ),
)


def suites(record: dict) -> tuple[list[str], str]:
  """A line for each suite: published, ours, floor and goal, coverage."""
  later = [str(seed) for seed in record["seeds"] if seed]
  others = f"seed{'s' * (len(later) > 1)} {', '.join(later) or 'later'}"
  lines = [
    f"| suite (samples) | best published | seed 0 | {others} | floor | "
    "goal | in 95 % interval | unflagged runs |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for line in LINES:
    rows = [r for r in rows_of(record, *line.suites) if line.where(r)]
    if rows:
      lines.append(f"| {' | '.join(_cells(line, rows))} |")
  rows = rows_of(record)
  some = known(rows)
  cells = ["**all**", "", "", "", "", "", covered(some), covered(_sure(some))]
  lines.append(f"| {' | '.join(cells)} |")
  silent = sum(missed(row) and not flagged(row) for row in some)
  text = (
    "MAE is the mean absolute error in nats. After floor and goal: whether "
    f"seed 0 / {others} reach it. Of {len(some)} runs, "
    f"{sum(map(missed, some))} miss the truth by more than 0.05 nats + 5 %, "
    f"{silent} of them without a flag; {len(rows) - len(some)} failed"
  )
  return lines, text


def _sure(rows):
  return [row for row in rows if not flagged(row)]


def _cells(line: Line, rows: Rows) -> list[str]:
  shown, met = [], {"floor": [], "goal": []}
  for begin in (True, False):
    some = [row for row in rows if (row["seed"] == 0) == begin]
    fine = known(some)
    failed = len(some) - len(fine)
    numbers = line.measure(fine) if fine else None
    words = [line.show.format(*numbers)] if numbers else []
    words += [f"{failed} failed"] if failed else []
    shown.append(", ".join(words) or "-")
    for name, found in met.items():
      limit = getattr(line, name)
      reached = limit and numbers and not failed and limit[1](numbers)
      found.append("-" if not some else "yes" if reached else "no")
  limits = [
    f"{limit[0]}: {' / '.join(met[name])}" if limit else "-"
    for name, limit in (("floor", line.floor), ("goal", line.goal))
  ]
  fine = known(rows)
  counts = (covered(fine), covered(_sure(fine)))
  return [line.name, line.published, *shown, *limits, *counts]
