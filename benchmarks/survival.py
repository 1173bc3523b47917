"""Failures of a run: how often each was tried, and how often the run survived.

  pip install 'infomin-jax[test]'
  python benchmarks/survival.py --evidence docs/evidence/survival.json

Each case is a test that causes a real failure and checks how the run ends. The
test is repeated. Runs are killed at random times, which differ between
repetitions.
"""

import argparse
import json
import subprocess
import sys

LOOP, PEERS = "tests/train/loop_test.py", "tests/train/processes_test.py"
# The failure, the required end of the run, the test, and failures per test.
CASES = (
  (
    "killed at a random step, or in the middle of a save",
    "bitwise the same result",
    f"{LOOP}::test_killed_at_random_moments_it_ends_bitwise_equal[20]",
    20,
  ),
  (
    "SIGTERM",
    "saved, status 143",
    f"{LOOP}::test_sigterm_saves_and_says_how_to_go_on",
    1,
  ),
  *(
    (
      f"newest checkpoint {damage}",
      "the one before is used, and said",
      f"{LOOP}::test_of_a_damaged_checkpoint_the_one_before_is_used[{key}]",
      1,
    )
    for key, damage in {
      "truncated": "cut in half",
      "changed": "with one bit changed",
      "gone": "without a file",
    }.items()
  ),
  (
    "disk full in a save",
    "one line, the last checkpoint whole",
    f"{LOOP}::test_on_a_full_disk_the_last_checkpoint_stays_whole",
    1,
  ),
  (
    "clock set back a day",
    "bitwise the same result",
    f"{LOOP}::test_a_clock_that_is_set_back_changes_nothing",
    1,
  ),
  (
    "second run in one folder",
    "refused in one line",
    f"{LOOP}::test_two_runs_in_one_folder_are_one_too_many",
    1,
  ),
  (
    "loss not finite",
    "kept, and replayed",
    f"{LOOP}::test_a_loss_that_is_not_finite_is_kept_and_replayed",
    1,
  ),
  (
    "one of several processes killed",
    "the others end, a rerun goes on exactly",
    f"{PEERS}::test_a_killed_process_ends_the_others_and_the_run_goes_on",
    1,
  ),
  (
    "one of several processes silent",
    "the others end with status 75",
    f"{PEERS}::test_a_stopped_process_ends_the_others",
    1,
  ),
  (
    "one of several processes never started",
    "the others end in one line",
    f"{PEERS}::test_a_process_that_never_comes_ends_the_others",
    1,
  ),
)


def attempt(test):
  """Runs a test in its own process; returns whether it passes."""
  words = ["-m", "pytest", "-q", "-n", "0", "-m", "long or not long", test]
  done = subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL)
  return done.returncode == 0


def main():
  """Prints one line per case, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--times", type=int, default=5, help="runs per test")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  values = []
  for what, end, test, each in CASES:
    times = 1 if each > 1 else options.times
    well = sum(attempt(test) for _ in range(times))
    row = {"what": what, "end": end, "test": test}
    values.append(row | {"times": each * times, "well": each * well})
    if not options.json:
      print(f"{what}: {end}, {each * well} of {each * times}", flush=True)
  if options.json:
    rows = [
      {
        "case": v["what"],
        "who": v["end"],
        "value": v["well"],
        "unit": f"of {v['times']}",
        "peak_bytes": None,
      }
      for v in values
    ]
    print(json.dumps(rows))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=[f"python benchmarks/survival.py --times {options.times}"],
      config={"times": options.times},
      seeds=[],
      values=values,
      extra={"interval": None},
    )


if __name__ == "__main__":
  main()
