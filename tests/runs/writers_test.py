"""What services hold of a run, read back from their own files."""

import contextlib
import json
import math
import os
import pathlib
import signal
import sqlite3
import struct
import subprocess
import sys
import time

import jax
import pytest
from conftest import optional
from helpers import STEPS, opened, small_config
from tensorboardX.proto.event_pb2 import Event, SessionLog

from infomin_jax.errors import UserError
from infomin_jax.runs.progress import read_metrics
from infomin_jax.runs.workdir import as_json, read_config
from infomin_jax.runs.writers import check_writers
from infomin_jax.train.checkpoint import check_workdir
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.loop import train

mlflow, wandb = optional("mlflow"), optional("wandb")
pytestmark = [
  # Of MLflow's own use of SQLAlchemy.
  pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
  pytest.mark.filterwarnings("ignore:The ``noload``"),
]


@pytest.fixture(scope="module", autouse=True)
def services(tmp_path_factory):
  """MLflow with a store of its own, and W&B without a network."""
  folder = tmp_path_factory.mktemp("services")
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    patch.setenv("WANDB_MODE", "offline")
    patch.setenv("WANDB_SILENT", "true")
    yield folder / "mlflow.db"
    if wandb:
      wandb.teardown()


class Lost(Exception):
  """The machine, in the middle of a run."""


def lose(state):
  raise Lost(int(state.step))


@pytest.fixture(scope="module")
def run(tmp_path_factory, services):
  """A run that was lost after step 4, went on from step 3, and ended."""
  workdir = tmp_path_factory.mktemp("runs") / "digits"
  config = small_config("tensorboard", "wandb", "mlflow")
  experiment = make_experiment(config, jax.devices()[:1])
  with pytest.raises(Lost, match="5"):
    train(experiment, workdir, lose)
  assert [row["step"] for row in read_metrics(workdir)] == [1, 2, 3, 4]
  train(experiment, workdir, lambda state: {"knn": 0.5})
  assert [row["step"] for row in read_metrics(workdir)] == STEPS
  return workdir


def kept_id(workdir, name):
  return json.loads((workdir / "writers.json").read_text())[name]


@pytest.mark.needs("mlflow", "wandb")
def test_mlflow_has_each_line_once(run):
  client = mlflow.MlflowClient()
  found = client.get_run(kept_id(run, "mlflow"))
  assert found.info.status == "FINISHED" and found.info.run_name == "digits"
  history = client.get_metric_history(found.info.run_id, "loss")
  rows = read_metrics(run)
  assert [(x.step, x.value) for x in history] == [
    (row["step"], row["loss"]) for row in rows
  ]
  assert found.data.metrics["knn"] == 0.5
  assert found.data.params["encoder.name"] == "convnet"
  assert found.data.params["optimizer.weight_decay"] == "0.0001"
  experiment = client.get_experiment_by_name("infomin_jax")
  assert len(client.search_runs([experiment.experiment_id])) == 1


def wandb_records(path):
  """The records of a W&B file: LevelDB's log of protocol buffers."""
  from wandb.proto.wandb_internal_pb2 import Record

  data, at, whole = path.read_bytes(), 7, b""
  assert data[:4] == b":W&B"
  while at + 7 <= len(data):
    if 32768 - at % 32768 < 7:  # no header fits into the rest of a block
      at += 32768 - at % 32768
      continue
    _, size, kind = struct.unpack_from("<IHB", data, at)
    whole += data[at + 7 : at + 7 + size]
    at += 7 + size
    if kind in (1, 4):  # whole, or the last part
      yield Record.FromString(whole)
      whole = b""


@pytest.mark.needs("mlflow", "wandb")
def test_wandb_has_the_lines_under_one_name(run):
  name = kept_id(run, "wandb")
  starts = sorted((run / "wandb").glob(f"offline-run-*/run-{name}.wandb"))
  assert len(starts) == 2
  for path, steps in zip(starts, ([1, 2, 3, 4], STEPS), strict=True):
    records = list(wandb_records(path))
    (first,) = (x.run for x in records if x.HasField("run"))
    assert first.run_id == name and first.display_name == "digits"
    assert first.project == "infomin_jax"
    settings = {x.key: x.value_json for x in first.config.update}
    assert json.loads(settings["encoder"])["name"] == "convnet"
    history = [x.history for x in records if x.HasField("history")]
    assert [x.step.num for x in history] == steps
    (ended,) = (x.exit.exit_code for x in records if x.HasField("exit"))
    assert ended == (0 if steps == STEPS else 1)
  values = [
    {"/".join(x.nested_key) or x.key: x.value_json for x in line.item}
    for line in history
  ]
  losses = [row["loss"] for row in read_metrics(run)]
  assert [json.loads(x["loss"]) for x in values] == losses


