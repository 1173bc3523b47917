"""Trains, probes and records runs, each in its own folder."""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import pathlib
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from infomin_jax import runtime
from infomin_jax.errors import UserError
from infomin_jax.eval.evaluate import FEATURES, evaluate
from infomin_jax.output import write_json
from infomin_jax.studies import information, store
from infomin_jax.studies.results import one_line
from infomin_jax.studies.run_spec import Line
from infomin_jax.train.checkpoint import newest
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.loop import NotFinite, Stopped, train

# The numbers of each protocol that the table shows. Others stay in `rows`.
METRICS = {
  ("information", "I(v1; v2), nats"): "shared",
  ("information", "I(v1; y), nats"): "label_nats_1",
  ("information", "I(v2; y), nats"): "label_nats_2",
  ("linear", "accuracy"): "linear",
  ("imagenet_linear", "accuracy"): "linear",
  ("segmentation", "mean_iou"): "miou",
  ("localisation", "distance, pixels"): "pixels",
  ("mlp", "accuracy"): "mlp",
  ("svm", "accuracy"): "svm",
  ("semi_supervised", "accuracy"): "semi",
  ("reconstruction", "ssim (published as MS-SSIM)"): "ssim",
  ("mine", "I(X; Y), nats"): "mine",
  ("ndm", "NDM, nats"): "ndm",
  ("attributes", "balanced_error"): "error",
}


@dataclasses.dataclass(frozen=True)
class Run:
  """One seed of a line, with the probes that are to be run.

  Attributes:
    line: the line of the table.
    seed: the seed.
    probes: changes of `config.evaluate` by the name of the probe.
    out: the folder of the study.
    tiny: whether to take the variant `:tiny` of the config.
    data_dir: folder of prepared data sets.
  """

  line: Line
  seed: int
  probes: Mapping[str, Mapping[str, Any]]
  out: pathlib.Path
  tiny: bool
  data_dir: str

  def workdir(self, name: str) -> pathlib.Path:
    """Returns the working directory of a line at this seed."""
    return self.out / "workdirs" / f"{name}-seed{self.seed}"

  def path(self, probe: str) -> pathlib.Path:
    """Returns the path of the record of a probe."""
    return store.run_path(self.out, f"{self.line.name}-{probe}", self.seed)


def work(run: Run) -> list[dict]:
  """Trains a run unless it is trained already, and records its probes.

  A run that raises an error or whose loss is not finite is recorded with the
  status `raised` or `nan`.

  Raises:
    UserError: the user can fix the cause.
  """
  config = run.line.make_config(run.tiny, seed=run.seed)
  config.data.data_dir = run.data_dir
  if run.line.after:
    generator = run.workdir(run.line.after)
    config.encoder.generator_from = str(generator)
  message, status, records = "", "done", []
  start = time.monotonic()
  experiment = make_experiment(config)
  untrained = state = experiment.init()
  if run.line.trains:
    folder = run.workdir(run.line.name)
    try:
      train(experiment, folder, lambda state: {}, command="infomin study")
      state = newest(folder, untrained)
    except NotFinite as error:
      message, status = one_line(error), "nan"
  training_seconds = time.monotonic() - start
  for probe, changes in run.probes.items():
    start, rows = time.monotonic(), []
    if not message:
      try:
        rows = _probe(run, experiment, state, untrained, changes)
      except UserError:
        raise
      except Exception as error:  # the study goes on and reports the failure
        traceback.print_exc()
        message, status = one_line(error), "raised"
    record = {
      "run": run.line.name,
      "probe": probe,
      "seed": run.seed,
      "config": run.line.config,
      "changes": {path: value for _, path, value in run.line.changes},
      "evaluate": dict(changes),
      "status": status,
      "error": message,
      "training_seconds": round(training_seconds, 2),
      "seconds": round(time.monotonic() - start, 2),
      "curve": [short(rows)] if rows else [],
      "rows": rows,
    }
    write_json(run.path(probe), record, indent=1)
    records.append(record)
  return records


def _probe(run, experiment, state, untrained, changes) -> list[dict]:
  if changes["protocols"] == (information.PROTOCOL,):
    return information.information(experiment, state)
  config = experiment.config.copy_and_resolve_references()
  changes = dict(changes)
  config.data.update(changes.pop("data", {}))
  config.evaluate.update(changes)
  folder = run.out / "pictures" / f"{run.line.name}-seed{run.seed}"
  folder.mkdir(parents=True, exist_ok=True)
  rows = evaluate(
    dataclasses.replace(experiment, config=config),
    state,
    untrained,
    folder=folder,
    features=FEATURES[2:] if run.line.trains else FEATURES[:2],
  )
  if not any(folder.iterdir()):
    folder.rmdir()
  return rows


def short(rows: list[dict]) -> dict[str, float]:
  """Returns the numbers of the table, `{mlp_y: 0.69, mlp_y_position: 0.4}`.

  The key of the first task of a data set lacks the name of the task.
  """
  numbers: dict[str, float] = {}
  first_tasks = {}
  for row in rows:
    protocol = row["protocol"].partition(" ")[0]
    name = METRICS.get((protocol, row["metric"]))
    if name is not None and row["value"] is not None:
      key = f"{name}_{row['tap']}"
      if first_tasks.setdefault(key, row["task"]) != row["task"]:
        key = f"{key}_{row['task']}"
      numbers[key] = row["value"]
  return numbers


def work_all(runs: list[Run], jobs: int) -> Iterator[list[dict]]:
  """Yields the records of each run when it ends.

  With several jobs, each job is a process with its own share of the cores. The
  log lines of all jobs go to `log.txt` in the folder of the study.
  """
  if jobs == 1 or not runs:
    yield from map(work, runs)
    return
  context = multiprocessing.get_context("spawn")
  shares = context.SimpleQueue()
  for share in core_shares(jobs):
    shares.put(share)
  log = runs[0].out / "log.txt"
  with concurrent.futures.ProcessPoolExecutor(
    jobs, context, runtime.start_worker, (shares, log)
  ) as pool:
    futures = [pool.submit(_work_or_exit, run) for run in runs]
    handler = signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
      for future in concurrent.futures.as_completed(futures):
        yield future.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      for process in multiprocessing.active_children():
        process.terminate()  # `train` saves its state first
      raise
    finally:
      signal.signal(signal.SIGTERM, handler)


def core_shares(jobs: int) -> list[list[int]]:
  """Returns the cores of each job.

  The lists are empty if the system cannot bind processes to cores.
  """
  if not hasattr(os, "sched_getaffinity"):
    return [[]] * jobs
  cores = sorted(os.sched_getaffinity(0))
  return [cores[i::jobs] or cores for i in range(jobs)]


def _work_or_exit(run: Run) -> list[dict]:
  """Calls `work`, and ends the process if a signal stopped the training."""
  try:
    return work(run)
  except Stopped as stopped:
    # Neither return nor raise: the pool would give this process its next run.
    code: Any = stopped.code
    os._exit(code)


def _exit_on_signal(number, frame):
  del frame
  raise SystemExit(128 + number)
