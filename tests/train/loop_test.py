"""A run as its user sees it: it continues exactly, and refuses clearly."""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from infomin_jax import cli, data
from infomin_jax.runs.workdir import read_config
from infomin_jax.train import loop
from infomin_jax.train.checkpoint import Checkpoints
from infomin_jax.train.experiment import make_experiment

SMALL = [
  "--config=configs/colorful_digits.py:tiny",
  "--config.encoder.widths=(4, 4, 4, 4)",
  "--config.run.log_every=1",
  "--config.run.checkpoint_every=3",
  "--config.run.evaluate_every=1000",
]


def infomin(*arguments):
  return [sys.executable, "-m", "infomin_jax.cli", *arguments]


def start(workdir, *more):
  command = infomin("train", *SMALL, f"--workdir={workdir}", *more)
  with open(f"{workdir}.log", "a") as log:  # the child keeps its own copy
    return subprocess.Popen(command, stdout=log, stderr=log)


def steps_done(workdir):
  path = workdir / "metrics.jsonl"
  return len(path.read_text().splitlines()) if path.exists() else 0


def wait_for_step(process, workdir, step):
  while process.poll() is None and steps_done(workdir) < step:
    time.sleep(0.005)


def final_state(workdir):
  experiment = make_experiment(read_config(workdir))
  checkpoints = Checkpoints(workdir)
  state = checkpoints.restore(experiment.init())
  checkpoints.close()
  return jax.device_get(state)


def is_saving(workdir):
  """Whether a checkpoint is half written."""
  folder = workdir / "checkpoints"
  return folder.exists() and any("tmp" in x.name for x in folder.iterdir())


def killed(workdir, step, saving, *more):
  """Kills a run after a step, or in the first save that follows it."""
  process = start(workdir, *more)
  wait_for_step(process, workdir, step)
  while saving and process.poll() is None and not is_saving(workdir):
    pass
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  return is_saving(workdir)


def still_running(workdir):
  """Processes that name the run's folder: trainers, and workers of theirs."""
  found = []
  for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    with contextlib.suppress(OSError):
      if str(workdir) in path.read_text():
        found.append(path.parent.name)
  return found


@pytest.mark.parametrize(
  "kills",
  [
    pytest.param(3, marks=pytest.mark.slow),
    pytest.param(20, marks=pytest.mark.long),
  ],
)
def test_killed_at_random_moments_it_ends_bitwise_equal(kills, tmp_path):
  """Every second kill is in the middle of a save."""
  steps = f"--config.steps={20 * kills}"
  # With a worker process, which must not outlive its parent.
  options = steps, "--config.data.resident=False", "--config.data.workers=1"
  whole = start(tmp_path / "whole", *options)
  assert whole.wait() == 0
  dice = random.Random(time.time())
  at = [20 * k + dice.randrange(1, 12) for k in range(kills)]
  saves = [
    killed(tmp_path / "killed", step, k % 2 == 1, *options)
    for k, step in enumerate(at)
  ]
  assert sum(saves) >= kills // 2, f"killed at {at}, in a save: {saves}"
  wait_until(lambda: not still_running(tmp_path / "killed"), 30)
  assert start(tmp_path / "killed", *options).wait() == 0
  assert "Continuing" in (tmp_path / "killed.log").read_text()
  states = [final_state(tmp_path / name) for name in ("whole", "killed")]
  assert int(states[0].step) == 20 * kills
  equal = jax.tree.map(np.array_equal, *states)
  assert all(jax.tree.leaves(equal)), f"killed at {at}"
  losses = [
    [json.loads(line)["loss"] for line in path.read_text().splitlines()]
    for path in (
      tmp_path / "whole" / "metrics.jsonl",
      tmp_path / "killed" / "metrics.jsonl",
    )
  ]
  assert losses[0] == losses[1]


def wait_until(condition, seconds):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "waited too long"
    time.sleep(0.05)


CLOCK = """
import pathlib, sys, time
real, log = time.time, pathlib.Path(sys.argv.pop(1))
time.time = lambda: real() - 86400 * (len(log.read_text().splitlines()) > 8)
from infomin_jax import cli
cli.main()
"""