def events(path):
  """The records of a TensorBoard file."""
  data, at = path.read_bytes(), 0
  while at < len(data):
    (size,) = struct.unpack_from("<Q", data, at)
    yield Event.FromString(data[at + 12 : at + 12 + size])
    at += 16 + size


@pytest.mark.needs("mlflow", "wandb")
def test_tensorboard_shows_each_line_once(run):
  """As it reads: a start forgets what was written from its step on."""
  shown = []
  for path in sorted(run.glob("events.*"), key=lambda p: p.stat().st_mtime):
    for event in events(path):
      if event.session_log.status == SessionLog.START:
        shown = [step for step in shown if step < event.step]
      shown += [event.step for x in event.summary.value if x.tag == "loss"]
  assert shown == STEPS


def test_lines_are_strict_json_and_read_as_they_were(tmp_path):
  with opened(tmp_path / "run", 0) as writer:
    writer.write(1, {"loss": 0.5, "mi_bound": math.nan, "knn": math.inf})
  path = tmp_path / "run/metrics.jsonl"
  wanted = {"step": 1, "loss": 0.5, "mi_bound": None, "knn": None}

  def forbid(word):
    raise AssertionError(word)

  assert json.loads(path.read_text(), parse_constant=forbid) == wanted
  (row,) = read_metrics(tmp_path / "run")
  assert row["loss"] == 0.5 and math.isnan(row["knn"] + row["mi_bound"])
  # Lines of before, which were not strict, are when the run goes on; half a
  # line and later steps are dropped.
  path.write_text(
    '{"step": 1, "loss": NaN}\n{"step": 2, "loss": 1.0}\n'
    '{"step": 3, "loss": 1.0}\n{"step": 4, "lo'
  )
  with opened(tmp_path / "run", 2):
    pass
  text = '{"step": 1, "loss": null}\n{"step": 2, "loss": 1.0}\n'
  assert path.read_text() == text
  path.write_text(text[:-1])  # without its last line break
  with opened(tmp_path / "run", 2) as writer:
    writer.write(3, {"loss": 1.0})
  assert [row["step"] for row in read_metrics(tmp_path / "run")] == [1, 2, 3]


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[]", "{}", "1, 2", "x"])
def test_a_damaged_line_is_named_and_nothing_is_lost(line, tmp_path):
  text = f'{{"step": 1, "loss": 1.0}}\n{line}\n{{"step": 3, "loss": 1.0}}\n'
  (tmp_path / "metrics.jsonl").write_text(text)
  with pytest.raises(
    UserError, match=r"metrics\.jsonl has no .* line 2"
  ) as why:
    with opened(tmp_path, 3):
      pass
  assert len(str(why.value).splitlines()) == 1
  assert (tmp_path / "metrics.jsonl").read_text() == text


def mlflow_steps(workdir):
  client = mlflow.MlflowClient()
  history = client.get_metric_history(kept_id(workdir, "mlflow"), "loss")
  return [metric.step for metric in history]


@pytest.mark.needs("mlflow")
def test_a_writer_chosen_later_has_the_lines_before(tmp_path):
  with opened(tmp_path / "run", 0) as writer:
    for step in (1, 2, 3):
      writer.write(step, {"loss": 0.5})
  assert not (tmp_path / "run/writers.json").exists()
  with opened(tmp_path / "run", 2, "mlflow") as writer:
    writer.write(3, {"loss": 0.25})
  assert mlflow_steps(tmp_path / "run") == [1, 2, 3]
  name = kept_id(tmp_path / "run", "mlflow")
  found = mlflow.MlflowClient().get_run(name)
  assert found.info.status == "KILLED"  # of 6 steps


