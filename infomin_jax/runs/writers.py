"""Where a run's numbers go: metrics.jsonl always, and what config.run names.

Only process 0 writes. A writer is a context manager `(workdir, config, rows)`:
the run's folder, its configuration as plain values and the lines of its earlier
starts, a list that is emptied once all writers are open. What it gives is a
function that takes the next line.
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
PROJECT = "infomin_jax"  # where neither service is told another name
IDS = "writers.json"  # in the workdir: a service's name for this run


class MetricWriter:
  """The lines of a run; it writes nothing until it is opened.

  Attributes:
    rows: the newest lines, on the process that opened it; none on others.
  """

  def __init__(self, workdir: pathlib.Path, config, step: int):
    self.rows = health.Recent()
    self._workdir, self._config, self._step = workdir, config, step
    self._writes: list[Write] = []

  @contextlib.contextmanager
  def opened(self) -> Generator[None]:
    """Opens the file and the writers of `config.run.writers`.

    Lines past the step are dropped: a resumed run does their steps again.

    Raises:
      UserError: a service does not take the run.
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
      rows.clear()  # a long run has many
      yield

  def _keep_lines(self, path: pathlib.Path) -> list[Row]:
    """Returns the rows up to the step, after dropping others from the file."""
    lines, rows = whole_lines(path), read_metrics(self._workdir)
    kept = [
      # Older runs wrote NaN and Infinity, which are not JSON.
      (to_json(row) if "NaN" in line or "Infinity" in line else line, row)
      for line, row in zip(lines, rows, strict=True)
      if row["step"] <= self._step
    ]
    text = "".join(f"{line}\n" for line, _ in kept)
    if not path.exists() or path.stat().st_size != len(text):
      replace_text(path, text)
    return [row for _, row in kept]

  def write(self, step: int, metrics: dict[str, float]) -> None:
    """Writes one line; `metrics` are plain numbers."""
    if not self._writes:
      return
    row = {"step": step} | {k: float(f"{v:.7g}") for k, v in metrics.items()}
    self.rows.append(row)
    for write in self._writes:
      write(row)


def check_writers(names: Iterable[str]) -> None:
  """Refuses unknown writers, and those whose library is not here.

  Raises:
    UserError: one of `config.run.writers`.
  """
  if isinstance(names, str):
    raise UserError(
      f"config.run.writers is {names!r}: expected a tuple of names, such as "
      f"({names!r},)."
    )
  for name in names:
    lookup("writer (config.run.writers)", name, WRITERS)
    if name in ("mlflow", "wandb"):
      found = importlib.util.find_spec(name)
      # W&B keeps runs in a folder of its own name, which Python would import.
      if found is None or found.origin is None:
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
  """Event files in the run's folder."""
  del config
  # TensorBoard forgets what an earlier start wrote from this step on.
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
  """Weights & Biases, as its own environment variables say."""
  import wandb

  try:
    run = wandb.init(
      project=os.environ.get("WANDB_PROJECT", PROJECT),
      name=workdir.resolve().name,
      id=_run_id(workdir, "wandb", lambda: uuid.uuid4().hex[:8]),
      resume="allow",
      dir=str(workdir),
      config=config,
      allow_val_change=True,  # of how often it logs, for example
      settings=wandb.Settings(console="off"),
    )
  except wandb.Error as error:
    raise UserError(_refused("Weights & Biases", error)) from error

  last = 0

  def write(row: Row) -> None:
    nonlocal last
    last = row["step"]
    # W&B keeps the lines of an earlier start, which were the same.
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
  """MLflow, at MLFLOW_TRACKING_URI."""
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
    """Writes a line, and those that it has not taken before."""
    nonlocal last
    last = row["step"]
    if last > sent:
      unsent.append(row)
    try:
      while unsent:
        client.log_batch(run_id, metrics=_mlflow_metrics(unsent[0]))
        unsent.pop(0)
    except mlflow.MlflowException as error:  # the run goes on without it
      say(f"{_refused('MLflow', error)} {len(unsent)} lines wait.")

  try:
    yield send
  finally:
    status = "FINISHED" if last == config["steps"] else "KILLED"
    with contextlib.suppress(mlflow.MlflowException):
      client.set_terminated(run_id, status=status)


def _mlflow_run(client, workdir: pathlib.Path, config: dict) -> str:
  """A new run, of which the configuration is known; its id."""
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
  for i in range(0, len(settings), 100):  # as many as it takes at once
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
  """A service's name for this run: the kept one, or a new one, then kept."""
  path = workdir / IDS
  known = json.loads(path.read_text()) if path.exists() else {}
  if name not in known:
    known[name] = make()
    write_json(path, known, indent=None)
  return known[name]


def _refused(service: str, error: Exception) -> str:
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return f"{service} refuses this run's numbers: {lines[0].rstrip('.')}."


WRITERS: dict[str, Callable] = {
  "mlflow": _mlflow,
  "tensorboard": _tensorboard,
  "wandb": _wandb,
}
