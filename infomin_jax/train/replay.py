"""Saves the state before a non-finite step, and replays that step.

A run is a function of its configuration, the state and the step. So the state
before the step is enough: `replay` uses the same records with the same keys.
"""

import contextlib
import dataclasses
import functools
import io
import pathlib
import traceback
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax import data
from infomin_jax.errors import UserError
from infomin_jax.objectives.encoding import slices_of
from infomin_jax.output import read_json, write_json
from infomin_jax.paths import local
from infomin_jax.runs.workdir import read_config
from infomin_jax.train.checkpoint import Checkpoints, newest
from infomin_jax.train.experiment import Experiment, make_experiment
from infomin_jax.train.state import TrainState
from infomin_jax.train.step import take

FOLDER = "capsule"


def keep(
  experiment: Experiment, workdir: pathlib.Path, state: TrainState
) -> str:
  """Saves the state before a non-finite step, in the run's folder.

  Args:
    experiment: the run's parts.
    workdir: the run's folder.
    state: the state that `make_train_step` kept, with a negative step.

  Returns:
    A message for the user.
  """
  config, folder = experiment.config, workdir / FOLDER
  step = -int(state.step)  # counted from 1
  # The number of steps before the broken one, as `fold_in` and the data need.
  state = dataclasses.replace(state, step=-state.step - 1)
  with contextlib.closing(Checkpoints(folder)) as capsule:
    capsule.save(state)
  batches = data.indices(
    len(experiment.source),
    seed=config.seed,
    batch_size=config.batch_size,
    start_step=step - 1,
  )
  rows = {"step": step, "seed": config.seed, "records": next(batches).tolist()}
  if jax.process_index() == 0:
    write_json(folder / "step.json", rows, indent=None)
  return (
    f"The loss or its gradient is not finite at step {step}. The state before "
    f"it and the batch's records are in {folder}: infomin replay --workdir "
    f"{workdir} shows where it broke. Try a lower config.schedule.peak, or "
    "config.optimizer.clip."
  )


def replay(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Replays the step that a run's capsule holds, on one device.

  Returns:
    `step`, `records`, `loss` and `metrics` of the step. `views` holds the
    lowest and highest value of each view. `parameters` and `gradients` hold the
    largest magnitude of each array, non-finite ones first. `where` is the
    source line of the first number that is not finite, or "" if all are finite
    here.

  Raises:
    UserError: the folder has no capsule, or the data are missing.
  """
  folder = local("workdir", workdir) / FOLDER
  config = read_config(workdir)
  if not (folder / "step.json").exists():
    raise UserError(
      f"--workdir {workdir} holds no {FOLDER}: a run makes one if its loss is "
      "not finite."
    )
  broken = read_json(folder / "step.json")
  experiment = make_experiment(config, jax.devices()[:1])
  state = newest(folder, experiment.init())
  step = int(state.step)
  with contextlib.closing(experiment.batches(step)) as batches:
    batch = take(experiment.resident, next(batches))
  parts, result = config.accumulate, {}

  def key_of(part):  # as in `make_train_step`
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    return key if parts == 1 else jax.random.fold_in(key, part)

  for i, piece in enumerate(_pieces(batch, parts)):
    own = functools.partial(key_of, i)
    result = _report(experiment, state, piece, own)
    if result["where"]:
      break
  return {"step": broken["step"], "records": broken["records"], **result}


def _pieces(batch: dict, parts: int):
  if parts == 1:
    return [batch]
  cut = slices_of(batch, parts)
  return [jax.tree.map(lambda x, i=i: x[i], cut) for i in range(parts)]


def _report(experiment, state, batch, key) -> dict[str, Any]:
  def objective(params):
    return experiment.objective(params, state.stats, batch, key())

  def make_views(batch):
    return experiment.views(jax.random.split(key())[0], batch)

  gradients = jax.jit(jax.value_and_grad(objective, has_aux=True))
  (loss, (_, metrics)), grads = gradients(state.params)
  views = jax.jit(make_views)(batch)
  return {
    "loss": float(loss),
    "metrics": {name: float(x) for name, x in metrics.items()},
    "views": [[float(jnp.min(x)), float(jnp.max(x))] for x in views],
    "parameters": _largest(state.params),
    "gradients": _largest(grads),
    "where": _where(jax.value_and_grad(objective, has_aux=True), state.params),
  }


def _largest(tree) -> dict[str, float]:
  """Lists the largest magnitude of each array, NaN first, then descending."""
  magnitudes = {
    jax.tree_util.keystr(path, simple=True, separator="."): float(
      jnp.max(jnp.abs(x))
    )
    for path, x in jax.tree_util.tree_leaves_with_path(tree)
  }
  order = sorted(
    magnitudes, key=lambda name: -np.nan_to_num(magnitudes[name], nan=np.inf)
  )
  return {name: magnitudes[name] for name in order}


def _where(function, params) -> str:
  """Returns the source line of the first NaN or infinity, or ""."""
  try:
    # JAX prints to standard output that it runs the function again, operation
    # by operation.
    with (
      jax.debug_nans(True),
      jax.debug_infs(True),
      contextlib.redirect_stdout(io.StringIO()),
    ):
      jax.block_until_ready(jax.jit(function)(params))
  except FloatingPointError as error:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "infomin_jax" in f.filename] or frames
    last = own[-1]
    what = str(error).splitlines()[0]
    place = pathlib.Path(last.filename).name
    return f"{place}:{last.lineno}, {last.line}: {what}"
  return ""
