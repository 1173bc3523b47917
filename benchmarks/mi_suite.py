"""Accuracy of `infomin estimate` where the truth is known.

  python benchmarks/mi_suite.py --evidence docs/evidence/mi_suite.json
  python benchmarks/mi_suite.py --tasks all --samples 2000
  python benchmarks/mi_suite.py --tasks functions,mixed,mixtures
  python benchmarks/mi_suite.py --tasks coverage --seeds 100 \\
      --evidence docs/evidence/mi_coverage.json

Runs `estimate` with its defaults on tasks of `infomin_jax/mi/tasks`, or on
whole suites of it with as many samples as the published tables have, next to
KSG (k = 3) and the Gaussian value of canonical correlations on the same
samples (beyond 10 dimensions KSG has the first 2,000 only: its search trees
take minutes there). No setting depends on the task, and the truth is only
compared with.
"""

import argparse
import json

import numpy as np

# For the coverage of the interval: Gaussian and not, few dimensions and many.
COVERAGE = (
  "normal_1v1",
  "dense_5v5",
  "student_2v2_df1",
  "sparse_3v3",
  "asinh_student_3v3_df2",
)


def measure(task, samples, seed):
  """Returns one task's truth and estimates, nats."""
  from infomin_jax.estimation import estimate
  from infomin_jax.estimators.nonneural import gaussian, ksg

  x, y = task.sample(samples or task.samples, seed)
  found = estimate(x, y, seed=seed)
  low, high = found.interval
  few = slice(None if task.dim_x + task.dim_y <= 10 else 2_000)
  flat = [v.reshape(len(v), -1).astype(np.float64) for v in (x, y)]
  fits = task.dim_x + task.dim_y < len(x)
  return {
    "task": task.name,
    "samples": len(x),
    "truth": task.mi,
    "seed": seed,
    "nats": found.nats,
    "interval": [low, high],
    "covered": low <= task.mi <= high,
    "estimator": found.estimator,
    "flags": list(found.flags),
    "seconds": found.seconds,
    "ksg": ksg(*(v[few] for v in flat)),
    "gaussian": gaussian(*flat) if fits else 0.0,
  }


def summarise(rows):
  """Mean absolute errors, nats, and the share of intervals that cover."""
  errors = {
    who: float(np.mean([abs(row[who] - row["truth"]) for row in rows]))
    for who in ("nats", "ksg", "gaussian")
  }
  covered = {}
  for row in rows:
    covered.setdefault(row["task"], []).append(row["covered"])
  return {
    "mean_absolute_error": errors,
    "coverage": {task: float(np.mean(c)) for task, c in covered.items()},
    "seconds": [row["seconds"] for row in rows],
  }


def choose(tasks):
  """Returns the tasks asked for: of a set, of suites, or by name."""
  from infomin_jax.mi.tasks import SUITES
  from infomin_jax.mi.tasks.beyond_normal import PUBLISHED, TASKS

  hard = "gaussian_128v128_rho0.5"
  sets = {
    "published": PUBLISHED,
    "coverage": COVERAGE,
    "all": tuple(name for name in TASKS if name != hard),
  }
  names = sets.get(tasks, tuple(tasks.split(",")))
  if set(names) <= set(SUITES):
    return [task for name in names for task in SUITES[name]()]
  known = dict(TASKS)
  if not set(names) <= set(TASKS):
    known |= {task.name: task for make in SUITES.values() for task in make()}
  return [known[name] for name in names]


def main():
  """Prints a line a task, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--tasks",
    default="published",
    help="published, all, coverage, or names of suites or tasks",
  )
  parser.add_argument(
    "--samples", type=int, default=0, help="as many as published if 0"
  )
  parser.add_argument("--seeds", type=int, default=1)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
  options = parser.parse_args()
  from infomin_jax import runtime

  runtime.configure()
  rows = []
  for task in choose(options.tasks):
    for seed in range(options.seeds):
      rows.append(row := measure(task, options.samples, seed))
      if not options.json:
        print(
          f"{task.name:34s} truth {row['truth']:.3f} ours {row['nats']:.3f} "
          f"({row['nats'] - row['truth']:+.3f}) in [{row['interval'][0]:.3f}, "
          f"{row['interval'][1]:.3f}] KSG {row['ksg']:.3f} Gaussian "
          f"{row['gaussian']:.3f} {row['seconds']:.1f} s {row['flags']}",
          flush=True,
        )
  summary = summarise(rows)
  if options.json:
    print(json.dumps({"rows": rows, **summary}))
  else:
    print(json.dumps(summary["mean_absolute_error"]))
    print(json.dumps(summary["coverage"]))
  if options.evidence:
    from infomin_jax import evidence

    evidence.write(
      options.evidence,
      commands=[
        f"python benchmarks/mi_suite.py --tasks {options.tasks} --samples "
        f"{options.samples} --seeds {options.seeds}"
      ],
      config={"tasks": options.tasks, "samples": options.samples},
      seeds=list(range(options.seeds)),
      values=rows,
      extra={
        "summary": summary,
        "interval": "95 %, in values[].interval: Bayesian bootstrap",
      },
    )


if __name__ == "__main__":
  main()
