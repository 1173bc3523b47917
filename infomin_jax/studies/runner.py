"""One run: trained in a folder of its own, probed, recorded."""

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

# Of a protocol's numbers, those that the table shows; others stay in `rows`.
METRICS = {
  ("information", "I(v1; v2), nats"): "shared",
  ("information", "I(v1; y), nats"): "told1",
  ("information", "I(v2; y), nats"): "told2",
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
  """A seed of a line, and which of its probes are wanted.

  Attributes:
    line: of the table.
    seed: of it.
    probes: changes of `config.evaluate` by the probe's name.
    out: the study's folder.
    tiny: whether the config's `:tiny` is meant.
    data_dir: of prepared data sets.
  """

  line: Line
  seed: int
  probes: Mapping[str, Mapping[str, Any]]
  out: pathlib.Path
  tiny: bool
  data_dir: str

  def workdir(self, name: str) -> pathlib.Path:
    """The folder of this seed's training of a line."""
    return self.out / "workdirs" / f"{name}-seed{self.seed}"

  def path(self, probe: str) -> pathlib.Path:
    """Returns the path of a probe's record."""
    return store.run_path(self.out, f"{self.line.name}-{probe}", self.seed)


def work(run: Run) -> list[dict]:
  """Trains what is not trained, and writes the records of the run's probes.

  A run that raises, or whose loss is no longer finite, is recorded as such.

  Raises:
    UserError: what is wrong is the user's to mend.
  """
  config = run.line.make_config(run.tiny, seed=run.seed)
  config.data.data_dir = run.data_dir
  if run.line.after:
    taken = run.workdir(run.line.after)
    config.encoder.generator_from = str(taken)
  failed, status, records = "", "done", []
  began = time.monotonic()
  experiment = make_experiment(config)
  untrained = state = experiment.init()
  if run.line.trains:
    folder = run.workdir(run.line.name)
    try:
      train(experiment, folder, lambda state: {}, command="infomin study")
      state = newest(folder, untrained)
    except NotFinite as error:
      failed, status = one_line(error), "nan"
  trained = time.monotonic() - began
  for probe, changes in run.probes.items():
    began, rows = time.monotonic(), []
    if not failed:
      try:
        rows = _probe(run, experiment, state, untrained, changes)
      except UserError:
        raise
      except Exception as error:  # counted and shown
        traceback.print_exc()
        failed, status = one_line(error), "raised"
    record = {
      "run": run.line.name,
      "probe": probe,
      "seed": run.seed,
      "config": run.line.config,
      "changes": {path: value for _, path, value in run.line.changes},
      "evaluate": dict(changes),
      "status": status,
      "error": failed,
      "training_seconds": round(trained, 2),
      "seconds": round(time.monotonic() - began, 2),
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
  found = evaluate(
    dataclasses.replace(experiment, config=config),
    state,
    untrained,
    folder=folder,
    features=FEATURES[2:] if run.line.trains else FEATURES[:2],
  )
  if not any(folder.iterdir()):
    folder.rmdir()
  return found


def short(rows: list[dict]) -> dict[str, float]:
  """`{mlp_y: 0.69, mlp_y_position: 0.4}`: the table's numbers of rows.

  The first task of a set goes without its name.
  """
  found: dict[str, float] = {}
  first = {}
  for row in rows:
    protocol = row["protocol"].partition(" ")[0]
    name = METRICS.get((protocol, row["metric"]))
    if name is not None and row["value"] is not None:
      key = f"{name}_{row['tap']}"
      if first.setdefault(key, row["task"]) != row["task"]:
        key = f"{key}_{row['task']}"
      found[key] = row["value"]
  return found


def work_all(runs: list[Run], jobs: int) -> Iterator[list[dict]]:
  """The records of each run as it ends.

  Each of several jobs is a process with its share of the processor's cores;
  their log lines go to `log.txt`.
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
    waiting = [pool.submit(_work, run) for run in runs]
    before = signal.signal(signal.SIGTERM, _leave)
    try:
      for future in concurrent.futures.as_completed(waiting):
        yield future.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      for process in multiprocessing.active_children():
        process.terminate()  # `train` saves its state first
      raise
    finally:
      signal.signal(signal.SIGTERM, before)


def core_shares(jobs: int) -> list[list[int]]:
  """The cores of each job; none where the system cannot bind processes."""
  if not hasattr(os, "sched_getaffinity"):
    return [[]] * jobs
  cores = sorted(os.sched_getaffinity(0))
  return [cores[i::jobs] or cores for i in range(jobs)]


def _work(run: Run) -> list[dict]:
  """`work`, in a process that ends where a signal stops the training."""
  try:
    return work(run)
  except Stopped as stopped:
    # Returning would let it take the next run, which waits in its queue.
    code: Any = stopped.code
    os._exit(code)


def _leave(number, frame):
  del frame
  raise SystemExit(128 + number)
