"""Records of runs, gathered by line of the table."""

import dataclasses
from collections.abc import Mapping

import numpy as np


class Missing(Exception):
  """A number that was not measured; its text says why."""


@dataclasses.dataclass(frozen=True)
class Results:
  """All that a study has measured.

  Attributes:
    runs: `{line: {seed: record}}`.
    reasons: `{experiment: why it was not run}`.
  """

  runs: Mapping[str, Mapping[int, dict]]
  reasons: Mapping[str, str]

  def records(self, name: str) -> list[dict]:
    """The records of a line by seed, those that failed among them."""
    return [self.runs[name][seed] for seed in sorted(self.runs.get(name, {}))]

  def counts(self, name: str) -> dict[str, int]:
    """Counts the runs of a line by how they ended."""
    statuses = [record["status"] for record in self.records(name)]
    known = ("done", "nan", "raised")
    return {status: statuses.count(status) for status in known}

  def values(self, name: str, key: str, at: int = -1) -> dict[int, float]:
    """`{seed: number}` of one look (the last) at the runs that ended well.

    Raises:
      Missing: no such number; says why.
    """
    records = self.records(name)
    if not records:
      experiment = name.partition("-")[0]
      raise Missing(
        self.reasons.get(
          experiment,
          f"no runs of {experiment}: not in the preset, or not asked for.",
        )
      )
    found = {
      record["seed"]: record["curve"][at].get(key)
      for record in records
      if record["status"] == "done"
    }
    found = {s: float(v) for s, v in found.items() if v is not None}
    if not found:
      why = "; ".join(sorted({r["error"] for r in records if r["error"]}))
      raise Missing(
        f"none of the {len(records)} runs of {name} gave {key}: "
        f"{why or 'not measured'}."
      )
    return found

  def lost(self, name: str) -> int:
    """Counts the runs of a line that did not end well."""
    counts = self.counts(name)
    return counts["nan"] + counts["raised"]

  def spread(self, name: str, key: str) -> tuple[float, float] | None:
    """Mean and sample standard deviation over seeds (0 for one), or None."""
    try:
      found = list(self.values(name, key).values())
    except Missing:
      return None
    deviation = np.std(found, ddof=1) if len(found) > 1 else 0.0
    return float(np.mean(found)), float(deviation)


def gather(records: list[dict], reasons: Mapping[str, str]) -> Results:
  """Sorts records by line and seed."""
  runs: dict[str, dict[int, dict]] = {}
  for record in records:
    runs.setdefault(record["run"], {})[record["seed"]] = record
  return Results(runs, reasons)


def one_line(error: Exception) -> str:
  """The error's type and the first line of its text."""
  lines = str(error).splitlines() or [""]
  return f"{type(error).__name__}: {lines[0]}"
