"""The training loop: steps, log lines, checkpoints, signals and summary."""

import contextlib
import os
import pathlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from infomin_jax import provenance
from infomin_jax.errors import UserError
from infomin_jax.objectives import check_data
from infomin_jax.output import number, read_json, write_json
from infomin_jax.paths import local
from infomin_jax.runs import health
from infomin_jax.runs.progress import Progress, memory_bytes, read_metrics, say
from infomin_jax.runs.writers import MetricWriter, check_writers
from infomin_jax.train import longer, processes, replay
from infomin_jax.train.checkpoint import Checkpoints, opened_workdir
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState

_AHEAD = 2  # steps that may be dispatched and unfinished


class NotFinite(UserError):
  """The loss or its gradient became infinite or NaN."""


class Stopped(SystemExit):
  """Training ended early because of a signal; the state is saved."""


def train(
  experiment: Experiment,
  workdir: str | pathlib.Path,
  monitor: Callable[[TrainState], dict[str, float]],
  command: str = "",
) -> dict:
  """Trains the run in `workdir`, or continues it from its newest checkpoint.

  Args:
    experiment: what to train.
    workdir: the run's folder; created if absent.
    monitor: `state -> {metric: number}`, called every
      `config.run.evaluate_every` steps and at the end.
    command: the command line that started the run, for its summary.

  Returns:
    The summary that is also written to `summary.json`.

  Raises:
    UserError: the folder belongs to another config, or is in use; a writer of
      metrics is unknown, or its library is not installed.
    NotFinite: the loss or its gradient is not finite.
    Stopped: SIGTERM or SIGINT came. The state is saved, and the exit status is
      128 + signal.
  """
  config = experiment.config
  check_writers(config.run.writers)
  if config.steps < 1:
    raise UserError(f"config.steps is {config.steps}: expected 1 or more.")
  for line in check_data(
    experiment.learner.terms,
    len(experiment.source),
    config.batch_size // config.accumulate,
  ):
    say(f"Advice: {line}")
  workdir = local("workdir", workdir)
  begun = longer.steps_done(workdir) > 0
  # Read before the folder is made, so that weights that do not fit are refused
  # without leaving anything behind.
  own = {} if begun else experiment.own_weights()
  with contextlib.ExitStack() as stack:
    opened = opened_workdir(workdir, experiment.config)
    processes.first_alone(lambda: stack.enter_context(opened))
    return _train(experiment, workdir, monitor, command, own)


def _train(experiment, workdir, monitor, command, own) -> dict:
  """Trains in a folder that is checked and locked; see `train`."""
  config = experiment.config
  if jax.process_count() > 1:
    say(f"{jax.process_count()} processes, {jax.device_count()} devices.")
  for name, form in experiment.forms().items():
    say(f"config.objective.{name}: {form}.")
  compiled = _CompileCount()
  with contextlib.closing(Checkpoints(workdir, config.run.keep)) as checkpoints:
    state = experiment.init(own)
    if checkpoints.latest() is not None:
      state = checkpoints.restore(state)
      checkpoints.set_aside(step := int(state.step))
      say(f"Continuing {workdir} at step {step}.")
      if step < config.steps:
        processes.first_alone(lambda: longer.set_aside(workdir, step))
      elif not read_metrics(workdir):
        raise UserError(
          f"{workdir} was not trained here, and step {step} of {config.steps} "
          "is its last. To train from its weights, use a new workdir with "
          f"--config.init_from={workdir}."
        )
    elif rows := read_metrics(workdir):
      say(
        f"{workdir} ended at step {rows[-1]['step']} or later with nothing "
        "saved (config.run.checkpoint_every is "
        f"{config.run.checkpoint_every}): training begins again at step 0."
      )
    writer = MetricWriter(workdir, config, int(state.step))
    with contextlib.ExitStack() as stack:
      processes.first_alone(lambda: stack.enter_context(writer.opened()))
      stopped = _steps(experiment, workdir, state, checkpoints, monitor, writer)
  if stopped:
    raise Stopped(128 + stopped)
  return _summarise(workdir, config, compiled, command)


def _steps(experiment, workdir, state, checkpoints, monitor, writer) -> int:
  """Runs the remaining steps; returns the signal that ended them, or 0."""
  config, run = experiment.config, experiment.config.run
  start = int(state.step)
  train_step = experiment.step()
  window = _Window(config.batch_size, writer.rows)
  advised: set[str] = set()
  with (
    contextlib.closing(experiment.batches(start)) as batches,
    Progress(config.steps, start) as progress,
    _Signals() as signals,
    processes.together(),
  ):
    for step in range(start + 1, config.steps + 1):
      batch = window.wait_for(batches)
      state, metrics = train_step(state, batch, experiment.resident)
      window.add(metrics)
      stopped = signals.stops(step)
      last = step == config.steps or stopped
      evaluates = step % run.evaluate_every == 0 or step == config.steps
      saves = step % run.checkpoint_every == 0 or last
      if step % run.log_every == 0 or evaluates or saves:
        row = window.close()
        # `make_train_step` marks a step that broke by the sign of the counter
        # and keeps the state before it, so a check per log line is enough.
        if int(state.step) < 0:
          raise NotFinite(replay.keep(experiment, workdir, state))
        row["learning_rate"] = float(experiment.learning_rate(step - 1))
        if evaluates and not stopped:
          began = time.monotonic()
          row |= monitor(state)
          row["evaluation_seconds"] = time.monotonic() - began
        # The line is written before the checkpoint. A resumed run drops the
        # lines after its checkpoint, so no line is ever missing or duplicated.
        writer.write(step, row)
        if saves:
          checkpoints.save(state)
        left = (config.steps - step) * config.batch_size
        progress.show(step, _line(row), left / row["images_per_second"])
        for advice in health.advise(writer.rows, config):
          if advice.rule not in advised:
            say(f"Advice: {advice}")
            advised.add(advice.rule)
        # Opened only now: evaluations and saves are not time of steps.
        window.open()
      else:
        progress.advance(step)
      if stopped:
        say(
          f"Stopped and saved at step {step}. Run the same command again to "
          "resume."
        )
        return stopped
  return 0


