"""Writers of metrics: `metrics.jsonl`, and those that config.run.writers lists.

Only process 0 writes. A writer is a context manager `(workdir, config, rows)`
that yields a function of the next line. `config` is the configuration as plain
values. `rows` are the lines of earlier starts, a list that is emptied once all
writers are open.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from typing import Any

import flax.traverse_util
from tensorboardX import SummaryWriter

from infomin_jax.errors import UserError, lookup
from infomin_jax.output import replace_text, to_json, write_json
from infomin_jax.runs import health
from infomin_jax.runs.progress import METRICS, read_metrics, say, whole_lines
from infomin_jax.runs.workdir import as_json

Row = dict[str, float]
Write = Callable[[Row], None]
PROJECT = "infomin_jax"  # default project (W&B) and experiment (MLflow)
IDS = "writers.json"  # in the workdir: this run's id at each service


class MetricWriter:
  """Writes the lines of a run to all its writers, once it is opened.

  Attributes:
    rows: the newest lines; empty on processes that did not open it.
  """

  def __init__(self, workdir: pathlib.Path, config, step: int):
    self.rows = health.Recent()
    self._workdir, self._config, self._step = workdir, config, step
    self._writes: list[Write] = []

  @contextlib.contextmanager
  def opened(self) -> Generator[None]:
    """Opens the file and the writers of `config.run.writers`.

    Drops lines after the current step, since a resumed run repeats those steps.

    Raises:
      UserError: a service refuses the run.
    """
    path = self._workdir / METRICS
    rows = self._keep_lines(path)
    self.rows = health.Recent(rows)
    with path.open("a") as file, contextlib.ExitStack() as stack:

      def write_line(row: Row) -> None:
        file.write(to_json(row) + "\n")
        file.flush()

      self._writes = [write_line]
      for name in self._config.run.writers:
        writer = WRITERS[name](self._workdir, as_json(self._config), rows)
        self._writes.append(stack.enter_context(writer))
      rows.clear()  # frees memory: a long run has many lines
      yield

  def _keep_lines(self, path: pathlib.Path) -> list[Row]:
    """Drops later lines from the file; returns the rows up to the step."""
    lines, rows = whole_lines(path), read_metrics(self._workdir)
    earlier = [
      # Older runs wrote NaN and Infinity, which strict JSON does not allow.
      (to_json(row) if "NaN" in line or "Infinity" in line else line, row)
      for line, row in zip(lines, rows, strict=True)
      if row["step"] <= self._step
    ]
    text = "".join(f"{line}\n" for line, _ in earlier)
    if not path.exists() or path.stat().st_size != len(text):
      replace_text(path, text)
    return [row for _, row in earlier]

  def write(self, step: int, metrics: dict[str, float]) -> None:
    """Writes one line; `metrics` are plain numbers."""
    if not self._writes:
      return
    row = {"step": step} | {k: float(f"{v:.7g}") for k, v in metrics.items()}
    self.rows.append(row)
    for write in self._writes:
      write(row)


def check_writers(names: Iterable[str]) -> None:
  """Checks that each writer exists and that its library is installed.

  Raises:
    UserError: a writer is unknown, or its library is missing.
  """
  if isinstance(names, str):
    raise UserError(
      f"config.run.writers is {names!r}: expected a tuple of names, such as "
      f"({names!r},)."
    )
  for name in names:
    lookup("writer (config.run.writers)", name, WRITERS)
    if name in ("mlflow", "wandb"):
      spec = importlib.util.find_spec(name)
      # W&B keeps runs in a folder `wandb`, and Python would import that folder
      # as an empty package: its spec has no origin.
      if spec is None or spec.origin is None:
        raise _missing(name)


def _missing(name: str) -> UserError:
  return UserError(
    f"config.run.writers has {name!r}, which is not installed: pip install "
    f"'infomin-jax[{name}]'."
  )


@contextlib.contextmanager
def _tensorboard(
  workdir: pathlib.Path, config: dict, rows: list[Row]
) -> Generator[Write]:
  """Writes TensorBoard event files into the run's folder."""
  del config
  # TensorBoard discards what an earlier start wrote from this step on.
  next_step = int(rows[-1]["step"]) + 1 if rows else 0
  with SummaryWriter(str(workdir), purge_step=next_step) as events:

    def write(row: Row) -> None:
      for name, value in row.items():
        if name != "step":
          events.add_scalar(name, value, int(row["step"]))

    yield write


