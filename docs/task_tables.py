"""Tables of single suites: each takes a record and gives lines of Markdown."""

import math

from suite_tables import (
  VCE_PUBLISHED,
  error,
  family,
  flagged,
  inside,
  known,
  mean,
  missed,
  rows_of,
  squared,
)

# Mean absolute errors at 1, 2, 3, 5, 7 and 10 nats; `mutinfo`, 10,000 samples,
# 1 to 3 coordinates a side, 10 seeds.
LADDER_PUBLISHED = {
  "corr_normal": {
    "KSG": (0.01, 0.05, 0.18, 0.83, 1.77, 3.79),
    "InfoNCE": (0.02, 0.03, 0.06, 0.30, 1.19, 3.89),
  },
  "corr_uniform": {"InfoNCE": (0.07, 0.14, 0.22, 0.58, 1.61, 4.30)},
  "student_df1": {"WKL": (0.03, 0.03, 0.07, 0.49, 1.19, 3.19)},
  "student_df2": {"WKL": (0.03, 0.03, 0.07, 0.49, 1.19, 3.19)},
  "smoothed_uniform": {"InfoNCE": (0.07, 0.07, 0.09, 0.26, 1.16, 3.92)},
  "log_gamma_exp": {"WKL": (0.02, 0.02, 0.03, 0.08, 0.23, 1.07)},
  "quantised": {"KSG": (0.02, 0.03, 0.06, 0.15, 0.40, 6.12)},
  "smoothed_levels": {"KSG": (0.01, 0.02, 0.04, 0.10, 0.29, 1.64)},
}
# Mean absolute errors of latent MI in bits: by columns, and by signals.
LATENT_PUBLISHED = {10: 0.425, 100: 0.405, 1000: 0.391, 5000: 0.391}
SIGNALS_PUBLISHED = {1: 0.106, 9: 0.678}
# Least number of samples -> mean squared errors of MIST-QR, in and out of its
# families.
SIZES_PUBLISHED = {40: (3.1, 9.5), 100: (0.31, 9.9), 300: (0.12, 10.0)}
NOT_YET = ["Not measured yet."]


def _table(heads, rows) -> list[str]:
  lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
  return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]


def _number(value, digits=3) -> str:
  if value is None or math.isnan(value):
    return "-"
  return f"{value:.{digits}f}"


def _groups(rows, key) -> dict:
  found: dict = {}
  for row in rows:
    found.setdefault(key(row), []).append(row)
  return found


def _of_seeds(rows, digits=3) -> tuple[str, str]:
  """Values of seed 0, and of each other seed."""
  parts = []
  for first in (True, False):
    some = [row for row in rows if (row["seed"] == 0) == first]
    parts.append(
      ", ".join(_number(row.get("nats"), digits) for row in some) or "-"
    )
  return parts[0], parts[1]


def _held(rows) -> str:
  """How many intervals hold the truth, and the flags."""
  rows = known(rows)
  flags = sorted({flag for row in rows for flag in row["flags"]})
  held = f"{sum(row['covered'] for row in rows)} of {len(rows)}"
  return f"{held}{' ' * bool(flags)}{' '.join(f'`{flag}`' for flag in flags)}"


def tasks(record: dict, *suites: str) -> list[str]:
  """A line for each task and sample size of suites."""
  rows = rows_of(record, *suites)
  groups = _groups(rows, lambda row: (row["task"], row["samples"]))
  sizes = {size for _, size in groups}
  lines = []
  for (task, size), some in groups.items():
    others = (
      _number(mean(r[who] for r in known(some) if r[who] is not None))
      for who in ("ksg", "gaussian")
    )
    name = f"`{task}`" + (f", {size:,}" if len(sizes) > 1 else "")
    seconds = max(row["seconds"] for row in some)
    truth = _number(some[0]["truth"])
    cells = (name, truth, *_of_seeds(some), *others, _held(some))
    lines.append((*cells, f"{seconds:.0f}"))
  heads = (
    *("task", "truth", "seed 0", "other seeds", "KSG", "Gaussian (CCA)"),
    *("in interval, flags", "longest, s"),
  )
  return _table(heads, lines) if rows else NOT_YET


