"""The table of all evidence: what was run, where, when, for how long."""


def ledger(records: list[dict]) -> str:
  """A line a file of docs/evidence, from what stands in it."""
  lines = [
    "| evidence | command | device | commit | seeds | time stored |",
    "|---|---|---|---|---|---|",
  ]
  for record in sorted(records, key=lambda record: record["id"]):
    name, device = record["id"], record["device"]
    commands = "<br>".join(f"`{command}`" for command in record["command"])
    place = (
      f"{device['count']} x {device['kind']}, {device['cores']} cores of "
      f"{device['cpu']}, jax {record['versions']['jax']}"
    )
    cells = (
      f"[{name}](docs/evidence/{name}.json)",
      commands,
      place,
      f"`{record['commit']}`",
      _seeds(record["seeds"]),
      _time(record),
    )
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def _seeds(seeds: list[int]) -> str:
  if len(seeds) > 5:
    return f"{seeds[0]} to {seeds[-1]}"
  return ", ".join(map(str, seeds)) or "none"


def _time(record: dict) -> str:
  """Minutes of training, or of all values; empty where none are stored."""
  rows = record.get("training") or record["values"]
  seconds = [row.get("seconds") for row in rows]
  if not all(isinstance(x, int | float) for x in seconds):
    return ""
  what = "training" if "training" in record else "in all"
  return f"{sum(seconds) / 60:.1f} min {what}"