class _Window:
  """The steps since the last log line.

  Their metrics stay on the device until `close`, so that a step does not wait
  for a transfer.
  """

  def __init__(self, batch_size: int, before: Sequence[Mapping[str, Any]] = ()):
    self._batch_size = batch_size
    # A resumed run adds its seconds to those of earlier starts.
    spent = before[-1]["seconds"] if before else 0.0
    self._began = time.monotonic() - spent
    self.open()

  def open(self) -> None:
    self._rows = []
    self._waited = 0.0
    self._opened = time.monotonic()

  def wait_for(self, batches) -> dict:
    before = time.monotonic()
    batch = next(batches)
    self._waited += time.monotonic() - before
    return batch

  def add(self, metrics: dict) -> None:
    self._rows.append(metrics)
    # JAX dispatches steps asynchronously. If the host ran far ahead, the queued
    # steps would still run after SIGTERM, for longer than schedulers wait
    # before SIGKILL.
    if len(self._rows) > _AHEAD:
      jax.block_until_ready(self._rows[-1 - _AHEAD])

  def close(self) -> dict[str, float]:
    """Returns mean metrics and rates of the window."""
    # One transfer for all rows of the window.
    rows = jax.device_get(self._rows)
    now = time.monotonic()
    seconds = max(now - self._opened, 1e-9)
    row = {
      name: float(np.mean([metrics[name] for metrics in rows]))
      for name in rows[0]
    }
    return row | {
      "seconds": now - self._began,
      "images_per_second": len(rows) * self._batch_size / seconds,
      "input_wait_share": self._waited / seconds,
      "memory_bytes": float(memory_bytes()),
    }


class _Signals:
  """Notes SIGTERM and SIGINT while open, so that a run ends after a full step.

  If a run has several processes, any of them may get the signal. JAX then
  agrees on a step at which all stop, and handles SIGTERM itself.
  """

  def __enter__(self):
    self._caught = 0
    self._alone = jax.process_count() == 1
    caught = (signal.SIGTERM, signal.SIGINT)[0 if self._alone else 1 :]
    self._before = {which: signal.signal(which, self._note) for which in caught}
    return self

  def _note(self, number, frame):
    del frame
    self._caught = number
    if not self._alone:
      # JAX's agreement starts on SIGTERM only, so SIGINT is passed on as one.
      os.kill(os.getpid(), signal.SIGTERM)

  def stops(self, step: int) -> int:
    """Returns the signal that ends the run after this step, or 0."""
    if self._alone:
      return self._caught
    return signal.SIGTERM if processes.stop_agreed(step) else 0

  def __exit__(self, *_):
    for which, handler in self._before.items():
      signal.signal(which, handler)


class _CompileCount:
  """Counts compiled programs and programs from the persistent cache."""

  def __init__(self):
    self.counts = {"cache_misses": 0, "cache_hits": 0}
    jax.monitoring.register_event_listener(self._note)

  def _note(self, event: str, **_):
    name = event.rsplit("/", 1)[-1]
    if name in self.counts:
      self.counts[name] += 1


def _line(row: dict[str, float]) -> str:
  """Returns the figures of the progress line."""
  parts = [f"loss {number(row['loss'], 4)}"]
  if "mi_bound" in row:
    parts.append(
      f"held-out MI >= {number(row['mi_bound'])} of at most "
      f"{number(row['mi_ceiling'])} nats"
    )
  parts += [f"{k} {row[k]:.3f}" for k in ("knn", "linear") if k in row]
  parts += [
    f"{row['images_per_second']:.0f} images/s",
    f"input wait {row['input_wait_share']:.0%}",
    f"{row['memory_bytes'] / 2**20:.0f} MiB",
  ]
  return "  ".join(parts)


def _summarise(
  workdir: pathlib.Path, config, compiled: _CompileCount, command: str
) -> dict:
  """Writes and returns `summary.json`: final metrics, devices, versions."""
  path = workdir / "summary.json"

  def write():
    rows = read_metrics(workdir)
    summary = {
      "command": command,
      "steps": config.steps,
      "final": rows[-1] if rows else {},
      "compiled": compiled.counts["cache_misses"],
      "compiled_before": compiled.counts["cache_hits"],
      "processes": jax.process_count(),
      "devices": jax.device_count(),
      "device": jax.devices()[0].device_kind,
      "versions": provenance.versions(),
    }
    write_json(path, summary)

  processes.first_alone(write)
  return read_json(path)