@pytest.mark.slow
def test_a_clock_that_is_set_back_changes_nothing(tmp_path):
  whole, run = tmp_path / "whole", tmp_path / "run"
  options = "--config.steps=12", "--config.run.checkpoint_every=1"
  assert start(whole, *options).wait() == 0
  killed(run, 5, False, *options)
  for path in (run / "checkpoints").rglob("*"):
    os.utime(path, (0, 0))  # older than anything
  log = str(run / "metrics.jsonl")
  _, _, _, *command = infomin("train", *SMALL, *options, f"--workdir={run}")
  done = subprocess.run(
    [sys.executable, "-c", CLOCK, log, *command],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0 and f"Continuing {run}" in done.stderr
  states = [final_state(folder) for folder in (whole, run)]
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *states)))
  lines = (run / "metrics.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  assert [row["step"] for row in rows] == [*range(1, 13)]
  assert all(row["seconds"] >= 0 for row in rows)


def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
  workdir = tmp_path / "run"
  process = start(workdir, "--config.steps=100000")
  wait_for_step(process, workdir, 5)
  process.send_signal(signal.SIGTERM)
  assert process.wait() == 128 + signal.SIGTERM
  assert "Stopped and saved at step" in (tmp_path / "run.log").read_text()
  checkpoints = Checkpoints(workdir)
  assert checkpoints.latest() == steps_done(workdir)
  checkpoints.close()


def files_of(folder):
  return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
  "damage",
  [
    "changed",
    pytest.param("truncated", marks=pytest.mark.long),
    pytest.param("gone", marks=pytest.mark.long),
  ],
)
@pytest.mark.slow
def test_of_a_damaged_checkpoint_the_one_before_is_used(damage, tmp_path):
  workdir = tmp_path / "run"
  often = ("--config.run.checkpoint_every=1", "--config.steps=3")
  assert start(workdir, *often).wait() == 0
  whole = final_state(workdir)
  newest = max((workdir / "checkpoints").iterdir(), key=lambda p: int(p.name))
  path = max(files_of(newest), key=lambda p: p.stat().st_size)
  data = bytearray(path.read_bytes())
  if damage == "changed":
    data[len(data) // 2] ^= 1
  path.write_bytes(data[: len(data) // 2] if damage == "truncated" else data)
  if damage == "gone":
    path.unlink()
  assert start(workdir, *often).wait() == 0
  said = (tmp_path / "run.log").read_text()
  assert "The checkpoint of step 3 cannot be read" in said
  assert "at step 2" in said and "Moved" in said
  again = final_state(workdir)
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, whole, again)))
  assert len(list((workdir / "damaged").iterdir())) == 1


@pytest.mark.slow
def test_on_a_full_disk_the_last_checkpoint_stays_whole(tmp_path):
  workdir = tmp_path / "run"
  steps = "--config.steps=8", "--config.run.checkpoint_every=4"
  assert start(tmp_path / "whole", *steps).wait() == 0
  begun = start(workdir, "--config.steps=8", *steps)
  wait_for_step(begun, workdir, 4)
  begun.kill()
  begun.wait()
  sizes = [p.stat().st_size for p in files_of(tmp_path / "whole/checkpoints")]
  # No file may grow as large as a checkpoint: a full disk, from inside.
  limit = f'ulimit -f {max(sizes) // 2048}; exec "$@"'
  command = infomin("train", *SMALL, *steps, f"--workdir={workdir}")
  done = subprocess.run(
    ["bash", "-c", limit, "bash", *command], capture_output=True, text=True
  )
  assert done.returncode == 2
  assert "A checkpoint cannot be saved" in done.stderr.splitlines()[-1]
  assert start(workdir, *steps).wait() == 0
  states = [final_state(tmp_path / name) for name in ("whole", "run")]
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *states)))


@pytest.mark.slow
def test_a_run_without_a_readable_checkpoint_is_refused(tmp_path):
  workdir = tmp_path / "run"
  assert start(workdir).wait() == 0
  for path in files_of(workdir / "checkpoints"):
    path.write_bytes(b"")
  assert start(workdir).wait() == 2
  assert "can be read" in (tmp_path / "run.log").read_text().splitlines()[-1]
  assert files_of(workdir / "checkpoints")  # nothing is lost


@pytest.mark.slow
def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
  workdir = tmp_path / "run"
  first = start(workdir, "--config.steps=100000")
  wait_for_step(first, workdir, 2)
  second = infomin("train", *SMALL, "--config.steps=100000")
  done = subprocess.run(
    [*second, f"--workdir={workdir}"], capture_output=True, text=True
  )
  first.send_signal(signal.SIGTERM)
  assert first.wait() == 128 + signal.SIGTERM
  assert done.returncode == 2
  assert "another process is training there" in done.stderr


@pytest.mark.slow
def test_a_longer_run_is_that_of_as_many_steps_from_the_start(tmp_path):
  constant = "--config.schedule.name=constant", "--config.schedule.warmup=2"
  for name, steps in (("whole", 8), ("run", 4), ("run", 8)):
    process = start(tmp_path / name, *constant, f"--config.steps={steps}")
    assert process.wait() == 0
  states = [final_state(tmp_path / name) for name in ("whole", "run")]
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *states)))
  assert steps_done(tmp_path / "run") == read_config(tmp_path / "run").steps


@pytest.mark.slow
def test_a_second_start_compiles_nothing_again(tmp_path):
  for name in ("first", "second"):
    process = start(tmp_path / name)
    assert process.wait() == 0, (tmp_path / f"{name}.log").read_text()
  summary = json.loads((tmp_path / "second" / "summary.json").read_text())
  assert summary["compiled"] == 0
  assert summary["compiled_before"] > 0


