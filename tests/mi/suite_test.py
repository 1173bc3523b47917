"""Runs of the public suites, their rows, and the tables made of them."""

import importlib
import itertools
import json
import subprocess
import sys
import types

import pytest

from infomin_jax import mi


def load(folder, name):
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    return importlib.import_module(name)


mi_suite = load("benchmarks", "mi_suite")
mi_checks = load("benchmarks", "mi_checks")
tables = load("docs", "tables")
check_tables = load("docs", "check_tables")


@pytest.fixture(scope="module")
def jobs():
  return mi_suite.list_jobs("all_suites", 0, 3)


def row(job, off=0.0, **changes):
  truth = float(job.task.mi)
  nats = truth + off
  known = {
    **{"suite": job.suite, "task": job.task.name, "samples": job.samples},
    **{"seed": job.seed, "truth": truth, "nats": nats, "flags": []},
    **{"interval": [nats - 0.01, nats + 0.01], "covered": abs(off) <= 0.01},
    **{"seconds": 1.0, "ksg": truth + 0.02, "gaussian": None},
  }
  return known | changes


def record(rows):
  return {
    **{"id": "mi_suite", "seeds": [0, 1, 2], "values": rows},
    **{"device": {"cores": 2, "cpu": "C"}, "versions": {"jax": "0"}},
  }


def test_every_run_is_in_one_part_and_other_seeds_share_the_slow_ones(jobs):
  assert len({job.key for job in jobs}) == len(jobs)
  parts = [mi_suite.share(jobs, part) for part in ("1/2", "2/2")]
  assert sorted(job.key for part in parts for job in part) == sorted(
    job.key for job in jobs
  )
  one, other = (sum(job.seconds for job in part) for part in parts)
  assert abs(one - other) < 0.02 * one
  for name in mi_suite.PLANS:
    first, *others = (
      [job.key[:3] for job in jobs if (job.suite, job.seed) == (name, seed)]
      for seed in range(3)
    )
    every = mi_suite.PLANS[name].every
    later = list(itertools.chain(*others))
    assert set(later) <= set(first) and len(later) == len(set(later))
    assert abs(len(later) - 2 * len(first) / every) <= 1
  with pytest.raises(SystemExit, match="1/N"):
    mi_suite.share(jobs, "3/2")


def test_tasks_are_chosen_by_suite_or_name():
  jobs = mi_suite.list_jobs("mixtures,dense_2v2", 200, 1)
  assert len(jobs) == 14 and {job.samples for job in jobs} == {200}
  assert jobs[-1].key == ("beyond_normal", "dense_2v2", 200, 0)
  with pytest.raises(SystemExit, match="nothing is neither a task"):
    mi_suite.list_jobs("nothing", 0, 1)


def test_rows_are_kept_and_a_failure_ends_nothing(tmp_path, monkeypatch):
  seen = []

  def estimate(x, y, seed):
    seen.append(seed)
    if seed:
      raise ArithmeticError("no\nconvergence")
    found = {"nats": 0.41, "interval": (0.39, 0.4125), "flags": ("few",)}
    return types.SimpleNamespace(**found, estimator="E", seconds=0.5)

  monkeypatch.setattr(mi, "estimate", estimate)
  path = tmp_path / "rows.jsonl"
  jobs = mi_suite.list_jobs("normal_1v1", 60, 2)
  mi_suite.run(jobs[:1], mi_suite.Partial(str(path)), quiet=True)
  path.write_text(path.read_text() + '{"code": "cut of')
  with path.open("a") as file:
    file.write("\n")
  partial = mi_suite.Partial(str(path))
  mi_suite.run(jobs, partial, quiet=True)
  assert seen == [0, 1]  # the first was not run again
  good, bad = (mi_suite.Partial(str(path)).rows()[job.key] for job in jobs)
  assert good["covered"]  # 0.4133, to a thousandth
  assert good["flags"] == ["few"] and good["ksg"] and good["gaussian"]
  assert bad["error"] == "ArithmeticError: no convergence"
  assert "nats" not in bad and "failed" in json.dumps(
    mi_suite.summarize([good, bad])
  )
  for line in (good, bad):
    assert "normal_1v1" in mi_suite.describe(line)
  monkeypatch.setattr(mi_suite, "digest", lambda: "other code")
  other = mi_suite.Partial(str(path))
  for _ in range(2):  # processes that end in the midst of it
    assert jobs[0].key not in other.rows()
    other.begin(jobs[0])
  mi_suite.run(jobs[:1], mi_suite.Partial(str(path)), quiet=True)
  assert "ended" in other.rows()[jobs[0].key]["error"] and seen == [0, 1]
  monkeypatch.setattr(mi_suite, "digest", lambda: "no code")
  assert not mi_suite.Partial(str(path)).rows()


