"""Records of runs, sorted by line of the table and by seed."""

import dataclasses
from collections.abc import Mapping

import numpy as np


class Missing(Exception):
  """A number was not measured. The message gives the reason."""


@dataclasses.dataclass(frozen=True)
class Results:
  """All measurements of a study.

  Attributes:
    runs: `{line: {seed: record}}`.
    reasons: `{experiment or config: why it was not run}`.
  """

  runs: Mapping[str, Mapping[int, dict]]
  reasons: Mapping[str, str]

  def records(self, name: str) -> list[dict]:
    """Returns the records of a line by seed, including failed runs."""
    return [self.runs[name][seed] for seed in sorted(self.runs.get(name, {}))]

  def counts(self, name: str) -> dict[str, int]:
    """Counts the runs of a line by status."""
    statuses = [record["status"] for record in self.records(name)]
    names = ("done", "nan", "raised")
    return {status: statuses.count(status) for status in names}

  def values(self, name: str, key: str, at: int = -1) -> dict[int, float]:
    """Returns `{seed: number}` of the runs with the status `done`.

    Args:
      name: a line.
      key: a metric.
      at: index of the evaluation in the curve of a run.

    Raises:
      Missing: no run has this number.
    """
    records = self.records(name)
    if not records:
      experiment = name.partition("-")[0]
      raise Missing(
        self.reasons.get(
          experiment,
          f"no runs of {experiment}: not in the preset, or not selected.",
        )
      )
    numbers = {
      record["seed"]: record["curve"][at].get(key)
      for record in records
      if record["status"] == "done"
    }
    numbers = {s: float(v) for s, v in numbers.items() if v is not None}
    if not numbers:
      why = "; ".join(sorted({r["error"] for r in records if r["error"]}))
      raise Missing(
        f"none of the {len(records)} runs of {name} has {key}: "
        f"{why or 'not measured'}."
      )
    return numbers

  def lost(self, name: str) -> int:
    """Counts the runs of a line that failed."""
    counts = self.counts(name)
    return counts["nan"] + counts["raised"]

  def spread(self, name: str, key: str) -> tuple[float, float] | None:
    """Returns mean and sample standard deviation over seeds, or None.

    The deviation of a single seed is 0. The result is None if no run has the
    metric `key`.
    """
    try:
      numbers = list(self.values(name, key).values())
    except Missing:
      return None
    deviation = np.std(numbers, ddof=1) if len(numbers) > 1 else 0.0
    return float(np.mean(numbers)), float(deviation)


def gather(records: list[dict], reasons: Mapping[str, str]) -> Results:
  """Sorts records by line and seed."""
  runs: dict[str, dict[int, dict]] = {}
  for record in records:
    runs.setdefault(record["run"], {})[record["seed"]] = record
  return Results(runs, reasons)


def one_line(error: Exception) -> str:
  """Returns the type of an error and the first line of its message."""
  lines = str(error).splitlines() or [""]
  return f"{type(error).__name__}: {lines[0]}"