@pytest.mark.slow
def test_a_run_that_saved_nothing_says_that_it_begins_again(tmp_path, capsys):
  words = ["train", *SMALL, f"--workdir={tmp_path / 'run'}"]
  cli.main(words)
  shutil.rmtree(tmp_path / "run" / "checkpoints")
  assert "begins again" not in capsys.readouterr().err
  cli.main(words)
  said = capsys.readouterr().err
  assert "ended at step 2 or later with nothing saved" in said
  assert "checkpoint_every is 3" in said


def test_few_steps_are_dispatched_ahead_of_the_device():
  """A signal ends a run after the steps that are under way."""
  done = []

  class Figure:
    def __init__(self, step):
      self.step = step

    def block_until_ready(self):
      done.append(self.step)

  window = loop._Window(16)
  for step in range(6):
    window.add({"loss": Figure(step)})
    assert step - len(done) < 2
  assert done == [0, 1, 2, 3]


def test_seconds_count_on_from_the_lines_of_an_earlier_start():
  window = loop._Window(16, [{"seconds": 90.0}, {"seconds": 360.0}])
  window.add({"loss": np.float32(1)})
  assert 360 <= window.close()["seconds"] < 390


def refused(capsys, *arguments):
  """Runs `infomin ...`, which must exit with 2, and returns its one line."""
  with pytest.raises(SystemExit) as error:
    cli.main(list(arguments))
  assert error.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  return lines[-1]


@pytest.mark.slow
def test_a_workdir_of_another_config_is_refused(tmp_path, capsys):
  workdir = f"--workdir={tmp_path / 'run'}"
  cli.main(["train", *SMALL, workdir])
  before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
  line = refused(capsys, "train", *SMALL, workdir, "--config.seed=7")
  assert "seed (0 there, 7 now)" in line
  after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
  assert before == after
  # How often it logs is not part of what the run is.
  cli.main(["train", *SMALL, workdir, "--config.run.log_every=2"])


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
  (tmp_path / "thesis.tex").write_text("precious")
  line = refused(capsys, "train", *SMALL, f"--workdir={tmp_path}")
  assert "is not empty" in line
  assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_kept_and_replayed(tmp_path, capsys):
  workdir = tmp_path / "run"
  wild = [*SMALL, f"--workdir={workdir}", "--config.schedule.peak=1e30"]
  wild += ["--config.schedule.warmup=0", "--config.steps=20"]
  line = refused(capsys, "train", *wild)
  step = int(re.search(r"not finite at step (\d+)", line)[1])
  assert "infomin replay" in line
  cli.main(["replay", f"--workdir={workdir}", "--json"])
  found = json.loads(capsys.readouterr().out)
  assert found["step"] == step
  assert ".py:" in found["where"]
  # The records are those of the step, and the state is still finite.
  config = read_config(workdir)
  rows = data.indices(11200, seed=0, batch_size=config.batch_size)
  assert [next(rows).tolist() for _ in range(step)][-1] == found["records"]
  assert all(np.isfinite(x) for x in found["parameters"].values())
  cli.main(["replay", f"--workdir={workdir}"])
  assert "first not finite" in capsys.readouterr().out
  assert "holds no capsule" in refused(
    capsys, "replay", f"--workdir={whole_run(tmp_path)}"
  )


def whole_run(folder):
  assert start(folder / "whole").wait() == 0
  return folder / "whole"


@pytest.mark.parametrize(
  "change,words",
  [
    ("--config.batch_sise=3", "did you mean --config.batch_size"),
    ("--config.encoder.name=convnets", "did you mean convnet or"),
    ("--config.batch_size=20", "expected a multiple of 8"),
    ("--config.batch_size=40000", "has only 11200 training images"),
    ("--config.views.size=28", "draws 32 x 32"),
    ("--config.views.share=('digits',)", "did you mean digit?"),
    (
      "--config.objective.contrastive.estimator=infonse",
      "did you mean infonce or",
    ),
    ("--config.objective.contrastive.critic.name=dot", "Unknown"),
    ("--config.objective.contrastive.weight=0.0", "expected a number above 0"),
    ("--config.data.nmae=x", "name"),
    ("--config.schedule.name=cosin", "did you mean cosine?"),
    ("--config.optimizer.clip=-1.0", "expected a norm"),
    ("--config.normalize.mean=(0.5, 0.5)", "3 channels"),
    ("--config.data.name=cifar11", "cifar10"),
    ("--config.data.split=trian", "train"),
    ("--config.evaluate.batch_size=9", "multiple of the 8 devices"),
    ("--config.evaluate.taps=('pol',)", "did you mean pool?"),
  ],
)
def test_a_mistake_gets_one_line_before_any_work(
  tmp_path, capsys, change, words
):
  workdir = tmp_path / "run"
  line = refused(capsys, "train", *SMALL, f"--workdir={workdir}", change)
  assert words in line
  assert not workdir.exists()