def test_comparisons_are_left_out_where_they_are_dear():
  by_name = {
    job.task.name: job for job in mi_suite.list_jobs("latent,mixed", 0, 1)
  }
  wide = mi_suite.compare(*by_name["grid_1000_1_2"].task.sample(50, 0))
  assert wide == {"ksg": None, "gaussian": None}
  mixed = mi_suite.compare(*by_name["integers_256"].task.sample(400, 0))
  assert mixed["ksg"] is not None


def rendered(rows):
  """All tables of the suites, by name."""
  parts = {
    name: make([record(rows)])
    for name, (make, names) in tables.SUMMARIES.items()
    if names == ("mi_suite",)
  }
  return parts | {"suites": tables.TABLES["mi_suite"](record(rows))}


def test_goals_are_met_by_the_truth_and_missed_by_the_wrong(jobs):
  good = rendered([row(job) for job in jobs])
  assert "yes / yes" in good["suites"] and "no" not in [
    word.strip(" /|") for word in good["suites"].split()
  ]
  assert good["suite_silent"] == good["suite_flagged"] == "None."
  bad = rendered([row(job, 9.0, seconds=99.0) for job in jobs])
  assert "yes" not in bad["suites"]
  assert "100%" not in bad["suites"]
  failed = [row(job, error="E") for job in jobs]
  assert "yes" not in rendered(failed)["suites"]


def test_a_miss_is_listed_with_or_without_a_flag(jobs):
  some = [job for job in jobs if job.suite in ("ladder", "vce")]
  changed = {
    0: {"off": 0.04 + 0.05 * some[0].task.mi},  # too little to count
    1: {"off": -0.5, "flags": ["independent"]},
    2: {"off": 0.5, "flags": ["overfitted"]},
    3: {"error": "MemoryError: none"},
  }
  found = rendered(
    [row(job, **changed.get(i, {})) for i, job in enumerate(some)]
  )
  for name, i in (("silent", 1), ("flagged", 2), ("failures", 3)):
    (line,) = found[f"suite_{name}"].splitlines()[2:]
    assert f"`{some[i].task.name}`" in line
  assert "2 miss the truth" in found["suites"]
  assert "1 of them without a flag; 1 failed" in found["suites"]
  assert found["suite_small"] == "Not measured yet."
  assert "10.00 of 10.77" not in found["suite_vce"]


def test_checks_have_a_table_each():
  def independent(p_value):
    known = {"check": "independence", "kind": "normal", "samples": 100}
    known |= {"columns": 5, "nats": 0.002, "covered": True}
    return known | {"p_value": p_value}

  same = {"check": "consistency", "what": "W", "task": "T", "before": 1.0}
  rows = [
    *(independent(p) for p in (0.01, 0.5, 0.6, 0.7)),
    same | {"after": 1.1, "holds": True, "flags": []},
    same | {"after": 0.2, "holds": False, "flags": ["few"]},
    {"check": "speed", "case": "C", "goal": 5}
    | {"command_seconds": 6.0, "seconds": 1.0},
  ]
  lines, _ = check_tables.checks({"values": rows})
  text = "\n".join(lines)
  assert "| all | 4 | 25.0% (0.6% to 80.6%) | 0.0020 | 4 of 4 |" in text
  assert "| W | 1 of 2 | -0.800 | `T`: 1.000, then 0.200 `few` |" in text
  assert "| C | 6.0 | 1.0 | 5 | no |" in text


def test_parts_of_the_checks_are_stored_next_to_each_other(tmp_path):
  path = tmp_path / "mi_checks.json"
  for part, values in (("speed", (1,)), ("consistency", (2,)), ("speed", (3,))):
    options = types.SimpleNamespace(evidence=path, parts=part, minutes=8)
    rows = [{"check": part, "value": value} for value in values]
    mi_checks.write_evidence(options, rows)
  stored = json.loads(path.read_text())
  assert [(r["check"], r["value"]) for r in stored["values"]] == [
    ("consistency", 2),
    ("speed", 3),
  ]
  assert len(stored["command"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
  "command",
  [
    "mi_suite.py --tasks normal_1v1 --samples 60 --seeds 1",
    "mi_checks.py --parts independence --minutes 0",
  ],
)
def test_the_commands_measure_the_estimator(command):
  name, *words = command.split()
  done = subprocess.run(
    [sys.executable, f"benchmarks/{name}", *words, "--json"],
    capture_output=True,
    text=True,
    check=True,
  )
  (row,) = json.loads(done.stdout)["rows"]
  assert 0 <= row["nats"] < 1 and "error" not in row
