"""Checks of `infomin estimate`: independence, consistency and speed.

  python benchmarks/mi_checks.py --evidence docs/evidence/mi_checks.json
  python benchmarks/mi_checks.py --parts speed  # keeps the other parts' rows
  python benchmarks/mi_checks.py --parts independence --minutes 1 --json

- `independence`: x and y of three kinds are independent. How often is p < 0.05?
  Seeds are counted up for `--minutes`. Every fourth seed also has 10,000 rows.
- `consistency`: changes of the data that must keep the value, or that change it
  in a known way. A check holds if the interval of one value includes the other
  value.
- `speed`: seconds of the whole command, and of a second call in one process.
"""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

ROWS, DIMS = (100, 1_000), (1, 5, 50)
MANY = 10_000  # rows, for every fourth seed only
CONSISTENT = ("dense_5v5", "student_2v2_df1", "x", "wrapped_4v4", "square")
PAIRS = 2_000  # rows of the consistency checks

# --- independence


def _normal(n, dim, rng):
  return rng.normal(size=(n, dim))


def _heavy(n, dim, rng):
  return rng.standard_t(1.5, size=(n, dim))


def _classes(n, dim, rng):
  return rng.integers(4, size=n)


# name -> functions that draw x and y: `(n, dim, generator) -> values`.
KINDS: dict[str, tuple[Callable, Callable]] = {
  "normal": (_normal, _normal),
  "heavy tails": (_heavy, _heavy),
  "numbers and classes": (_normal, _classes),
}


def check_independence(minutes: float) -> Iterator[dict]:
  """Yields one row per run, at least one, until the time is over."""
  from infomin_jax.mi import estimate

  end = time.monotonic() + 60 * minutes
  for seed in itertools.count():
    rows = (*ROWS, MANY) if seed % 4 == 0 else ROWS
    for n, dim, (kind, (of_x, of_y)) in itertools.product(
      rows, DIMS, KINDS.items()
    ):
      rng = np.random.default_rng([seed, n, dim])
      x, y = of_x(n, dim, rng), of_y(n, dim, rng)
      result = estimate(x, y, seed=seed)
      yield {
        "check": "independence",
        "kind": kind,
        "samples": n,
        "columns": dim,
        "seed": seed,
        "nats": float(result.nats),
        "p_value": float(result.p_value),
        "covered": bool(result.interval[0] <= 1e-3),
        "seconds": result.seconds,
      }
      if time.monotonic() > end:
        return


# --- consistency


def _rotated(values, rng):
  values = (values - values.mean(axis=0)) / values.std(axis=0)
  turn, _ = np.linalg.qr(rng.normal(size=(values.shape[1],) * 2))
  return values @ turn


def _with_function(y):
  return np.hstack([y, y[:, :1] ** 2, np.sin(y)])


def _with_noise(values, rng):
  return np.hstack([values, rng.normal(size=(len(values), 3))])


# name -> `(x, y, generator) -> (x, y)` with the same mutual information.
SAME: dict[str, Callable] = {
  "x and y exchanged": lambda x, y, rng: (y, x),
  "columns through x^3 and exp": lambda x, y, rng: (
    x**3,
    np.exp(y / np.abs(y).max() * 20),
  ),
  "both sides rotated": lambda x, y, rng: (_rotated(x, rng), _rotated(y, rng)),
  "y with functions of y": lambda x, y, rng: (x, _with_function(y)),
  "y with copies of its columns": lambda x, y, rng: (x, np.hstack([y, y])),
  "three noise columns on both sides": lambda x, y, rng: (
    _with_noise(x, rng),
    _with_noise(y, rng),
  ),
}


def _known_tasks():
  from infomin_jax.mi.tasks import SUITES

  tasks = [task for make in SUITES.values() for task in make()]
  return [next(t for t in tasks if t.name == name) for name in CONSISTENT]


def check_consistency(pairs: int = PAIRS) -> Iterator[dict]:
  """Yields one row per task and consistency check."""
  from infomin_jax.mi import estimate

  for task in _known_tasks():
    rng = np.random.default_rng(0)
    x, y = task.sample(pairs, 0)
    base = estimate(x, y)
    for name, change in SAME.items():
      yield _compared(task, name, base, estimate(*change(x, y, rng)))
    # Data processing inequality: I(x; f(y)) <= I(x; y).
    less = estimate(x, np.round(2 * y))
    row = _compared(task, "y rounded: never more", base, less)
    yield row | {"holds": row["holds"] or less.nats < base.nats}
    samples = [task.sample(pairs, 1), task.sample(pairs, 2)]
    parts = [estimate(*each) for each in samples]
    both = estimate(*(np.hstack(sides) for sides in zip(*samples, strict=True)))
    total = sum(part.nats for part in parts)
    deviations = np.array([part.interval for part in parts])
    deviations = deviations - np.array([[part.nats] for part in parts])
    # Squared errors of independent samples add up.
    low, high = total + np.sqrt(np.sum(deviations**2, axis=0)) * (-1, 1)
    row = _compared(task, "two independent pairs: the sum", both, both)
    holds = low <= both.nats <= high
    holds |= both.interval[0] <= total <= both.interval[1]
    yield row | {"before": total, "holds": bool(holds)}


