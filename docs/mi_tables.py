"""The tables of MI estimates; each gives lines, and what to say of them."""

from suite_tables import known, mean, rows_of


def accuracy(record: dict) -> tuple[list[str], str]:
  """Mean absolute errors of the 40 tasks, by family."""
  rows = known(rows_of(record, "beyond_normal"))
  if not rows:
    return [], "Not measured yet"
  lines = [
    "| tasks | number | `infomin estimate` | KSG | Gaussian (CCA) |",
    "|---|---|---|---|---|",
  ]
  groups = {family: _in_family(rows, family) for family in FAMILIES}
  for family, some in {**groups, "all": rows}.items():
    errors = [
      mean(abs(row[who] - row["truth"]) for row in some if row[who] is not None)
      for who in ("nats", "ksg", "gaussian")
    ]
    count = len({row["task"] for row in some})
    cells = [family, str(count)]
    least = min(error for error in errors if error == error)  # no NaN
    for error in errors:
      text = f"{error:.3f}"
      cells.append(f"**{text}**" if error == least else text)
    lines.append(f"| {' | '.join(cells)} |")
  median = sorted(row["seconds"] for row in rows)[len(rows) // 2]
  worst = max(rows, key=lambda row: abs(row["nats"] - row["truth"]))
  of_seeds = (
    mean(abs(row["nats"] - row["truth"]) for row in rows if row["seed"] == seed)
    for seed in record["seeds"]
  )
  each = ", ".join(f"{error:.3f}" for error in of_seeds)
  apart = f" ({each} apart)" if len(record["seeds"]) > 1 else ""
  text = (
    f"Mean absolute error in nats, {worst['samples']:,} pairs a "
    f"task, seeds {', '.join(map(str, record['seeds']))}{apart}; furthest off: "
    f"`{worst['task']}`, "
    f"{worst['nats'] - worst['truth']:+.3f}; median {median:.0f} s a task"
  )
  return lines, text


FAMILIES = {
  "Gaussian, also distorted": ("normal", "dense", "sparse", "half_cube"),
  "one pair, bent or bounded": (
    *("uniform", "additive", "bimodal", "wiggly", "swiss"),
  ),
  "Student t": ("student", "asinh"),
  "spirals": ("spiral",),
}


def _in_family(rows, family):
  return [row for row in rows if row["task"].startswith(FAMILIES[family])]


def files(record: dict) -> tuple[list[str], str]:
  """What `infomin estimate` gives and takes on files."""
  lines = ["| samples | nats | 95 % interval | seconds | peak MiB |"]
  lines.append("|---|---|---|---|---|")
  for row in record["values"]:
    low, high = row["interval"]
    lines.append(
      f"| {row['samples']:,} | {row['nats']:.3f} | {low:.3f} to {high:.3f} | "
      f"{row['seconds']:.1f} | {row['peak_bytes'] / 2**20:,.0f} |"
    )
  first = record["values"][0]
  text = f"`{first['task']}`, truth {first['truth']:.3f} nats; whole process"
  return lines, text


def hard_gaussian(record: dict) -> tuple[list[str], str]:
  """Bounds of 18.41 nats in batches of 128."""
  lines = ["| estimator | nats here | published |", "|---|---|---|"]
  for row in record["values"]:
    published = row["published"]
    known = "" if published is None else f"{published:.2f}"
    cells = f"{row['nats']:.2f} ± {row['deviation']:.2f} | {known}"
    lines.append(f"| {row['estimator']} | {cells} |")
  text = (
    f"Truth {record['values'][0]['truth']:.2f} nats; ± is the deviation of one "
    "batch, in the last row a quarter of the 95 % interval. Published: the "
    "best of 100 runs by its distance to the truth, on one batch (`doe`)"
  )
  return lines, text
