"""What is in `launch/`: it passes its linters, and the local one is run."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
BIN = pathlib.Path(sys.executable).parent
SMALL = [
  "--config=configs/colorful_digits.py:tiny",
  "--config.encoder.widths=(4, 4, 4, 4)",
  "--config.batch_size=16",
  "--config.steps=30",
  "--config.run.log_every=1",
  "--config.run.checkpoint_every=5",
  "--config.run.evaluate_every=1000",
]


@pytest.mark.parametrize(
  "command",
  [("shellcheck", "tpu_vm.sh", "local_processes.sh", "slurm.sbatch"),
   ("yamllint", "--strict", "gke_jobset.yaml")],
  ids=lambda command: command[0],
)  # fmt: skip
def test_linters_have_nothing_to_say(command):
  done = subprocess.run(
    [BIN / command[0], *command[1:]], cwd=LAUNCH, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stdout


def launch(workdir, *more):
  """The script, its log, and `PROCESSES` that it starts."""
  environ = os.environ | {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "PROCESSES": "2",
    "RESTARTS": "1",
    "JAX_NUM_CPU_DEVICES": "1",
  }
  log = workdir.parent / "log.txt"
  with open(log, "w") as file:
    command = [LAUNCH / "local_processes.sh", *SMALL, f"--workdir={workdir}"]
    process = subprocess.Popen(
      [*command, "--patience=20", *more],
      env=environ,
      stdout=file,
      stderr=file,
    )
  return process, log


def children(process):
  """The process ids of what the script has started."""
  path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
  return [int(pid) for pid in path.read_text().split()]


def wait_for_steps(process, workdir, steps):
  metrics = workdir / "metrics.jsonl"
  while process.poll() is None:
    if metrics.exists() and len(metrics.read_text().splitlines()) >= steps:
      return
    time.sleep(0.05)
  raise AssertionError(f"ended with {process.returncode}")


@pytest.mark.slow
def test_a_lost_process_starts_all_again_and_the_run_ends_whole(tmp_path):
  workdir = tmp_path / "run"
  process, log = launch(workdir)
  wait_for_steps(process, workdir, 12)
  os.kill(children(process)[1], signal.SIGKILL)
  assert process.wait(timeout=300) == 0, log.read_text()
  said = log.read_text()
  assert said.count("starting all again") == 1 and "Continuing" in said
  rows = (workdir / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(row)["step"] for row in rows] == list(range(1, 31))


@pytest.mark.slow
def test_term_saves_and_a_mistake_is_not_tried_again(tmp_path):
  workdir = tmp_path / "run"
  process, log = launch(workdir, "--config.steps=100000")
  wait_for_steps(process, workdir, 3)
  process.send_signal(signal.SIGTERM)
  assert process.wait(timeout=120) == 128 + signal.SIGTERM, log.read_text()
  assert "Stopped and saved" in log.read_text()
  process, log = launch(workdir, "--config.seed=7")
  assert process.wait(timeout=120) == 2
  assert "starting all again" not in log.read_text()