def ladder(record: dict) -> list[str]:
  """Mean absolute errors of families at each number of nats."""
  rows = known(rows_of(record, "ladder"))
  kinds = _groups(rows, lambda row: row["task"].rsplit("_", 2)[0])
  steps = sorted({round(row["truth"]) for row in rows})
  lines = []
  for kind, some in kinds.items():
    at = _groups(some, lambda row: round(row["truth"]))
    errors = [_number(mean(map(error, at.get(s, ()))), 2) for s in steps]
    lines.append(
      (f"**{kind.replace('_', ' ')}**", "ours", *errors, _held(some))
    )
    for who, values in LADDER_PUBLISHED.get(kind, {}).items():
      lines.append(("", who, *(f"{value:.2f}" for value in values), ""))
  heads = ("family", "by", *(f"{s} nats" for s in steps), "in interval, flags")
  return _table(heads, lines) if rows else NOT_YET


def vce(record: dict) -> list[str]:
  """Values at each dimension, and the published ones at 32."""
  rows = known(rows_of(record, "vce", "images"))
  at: dict = {}
  for row in (row for row in rows if row["suite"] == "vce"):
    kind, dims = row["task"].rsplit("_", 1)
    at.setdefault(kind, {}).setdefault(int(dims.split("v")[0]), []).append(row)
  if not at:
    return NOT_YET
  dims = sorted({dim for some in at.values() for dim in some})
  lines = []
  for kind, some in at.items():
    cells = [
      f"{mean(r['nats'] for r in some[d]):.2f} of {some[d][0]['truth']:.2f}"
      if d in some
      else "-"
      for d in dims
    ]
    held = _held([row for part in some.values() for row in part])
    lines.append((kind.replace("_", " "), *cells, held))
  heads = ("family", *(f"{d} a side" for d in dims), "in interval, flags")
  published = []
  for task, values in VCE_PUBLISHED.items():
    if some := [row for row in rows if row["task"] == task]:
      theirs = [f"{value:.2f}" for value in values]
      ours = f"**{mean(row['nats'] for row in some):.2f}**"
      truth = f"{some[0]['truth']:.2f}"
      published.append((f"`{task}`", truth, *theirs, ours))
  heads_32 = ("task", "truth", "MINE", "MINDE", "MIENF", "VCE", "ours")
  return [*_table(heads, lines), "", *_table(heads_32, published)]


def latent(record: dict) -> list[str]:
  """Mean absolute errors in bits, by columns and by signals."""
  rows = known(rows_of(record, "latent"))

  def bits(some, wanted):
    errors = (error(row) / math.log(2) for row in some if wanted(_grid(row)))
    return _number(mean(errors))

  signals = sorted({_grid(row)[1] for row in rows})
  lines = []
  for ambient in sorted({_grid(row)[0] for row in rows}):
    some = [row for row in rows if _grid(row)[0] == ambient]
    cells = [bits(some, lambda grid, k=k: grid[1] == k) for k in signals]
    known_as = _number(LATENT_PUBLISHED.get(ambient))
    every = bits(some, lambda grid: True)
    lines.append((f"{ambient:,}", *cells, every, known_as, _held(some)))
  cells = [bits(rows, lambda grid, k=k: grid[1] == k) for k in signals]
  every = bits(rows, lambda grid: True)
  lines.append(("all", *cells, every, "0.407", _held(rows)))
  cells = [_number(SIGNALS_PUBLISHED.get(k)) for k in signals]
  lines.append(("LMI, all", *cells, "0.407", "", ""))
  heads = (
    *(
      "columns a side",
      *(f"{k} signal{'s' * (k > 1)}" for k in signals),
      "all",
    ),
    *("LMI, such columns", "in interval, flags"),
  )
  return _table(heads, lines) if rows else NOT_YET


def _grid(row) -> tuple[int, int]:
  _, ambient, count, _ = row["task"].split("_")
  return int(ambient), int(count)


