"""The tables of `benchmarks/mi_checks.py`: independence, consistency, speed."""

from scipy import stats
from suite_tables import mean


def checks(record: dict) -> tuple[list[str], str]:
  """Three tables, of those parts that were run."""
  parts = [
    make([row for row in record["values"] if row["check"] == name])
    for name, make in (
      ("independence", independence),
      ("consistency", consistency),
      ("speed", speed),
    )
  ]
  lines = [line for part in parts if part for line in (*part, "")]
  return lines[:-1], (
    "In brackets the 95 % interval of a share (Clopper and Pearson)"
  )


def independence(rows: list[dict]) -> list[str]:
  """How often p < 0.05 where x and y share nothing, by size and kind."""
  if not rows:
    return []
  lines = [
    "| independent x and y | runs | p < 0.05 | mean value | interval holds 0 |",
    "|---|---|---|---|---|",
  ]
  groups = {"all": rows}
  for key, unit in (("samples", "pairs"), ("columns", "columns a side")):
    for value in sorted({row[key] for row in rows}):
      some = [row for row in rows if row[key] == value]
      groups[f"{value:,} {unit if value > 1 else 'column a side'}"] = some
  for kind in dict.fromkeys(row["kind"] for row in rows):
    groups[kind] = [row for row in rows if row["kind"] == kind]
  for name, some in groups.items():
    held = sum(row["covered"] for row in some)
    nats = mean(row["nats"] for row in some)
    cells = (name, len(some), rejected(some), f"{nats:.4f}")
    cells = (*cells, f"{held} of {len(some)}")
    lines.append(f"| {' | '.join(map(str, cells))} |")
  return lines


def rejected(rows: list[dict]) -> str:
  """Returns the share of p < 0.05 with its binomial interval, as text."""
  count = sum(row["p_value"] < 0.05 for row in rows)
  found = stats.binomtest(count, len(rows)).proportion_ci()
  return f"{count / len(rows):.1%} ({found.low:.1%} to {found.high:.1%})"


def consistency(rows: list[dict]) -> list[str]:
  """What must hold, and on how many tasks it does."""
  if not rows:
    return []
  lines = [
    "| what must not change the value | within the interval | most that it "
    "changes | not within |",
    "|---|---|---|---|",
  ]
  for what in dict.fromkeys(row["what"] for row in rows):
    some = [row for row in rows if row["what"] == what]
    most = max((row["after"] - row["before"] for row in some), key=abs)
    off = (
      f"`{row['task']}`: {row['before']:.3f}, then {row['after']:.3f}"
      + " ".join(["", *(f"`{flag}`" for flag in row["flags"])])
      for row in some
      if not row["holds"]
    )
    held = sum(row["holds"] for row in some)
    cells = (what, f"{held} of {len(some)}", f"{most:+.3f}", "<br>".join(off))
    lines.append(f"| {' | '.join(cells)} |")
  return lines


def speed(rows: list[dict]) -> list[str]:
  """Seconds of the command and of a second call."""
  if not rows:
    return []
  lines = [
    "| input | whole command, s | second call, s | goal, s | met |",
    "|---|---|---|---|---|",
  ]
  for row in rows:
    slowest = max(row["command_seconds"], row["seconds"])
    cells = (
      row["case"],
      f"{row['command_seconds']:.1f}",
      f"{row['seconds']:.1f}",
      f"{row['goal']:g}",
      "yes" if slowest <= row["goal"] else "no",
    )
    lines.append(f"| {' | '.join(cells)} |")
  return lines
