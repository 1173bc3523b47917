"""Checkpoints of a run (Orbax) and the record of its configuration.

A run's folder holds `config.json` and `checkpoints/<step>`. The position in the
data is the step, so a checkpoint is the state and nothing else.
"""

import contextlib
import json
import pathlib
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from infomin_jax.errors import UserError
from infomin_jax.train.state import TrainState

# May differ between two starts of one run: they do not change its result.
FREE = ("run", "evaluate")


class Checkpoints:
  """The checkpoints of one run; saving goes on while training does."""

  def __init__(self, workdir: str | pathlib.Path, keep: int = 2):
    self.folder = pathlib.Path(workdir).absolute() / "checkpoints"
    self._manager = ocp.CheckpointManager(
      self.folder,
      options=ocp.CheckpointManagerOptions(max_to_keep=keep),
    )

  def latest(self) -> int | None:
    """The step of the newest complete checkpoint, if there is one."""
    return self._manager.latest_step()

  def save(self, state: TrainState) -> None:
    """Starts to save; returns once the arrays have been copied."""
    step = int(state.step)
    if step not in self._manager.all_steps():
      self._manager.save(step, args=ocp.args.StandardSave(state))

  def restore(self, like: TrainState, step: int | None = None) -> TrainState:
    """The state at `step` (default: newest), placed as `like` is."""
    step = self._newest() if step is None else step
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    args: Any = ocp.args.StandardRestore(abstract)
    restored: Any = self._manager.restore(step, args=args)
    return restored

  def _newest(self) -> int:
    step = self.latest()
    if step is None:
      raise UserError(
        f"No checkpoint in {self.folder}: expected one of `infomin train`."
      )
    return step

  def read(self) -> dict:
    """The newest state's arrays, in host memory, without knowing its shape."""
    args: Any = ocp.args.StandardRestore()
    found: Any = self._manager.restore(self._newest(), args=args)
    return jax.device_get(found)

  def close(self) -> None:
    """Waits for the save that is under way."""
    self._manager.wait_until_finished()
    self._manager.close()


def newest(workdir: str | pathlib.Path, like: TrainState) -> TrainState:
  """The last state that a run has saved, placed as `like` is."""
  with contextlib.closing(Checkpoints(workdir)) as checkpoints:
    return checkpoints.restore(like)


def saved(workdir: str | pathlib.Path) -> TrainState:
  """The last state that a run has saved, as plain mappings of arrays."""
  with contextlib.closing(Checkpoints(workdir)) as checkpoints:
    return TrainState(**checkpoints.read())


def open_workdir(workdir: str | pathlib.Path, config) -> pathlib.Path:
  """Makes the run's folder, or checks that it holds a run of this config.

  Raises:
    UserError: the folder holds another configuration (the keys that differ are
      named) or files that no run of ours wrote. Nothing is changed then.
  """
  workdir = pathlib.Path(workdir)
  path = workdir / "config.json"
  new = json.loads(config.to_json())
  if path.exists():
    old = read_config(workdir).to_dict()
    changed = [
      f"{key} ({old_value!r} there, {new_value!r} now)"
      for key, old_value, new_value in differences(old, new)
      if key.split(".")[0] not in FREE
    ]
    if changed:
      raise UserError(
        f"--workdir {workdir} holds a run of another config: "
        f"{', '.join(changed)}. Use a new workdir, or the config it began with."
      )
  elif workdir.exists() and any(workdir.iterdir()):
    raise UserError(
      f"--workdir {workdir} is not empty and holds no config.json: expected a "
      "new folder or one that `infomin train` made."
    )
  workdir.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(new, indent=2) + "\n")
  return workdir


def read_config(workdir: str | pathlib.Path) -> ml_collections.ConfigDict:
  """The configuration that `infomin train` wrote into the run's folder."""
  path = pathlib.Path(workdir) / "config.json"
  if not path.exists():
    raise UserError(
      f"--workdir {workdir} holds no config.json: expected a folder made by "
      "`infomin train`."
    )
  try:
    return ml_collections.ConfigDict(json.loads(path.read_text()))
  except json.JSONDecodeError as error:
    raise UserError(f"{path} is not valid JSON: {error}.") from error


def differences(old: dict, new: dict, prefix: str = "") -> list[tuple]:
  """`(dotted key, old value, new value)` of every entry that differs."""
  rows = []
  for key in sorted(old.keys() | new.keys()):
    a, b = old.get(key, "nothing"), new.get(key, "nothing")
    if isinstance(a, dict) and isinstance(b, dict):
      rows += differences(a, b, f"{prefix}{key}.")
    elif a != b and json.dumps(a) != json.dumps(b):
      rows.append((prefix + key, a, b))
  return rows