@pytest.mark.needs("mlflow")
def test_lines_wait_while_mlflow_is_away(tmp_path, services, capsys):
  def rename(old, new):
    with contextlib.closing(sqlite3.connect(services)) as store:
      store.execute(f"ALTER TABLE {old} RENAME TO {new}")

  with opened(tmp_path / "run", 0, "mlflow") as writer:
    writer.write(1, {"loss": 0.5})
    rename("metrics", "away")
    writer.write(2, {"loss": 0.5})
    writer.write(3, {"loss": 0.5})
    rename("away", "metrics")
    assert mlflow_steps(tmp_path / "run") == [1]
    writer.write(4, {"loss": 0.5})
  said = capsys.readouterr().err
  assert "MLflow refuses" in said and "2 lines wait" in said
  assert mlflow_steps(tmp_path / "run") == [1, 2, 3, 4]
  assert len(read_metrics(tmp_path / "run")) == 4


@pytest.mark.needs("mlflow", "wandb")
def test_a_service_that_is_not_there_gets_one_line(tmp_path, monkeypatch):
  monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
  with pytest.raises(UserError, match="MLflow refuses") as error:
    with opened(tmp_path / "run", 0, "mlflow"):
      pass
  assert "MLFLOW_TRACKING_URI" in str(error.value)
  wandb.teardown()  # it remembers the mode
  monkeypatch.setenv("WANDB_MODE", "online")
  monkeypatch.setenv("WANDB_API_KEY", "short")
  with pytest.raises(UserError, match="Weights & Biases refuses"):
    with opened(tmp_path / "run", 0, "wandb"):
      pass
  wandb.teardown()


@pytest.mark.needs("mlflow")
def test_a_run_that_mlflow_does_not_know_is_not_begun_anew(tmp_path):
  (tmp_path / "writers.json").write_text('{"mlflow": "0123"}')
  with pytest.raises(UserError, match=r"writers\.json, its store is sqlite"):
    with opened(tmp_path, 0, "mlflow"):
      pass


def test_names_and_libraries_are_checked_first(tmp_path, monkeypatch):
  experiment = make_experiment(small_config("wand"))
  with pytest.raises(UserError, match="did you mean wandb"):
    train(experiment, tmp_path / "run", lose)
  assert not (tmp_path / "run").exists()
  with pytest.raises(UserError, match=r"expected a tuple .*\('wandb',\)"):
    check_writers("wandb")
  # As where neither is installed, and W&B's folder of runs lies about.
  (tmp_path / "wandb").mkdir()
  monkeypatch.setattr(sys, "path", [str(tmp_path)])
  for name in ("wandb", "mlflow"):
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(UserError, match=rf"infomin-jax\[{name}\]"):
      check_writers([name])


def test_a_run_from_before_writers_were_chosen_goes_on(tmp_path):
  config = small_config("tensorboard")
  old = as_json(config)
  del old["run"]["writers"]
  (tmp_path / "config.json").write_text(json.dumps(old))
  assert tuple(read_config(tmp_path).run.writers) == ("tensorboard",)
  make_experiment(read_config(tmp_path))  # as `infomin evaluate` does
  check_workdir(tmp_path, config)  # as `infomin train` does


WAITS = """
import pathlib, sys, time
sys.path.insert(0, "tests")
from helpers import opened
with opened(pathlib.Path(sys.argv[1]), 0, "wandb") as writer:
  writer.write(1, {"loss": 1.0})
  print("written", flush=True)
  time.sleep(60)
"""


def services_of(process):
  """W&B's processes that serve a process."""
  found = []
  for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    with contextlib.suppress(OSError):
      words = path.read_text().split("\0")
      if "wandb-core" in words[0] and str(process.pid) in words:
        found.append(path.parent.name)
  return found


@pytest.mark.needs("wandb")
def test_wandb_leaves_no_process_behind(tmp_path):
  env = {k: x for k, x in os.environ.items() if k != "WANDB_SERVICE"}
  numbers = {"killed": signal.SIGKILL, "stopped": signal.SIGINT}
  with contextlib.ExitStack() as stack:
    processes = {}
    for name in numbers:
      command = [sys.executable, "-c", WAITS, str(tmp_path / name)]
      process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=pathlib.Path.cwd(),
        env=env,
      )
      processes[name] = stack.enter_context(process)
    for name, process in processes.items():
      assert process.stdout.readline() == "written\n"
      assert services_of(process)
      process.send_signal(numbers[name])
  end = time.monotonic() + 20
  while any(map(services_of, processes.values())):
    assert time.monotonic() < end, "wandb-core goes on without its run"
    time.sleep(0.05)