@contextlib.contextmanager
def _wandb(
  workdir: pathlib.Path, config: dict, rows: list[Row]
) -> Generator[Write]:
  """Writes to Weights & Biases, set up by its own environment variables."""
  import wandb

  try:
    run = wandb.init(
      project=os.environ.get("WANDB_PROJECT", PROJECT),
      name=workdir.resolve().name,
      id=_run_id(workdir, "wandb", lambda: uuid.uuid4().hex[:8]),
      resume="allow",
      dir=str(workdir),
      config=config,
      # A resumed run may change sections `run` and `evaluate`.
      allow_val_change=True,
      settings=wandb.Settings(console="off"),
    )
  except wandb.Error as error:
    raise UserError(_refused("Weights & Biases", error)) from error

  last = 0

  def write(row: Row) -> None:
    nonlocal last
    last = row["step"]
    # W&B still has the lines of an earlier start. They are the same as these.
    if row["step"] >= run.starting_step:
      metrics = {name: x for name, x in row.items() if name != "step"}
      run.log(metrics, step=int(row["step"]), commit=True)

  try:
    for row in rows:
      write(row)
    yield write
  finally:
    run.finish(exit_code=0 if last == config["steps"] else 1)


@contextlib.contextmanager
def _mlflow(
  workdir: pathlib.Path, config: dict, rows: list[Row]
) -> Generator[Write]:
  """Writes to MLflow, at MLFLOW_TRACKING_URI."""
  import mlflow

  try:
    client = mlflow.MlflowClient()
    run_id = _run_id(
      workdir, "mlflow", lambda: _mlflow_run(client, workdir, config)
    )
    client.update_run(run_id, status="RUNNING")
    history = client.get_metric_history(run_id, "loss")
  except ImportError as error:
    raise _missing("mlflow") from error  # a store needs SQLAlchemy
  except mlflow.MlflowException as error:
    raise UserError(
      f"{_refused('MLflow', error)} The run's id is in {workdir / IDS}, its "
      f"store is {mlflow.get_tracking_uri()} (MLFLOW_TRACKING_URI)."
    ) from error
  sent = max((metric.step for metric in history), default=-1)
  unsent = [row for row in rows if row["step"] > sent]
  last = rows[-1]["step"] if rows else 0

  def send(row: Row) -> None:
    """Sends a line, and earlier lines that could not be sent."""
    nonlocal last
    last = row["step"]
    if last > sent:
      unsent.append(row)
    try:
      while unsent:
        client.log_batch(run_id, metrics=_mlflow_metrics(unsent[0]))
        unsent.pop(0)
    except mlflow.MlflowException as error:  # training must not stop for it
      say(f"{_refused('MLflow', error)} {len(unsent)} lines wait.")

  try:
    yield send
  finally:
    status = "FINISHED" if last == config["steps"] else "KILLED"
    with contextlib.suppress(mlflow.MlflowException):
      client.set_terminated(run_id, status=status)


def _mlflow_run(client, workdir: pathlib.Path, config: dict) -> str:
  """Creates a run with its configuration; returns the run's id."""
  import mlflow.entities

  name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
  experiment = client.get_experiment_by_name(name)
  if experiment:
    number = experiment.experiment_id
  else:
    number = client.create_experiment(name)
  run = client.create_run(number, run_name=workdir.resolve().name)
  flat = flax.traverse_util.flatten_dict(config, sep=".")
  settings = [mlflow.entities.Param(k, str(x)) for k, x in flat.items()]
  for i in range(0, len(settings), 100):  # MLflow's limit per request
    client.log_batch(run.info.run_id, params=settings[i : i + 100])
  return run.info.run_id


def _mlflow_metrics(row: Row) -> list[Any]:
  import mlflow.entities

  now, step = int(time.time() * 1000), int(row["step"])
  return [
    mlflow.entities.Metric(name, value, now, step)
    for name, value in row.items()
    if name != "step"
  ]


def _run_id(workdir: pathlib.Path, name: str, make: Callable[[], str]) -> str:
  """Returns this run's id at a service; makes and saves one if needed."""
  path = workdir / IDS
  ids = json.loads(path.read_text()) if path.exists() else {}
  if name not in ids:
    ids[name] = make()
    write_json(path, ids, indent=None)
  return ids[name]


def _refused(service: str, error: Exception) -> str:
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return f"{service} refuses this run's numbers: {lines[0].rstrip('.')}."


WRITERS: dict[str, Callable] = {
  "mlflow": _mlflow,
  "tensorboard": _tensorboard,
  "wandb": _wandb,
}