def images(record: dict) -> list[str]:
  """Values of each kind of image at each number of nats."""
  rows = rows_of(record, "images")
  kinds = _groups(rows, lambda row: row["task"].rsplit("_", 1)[0])
  steps = sorted({row["truth"] for row in rows})
  lines = []
  for kind, some in kinds.items():
    at = _groups(some, lambda row: row["truth"])
    cells = [", ".join(filter("-".__ne__, _of_seeds(at[s]))) for s in steps]
    seconds = max(row["seconds"] for row in some)
    lines.append((f"`{kind}`", *cells, _held(some), f"{seconds:.0f}"))
  heads = ("images", *(f"{s:g} nats" for s in steps))
  heads = (*heads, "in interval, flags", "longest, s")
  return _table(heads, lines) if rows else NOT_YET


def few_samples(record: dict) -> list[str]:
  """Mean squared errors of few samples, by family and by their number."""
  rows = known(rows_of(record, "small"))
  lines = []
  for kind, some in _groups(rows, family).items():
    middle = sorted(map(error, some))[len(some) // 2]
    wide = mean(row["interval"][1] - row["interval"][0] for row in some)
    where = "inside" if inside(some[0]) else "outside"
    cells = (squared(some), squared(some, "ksg"), middle, wide)
    name = kind.replace("_", " ")
    lines.append((name, where, *map(_number, cells), _held(some)))
  heads = (
    *("family", "MIST's", "ours, MSE", "KSG, MSE", "ours, median error"),
    *("width of intervals", "in interval, flags"),
  )
  starts, by_size = sorted(SIZES_PUBLISHED), []
  for start, end in zip(starts, (*starts[1:], math.inf), strict=True):
    for within, published in zip(
      (True, False), SIZES_PUBLISHED[start], strict=True
    ):
      some = [row for row in rows if start <= row["samples"] < end]
      some = [row for row in some if inside(row) == within]
      errors = (squared(some), squared(some, "ksg"), published)
      span = f"{start} to {min(end - 1, 500)}"
      where = "inside" if within else "outside"
      by_size.append((span, where, len(some), *map(_number, errors)))
  heads_size = (
    *("samples", "MIST's families", "runs", "ours, MSE", "KSG, MSE"),
    "MIST-QR, MSE",
  )
  both = [*_table(heads, lines), "", *_table(heads_size, by_size)]
  return both if rows else NOT_YET


def functions(record: dict) -> list[str]:
  """Errors of functions of one number at each size, and KSG's."""
  rows = known(rows_of(record, "functions"))
  sizes = sorted({row["samples"] for row in rows})
  lines = []
  for task, some in _groups(rows, lambda row: row["task"]).items():
    at = _groups(some, lambda row: row["samples"])
    cells = []
    for size in sizes:
      part = at.get(size, ())
      near = [row for row in part if row["ksg"] is not None]
      ours, theirs = (
        mean(row[who] - row["truth"] for row in of)
        for who, of in (("nats", part), ("ksg", near))
      )
      cells.append(f"{ours:+.3f} ({theirs:+.3f})" if part else "-")
    lines.append((f"`{task}`", f"{some[0]['truth']:.3f}", *cells, _held(some)))
  heads = ("y", "truth", *(f"{s:,} pairs" for s in sizes), "in interval, flags")
  return _table(heads, lines) if rows else NOT_YET


def missed_tasks(record: dict, with_flag: bool) -> list[str]:
  """Runs that miss the truth, with a flag or without one."""
  rows = [row for row in known(rows_of(record)) if missed(row)]
  rows = [row for row in rows if flagged(row) == with_flag]
  lines = []
  for row in rows:
    low, high = row["interval"]
    flags = " ".join(f"`{flag}`" for flag in row["flags"])
    cells = (f"{row['suite']}: `{row['task']}`", f"{row['samples']:,}")
    cells = (*cells, row["seed"], _number(row["truth"]), _number(row["nats"]))
    lines.append((*cells, f"{_number(low)} to {_number(high)}", flags))
  heads = ("task", "samples", "seed", "truth", "value", "interval", "flags")
  return _table(heads, lines) if lines else ["None."]


def failures(record: dict) -> list[str]:
  """Runs that ended in an error."""
  rows = [row for row in rows_of(record) if "error" in row]
  lines = [
    (f"{row['suite']}: `{row['task']}`", row["seed"], row["error"])
    for row in rows
  ]
  return _table(("task", "seed", "error"), lines) if lines else ["None."]
