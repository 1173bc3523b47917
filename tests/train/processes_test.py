"""Several processes are one run: real ones, on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from infomin_jax.errors import UserError
from infomin_jax.train import processes

SMALL = [
  "--config=configs/colorful_digits.py:tiny",
  "--config.encoder.widths=(4, 4, 4, 4)",
  "--config.batch_size=16",
  "--config.run.log_every=1",
  "--config.run.evaluate_every=1000",
  "--patience=20",
]
HOST = "127.0.0.1"


def free_port():
  with socket.socket() as s:
    s.bind((HOST, 0))
    return s.getsockname()[1]


def start(workdir, count, *more, devices=4, missing=()):
  """`infomin train` as `count` processes; the processes, and their logs."""
  port, started = free_port(), []
  for i in range(count):
    if i in missing:
      continue
    environ = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices // count)}
    if count > 1:
      values = f"{HOST}:{port}", str(count), str(i)
      environ |= dict(zip(processes.BY_HAND, values, strict=True))
    log = workdir.parent / f"{workdir.name}-{i}-of-{count}.log"
    command = [sys.executable, "-m", "infomin_jax.cli", "train", *SMALL]
    with open(log, "w") as file:
      process = subprocess.Popen(
        [*command, f"--workdir={workdir}", *more],
        env=environ,
        stdout=file,
        stderr=file,
      )
    started.append((process, log))
  return started


def finish(started):
  """Exit statuses and logs."""
  statuses = [process.wait(timeout=300) for process, _ in started]
  return statuses, [log.read_text() for _, log in started]


def metrics(workdir):
  path = workdir / "metrics.jsonl"
  rows = path.read_text().splitlines() if path.exists() else []
  return [json.loads(row) for row in rows]


def wait_for_step(started, workdir, step):
  while not any(process.poll() is not None for process, _ in started):
    if len(metrics(workdir)) >= step:
      return
    time.sleep(0.02)
  raise AssertionError(started[0][1].read_text())


def finished(workdir, count):
  """Metrics of a run of six steps by so many processes."""
  statuses, logs = finish(start(workdir, count, "--config.steps=6"))
  assert statuses == [0] * count, logs
  assert all("step 6/6" not in log for log in logs[1:])
  rows = metrics(workdir)
  assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
  return rows


def same(rows, wanted):
  for key in ("loss", "grad_norm"):
    want, got = ([row[key] for row in run] for run in (wanted, rows))
    np.testing.assert_allclose(got, want, rtol=2e-5, err_msg=key)
  np.testing.assert_allclose(rows[0]["loss"], wanted[0]["loss"], rtol=1e-6)


@pytest.mark.slow
def test_it_is_the_run_of_one_process(tmp_path):
  alone, two = (finished(tmp_path / str(count), count) for count in (1, 2))
  same(two, alone)
  assert two[-1].keys() >= {"mi_bound", "knn", "linear"}
  read_elsewhere(tmp_path)


def read_elsewhere(folder):
  """One process with one device reads what four devices have saved."""
  found = []
  for name in ("1", "2"):
    out = folder / f"{name}.safetensors"
    words = f"--workdir={folder / name}", "--format=safetensors", f"--out={out}"
    subprocess.run(
      [sys.executable, "-m", "infomin_jax.cli", "export", *words],
      env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
      check=True,
    )
    found.append(load_file(out))
  assert found[0].keys() == found[1].keys()
  for key, array in found[0].items():
    np.testing.assert_allclose(found[1][key], array, atol=1e-5, err_msg=key)


@pytest.mark.long
def test_four_processes_begin_and_two_take_over(tmp_path):
  alone = finished(tmp_path / "alone", 1)
  workdir = tmp_path / "elastic"
  begun = start(
    workdir, 4, "--config.steps=6", "--config.run.checkpoint_every=1"
  )
  wait_for_step(begun, workdir, 3)
  begun[2][0].send_signal(signal.SIGTERM)
  statuses, logs = finish(begun)
  if statuses != [0] * 4:  # unless it was done already
    assert statuses == [128 + signal.SIGTERM] * 4, logs
    statuses, logs = finish(start(workdir, 2, "--config.steps=6"))
    assert statuses == [0, 0], logs
    assert "Continuing" in logs[0]
  same(metrics(workdir), alone)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path):
  workdir = tmp_path / "run"
  often = ["--config.steps=400", "--config.run.checkpoint_every=2"]
  begun = start(workdir, 2, *often, devices=2)
  wait_for_step(begun, workdir, 4)
  begun[1][0].kill()
  began = time.monotonic()
  statuses, logs = finish(begun)
  assert time.monotonic() - began < 40
  # In a step it is seen at once, in a save JAX aborts after its patience.
  said = {
    processes.LOST: "Start the same command again",
    -signal.SIGABRT: "another task died",
  }
  assert statuses[1] == -signal.SIGKILL
  assert said[statuses[0]] in logs[0]
  done = len(metrics(workdir))
  more = start(workdir, 1, *often, devices=1)
  wait_for_step(more, workdir, done + 2)
  more[0][0].send_signal(signal.SIGTERM)
  statuses, logs = finish(more)
  assert statuses == [128 + signal.SIGTERM] and "Continuing" in logs[0]


@pytest.mark.slow
def test_a_stopped_process_ends_the_others(tmp_path):
  begun = start(
    tmp_path / "run", 2, "--config.steps=100000", "--patience=10", devices=2
  )
  wait_for_step(begun, tmp_path / "run", 2)
  begun[1][0].send_signal(signal.SIGSTOP)
  try:
    status = begun[0][0].wait(timeout=60)
  finally:
    begun[1][0].kill()
    begun[1][0].wait()
  assert status != 0
  assert "another task died" in begun[0][1].read_text()


@pytest.mark.slow
def test_a_process_that_never_comes_ends_the_others(tmp_path):
  begun = start(tmp_path / "run", 2, "--patience=8", devices=2, missing=[1])
  statuses, logs = finish(begun)
  assert statuses == [processes.LOST]
  assert "not all processes have come within 8 s" in logs[0].splitlines()[-1]
  assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_mistake_is_said_once_and_ends_all(tmp_path):
  workdir = tmp_path / "run"
  workdir.mkdir()
  (workdir / "mine.txt").write_text("mine")
  statuses, logs = finish(start(workdir, 2, devices=2))
  assert statuses == [2, 2]
  assert "is not empty and holds no config.json" in logs[0].splitlines()[-1]
  assert "process 0 printed the reason" in logs[1].splitlines()[-1]
  assert [path.name for path in workdir.iterdir()] == ["mine.txt"]


def by_hand(address=f"{HOST}:1234", count="2", number="1"):
  return dict(zip(processes.BY_HAND, (address, count, number), strict=True))


def test_what_started_the_processes_is_read_from_the_environment():
  assert processes.asked({}) is None
  assert processes.asked(by_hand()) == {
    "coordinator_address": f"{HOST}:1234",
    "num_processes": 2,
    "process_id": 1,
  }
  slurm = {"SLURM_STEP_NODELIST": "a[1-2]", "SLURM_PROCID": "0"}
  several = {"SLURM_NTASKS": "2"}
  assert processes.asked(slurm | {"SLURM_NTASKS": "1"}) is None
  assert processes.asked(several) is None  # in an allocation, outside srun
  assert processes.asked(slurm | several) == {
    "cluster_detection_method": "slurm"
  }
  assert processes.asked({"OMPI_COMM_WORLD_SIZE": "3"}) == {
    "cluster_detection_method": "ompi"
  }


@pytest.mark.parametrize(
  "environ, words",
  [
    (by_hand(number=""), "JAX_PROCESS_ID missing from the environment"),
    (by_hand(number="2"), "JAX_PROCESS_ID is '2'"),
    (by_hand(count="two"), "JAX_NUM_PROCESSES is 'two'"),
    (by_hand(address="here"), "expected HOST:PORT"),
  ],
)
def test_half_an_environment_is_refused(environ, words):
  with pytest.raises(UserError, match=words):
    processes.asked(environ)