def _compared(task, name, before, after) -> dict:
  holds = (
    before.interval[0] - 1e-3 <= after.nats <= before.interval[1] + 1e-3
    or after.interval[0] - 1e-3 <= before.nats <= after.interval[1] + 1e-3
  )
  return {
    "check": "consistency",
    "what": name,
    "task": task.name,
    "truth": float(task.mi),
    "before": float(before.nats),
    "after": float(after.nats),
    "holds": bool(holds),
    "flags": list(after.flags),
    "seconds": after.seconds,
  }


# --- speed


def _pairs(n, dim, seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(n, dim))
  return x, 0.7 * x + 0.7 * rng.normal(size=(n, dim))


def _image_pairs(n):
  from infomin_jax.mi.tasks.latent import images

  return images(16)[2].sample(n, 0)


def _two_classes(n):
  rng = np.random.default_rng(0)
  x = rng.integers(10, size=n)
  return x, np.where(rng.uniform(size=n) < 0.5, x, rng.integers(10, size=n))


# name -> (function that draws the data, goal in seconds).
SPEED: dict[str, tuple[Callable, float]] = {
  "10,000 x (5 + 5) columns": (lambda: _pairs(10_000, 5), 10),
  "100,000 x (5 + 5) columns": (lambda: _pairs(100_000, 5), 30),
  "1,000 x (1,000 + 1,000) columns": (lambda: _pairs(1_000, 1_000), 120),
  "5,000 pairs of 16 x 16 images": (lambda: _image_pairs(5_000), 60),
  "100,000 x two columns of classes": (lambda: _two_classes(100_000), 5),
}


def check_speed() -> Iterator[dict]:
  """Yields one row per case: seconds of the command and of a second call."""
  from infomin_jax.mi import estimate

  for name, (draw, goal) in SPEED.items():
    x, y = draw()
    row = {"check": "speed", "case": name, "goal": goal}
    row["command_seconds"] = time_command(x, y)
    estimate(x, y)  # compiles
    result = estimate(x, y)
    yield row | {"seconds": result.seconds, "nats": float(result.nats)}


def time_command(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the seconds of `infomin estimate` on files of x and y."""
  infomin = str(pathlib.Path(sys.executable).with_name("infomin"))
  with tempfile.TemporaryDirectory() as folder:
    paths = [f"{folder}/{name}.npy" for name in "xy"]
    for path, values in zip(paths, (x, y), strict=True):
      np.save(path, values)
    start = time.perf_counter()
    subprocess.run(
      [infomin, "estimate", *paths, "--json"], capture_output=True, check=True
    )
    return time.perf_counter() - start


# --- the command


def check(parts: list[str], minutes: float) -> Iterator[dict]:
  """Yields the rows of the selected parts."""
  if "speed" in parts:
    yield from check_speed()
  if "consistency" in parts:
    yield from check_consistency()
  if "independence" in parts:
    yield from check_independence(minutes)


def main():
  """Prints one line per row, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--parts", default="speed,consistency,independence")
  parser.add_argument(
    "--minutes", type=float, default=8, help="duration of independence"
  )
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  from infomin_jax import runtime

  runtime.configure()
  rows = []
  for row in check(options.parts.split(","), options.minutes):
    rows.append(row)
    if not options.json:
      print(json.dumps(row), flush=True)
  if options.json:
    print(json.dumps({"rows": rows}))
  if options.evidence:
    write_evidence(options, rows)


def write_evidence(options, rows: list[dict]) -> None:
  """Writes the rows, and keeps those of other parts at the same commit."""
  from infomin_jax import provenance
  from infomin_jax.output import read_json

  commands = [
    f"python benchmarks/mi_checks.py --parts {options.parts} --minutes "
    f"{options.minutes:g}"
  ]
  path = pathlib.Path(options.evidence)
  if path.exists():
    earlier = read_json(path)
    if earlier["commit"] == provenance.commit():
      new = {row["check"] for row in rows}
      other_rows = [row for row in earlier["values"] if row["check"] not in new]
      if other_rows:
        rows, commands = other_rows + rows, earlier["command"] + commands
  provenance.write(
    path,
    commands=list(dict.fromkeys(commands)),
    config={"parts": sorted({row["check"] for row in rows})},
    seeds=sorted({row["seed"] for row in rows if "seed" in row}) or [0],
    values=rows,
  )


if __name__ == "__main__":
  main()
