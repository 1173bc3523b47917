"""Checkpoints of a run (Orbax), and whether a folder can take a run.

A run's folder holds `config.json` and `checkpoints/<step>`. The position in the
data is the step, so a checkpoint is the state and nothing else.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Generator
from typing import Any

import filelock
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from infomin_jax.errors import UserError
from infomin_jax.output import write_json
from infomin_jax.paths import local
from infomin_jax.runs.progress import say
from infomin_jax.runs.workdir import ORIGIN, as_json, differences, read_config
from infomin_jax.train import longer
from infomin_jax.train.fingerprint import array_fingerprint, fingerprint
from infomin_jax.train.state import TrainState
from infomin_jax.views.augment import RANDAUGMENT

# May differ between two starts of one run: they do not change its result.
FREE = ("run", "evaluate")
_ITEM = "default"  # the folder that Orbax makes in that of a step
LOCK = "lock"  # the file that a training process holds


class Checkpoints:
  """The checkpoints of one run; saving goes on while training does.

  Args:
    workdir: of the run.
    keep: how many are kept.
    read_only: leave the folder as it is, which may be of somebody else.
  """

  def __init__(
    self,
    workdir: str | pathlib.Path,
    keep: int = 2,
    read_only: bool = False,
  ):
    self.folder = local("workdir", workdir).absolute() / "checkpoints"
    self._manager = ocp.CheckpointManager(
      self.folder,
      options=ocp.CheckpointManagerOptions(
        max_to_keep=keep, create=not read_only
      ),
    )

  def latest(self) -> int | None:
    """The step of the newest complete checkpoint, if there is one."""
    return self._manager.latest_step()

  def save(self, state: TrainState) -> None:
    """Starts to save; returns once the arrays have been copied."""
    step = int(state.step)
    if step not in self._manager.all_steps():
      saved = {"state": state, "fingerprint": fingerprint(state)}
      with self._saving():
        self._manager.save(step, args=ocp.args.StandardSave(saved))

  def restore(self, like: TrainState) -> TrainState:
    """The newest state that can be read, placed as `like` is.

    Raises:
      UserError: there is none.
    """
    wanted = {"state": like, "fingerprint": fingerprint(like)}
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, wanted)

    def numbers(state: TrainState) -> np.ndarray:
      return np.asarray(fingerprint(state))

    args: Any = ocp.args.StandardRestore(abstract)
    return self._newest_whole(lambda step: args, numbers)

  def read(self) -> dict:
    """The newest state that can be read, as mappings of numpy's arrays.

    Neither its shapes nor the devices it was saved from need be known.

    Raises:
      UserError: there is none.
    """

    def args(step: int) -> Any:
      folder: Any = self.folder / str(step) / _ITEM
      stored: Any = ocp.PyTreeCheckpointHandler().metadata(folder)
      # By default each array goes back to the devices that it came from.
      to_host = ocp.RestoreArgs(restore_type=np.ndarray)
      return ocp.args.PyTreeRestore(
        restore_args=jax.tree.map(lambda _: to_host, stored.tree)
      )

    def numbers(state: dict) -> np.ndarray:
      # In numpy: a program of this many arrays takes longer to compile.
      return np.array(
        [array_fingerprint(x, np) for x in jax.tree.leaves(state)]
      )

    return self._newest_whole(args, numbers)

  def _newest_whole(
    self,
    args: Callable[[int], Any],
    numbers: Callable[[Any], np.ndarray],
  ) -> Any:
    """The newest state whose numbers are those that were saved.

    Args:
      args: `step -> what Orbax needs to restore it`.
      numbers: `state -> its fingerprint`.
    """
    self._newest()
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        found: Any = self._manager.restore(step, args=args(step))
        # Orbax notices missing and truncated files, but no changed number.
        # Plain mappings have their arrays in another order than a state.
        saved, seen = found["fingerprint"], numbers(found["state"])
        if not np.array_equal(np.sort(saved), np.sort(seen)):
          raise ValueError("its numbers are not those that were saved")
        return found["state"]
      except Exception as error:  # Orbax raises bare ones too
        why = _first_line(error)
        say(f"The checkpoint of step {step} cannot be read ({why}).")
    raise UserError(f"No checkpoint in {self.folder} can be read.")

  def set_aside(self, after: int) -> None:
    """Moves what cannot be read out of the way: checkpoints after a step."""
    damaged = self.folder.with_name("damaged")
    for step in self._manager.all_steps():
      if step > after and jax.process_index() == 0:
        damaged.mkdir(exist_ok=True)
        place = self.folder / str(step)
        place.rename(damaged / f"{step}-{time.time_ns()}")
        say(f"Moved {place} to {damaged}.")
    self._manager.reload()

  def _newest(self) -> int:
    step = self.latest()
    if step is None:
      raise UserError(
        f"No checkpoint in {self.folder}: expected one of `infomin train`."
      )
    return step

  def close(self) -> None:
    """Waits for the save that is under way."""
    with self._saving():
      self._manager.wait_until_finished()
    self._manager.close()

  @contextlib.contextmanager
  def _saving(self):
    """One line for what goes wrong in saving, also in the background."""
    try:
      yield
    except Exception as error:  # a full disk has many names in Orbax
      self._manager.reload()
      whole = self._manager.all_steps()
      raise UserError(
        f"A checkpoint cannot be saved in {self.folder} "
        f"({_first_line(error)}). The last whole one is of step "
        f"{max(whole, default='none')}: make room, then the same command "
        "goes on."
      ) from error


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


def save_run(workdir: str | pathlib.Path, config, state: TrainState) -> None:
  """Makes a run's folder that holds this state and nothing else.

  Raises:
    UserError: as `opened_workdir`, or the folder has a checkpoint.
  """
  with (
    opened_workdir(workdir, config),
    contextlib.closing(Checkpoints(workdir)) as checkpoints,
  ):
    if checkpoints.latest() is not None:
      raise UserError(
        f"--workdir {workdir} has checkpoints: name a new folder."
      )
    checkpoints.save(state)


def newest(workdir: str | pathlib.Path, like: TrainState) -> TrainState:
  """The last state that a run has saved, placed as `like` is.

  Of an encoder that was pulled there is no more: the rest is that of `like`.
  """
  if (local("workdir", workdir) / ORIGIN).exists():
    return _with_encoder(saved(workdir), like)
  reader = Checkpoints(workdir, read_only=True)
  with contextlib.closing(reader) as checkpoints:
    return checkpoints.restore(like)


def _with_encoder(found: Any, like: Any) -> TrainState:
  """The state `like`, but with the step and the encoder of `found`."""

  def put(tree, new):
    placed = jax.tree.map(
      lambda old, x: jax.device_put(x, old.sharding),
      tree.get("encoder", {}),
      new.get("encoder", {}),
    )
    return {**tree, "encoder": placed} if placed else tree

  stats = dict(like.stats)
  if "batch_stats" in stats:
    stats["batch_stats"] = put(stats["batch_stats"], found.stats["batch_stats"])
  if "ema" in found.stats:  # it is what was shared
    stats["ema"] = {
      kind: put(tree, found.stats["ema"][kind])
      for kind, tree in stats["ema"].items()
    }
  return dataclasses.replace(
    like,
    step=jnp.full_like(like.step, found.step),
    params=put(like.params, found.params),
    stats=stats,
  )


def saved(workdir: str | pathlib.Path) -> TrainState:
  """The last state that a run has saved, as plain mappings of arrays."""
  reader = Checkpoints(workdir, read_only=True)
  with contextlib.closing(reader) as checkpoints:
    return TrainState(**checkpoints.read())


def check_workdir(workdir: str | pathlib.Path, config) -> None:
  """Refuses a folder that is not new, unless it holds a run of this config.

  The run may have other `steps` where `longer.refusal` allows them.

  Raises:
    UserError: the folder holds another configuration (the keys that differ are
      named), an encoder alone, or files that no run of ours wrote. Nothing is
      changed.
  """
  workdir = local("workdir", workdir)
  if (workdir / ORIGIN).exists():
    raise UserError(
      f"--workdir {workdir} holds an encoder that was pulled, without the rest "
      "that training needs. Use a new workdir with "
      f"--config.init_from={workdir}."
    )
  if (workdir / "config.json").exists():
    old, new = read_config(workdir).to_dict(), as_json(config)
    if "randaugment" in new["views"]:  # older runs drew as RANDAUGMENT says
      old["views"].setdefault("randaugment", RANDAUGMENT)
    changed = {
      key: f"{key} ({old_value!r} there, {new_value!r} now)"
      for key, old_value, new_value in differences(old, new)
      if key.split(".")[0] not in FREE
      # A key of a source that came later: empty, it has no effect.
      and (new_value or old_value != "nothing" or key.split(".")[0] != "data")
    }
    if changed.keys() == {"steps"}:
      if why := longer.refusal(workdir, old, new):
        raise UserError(f"--workdir {workdir}: {why}")
    elif changed:
      raise UserError(
        f"--workdir {workdir} holds a run of another config: "
        f"{', '.join(changed.values())}. Use a new workdir, or the config it "
        "began with."
      )
  elif workdir.exists() and {p.name for p in workdir.iterdir()} - {LOCK}:
    raise UserError(
      f"--workdir {workdir} is not empty and holds no config.json: expected a "
      "new folder or one that `infomin train` made."
    )


@contextlib.contextmanager
def opened_workdir(
  workdir: str | pathlib.Path, config
) -> Generator[pathlib.Path]:
  """Makes the run's folder, and keeps others from training in it while open.

  Raises:
    UserError: as `check_workdir`, or another process trains there.
  """
  workdir = local("workdir", workdir)
  check_workdir(workdir, config)
  workdir.mkdir(parents=True, exist_ok=True)
  try:
    lock = filelock.FileLock(workdir / LOCK).acquire(timeout=0)
  except filelock.Timeout as error:
    raise UserError(
      f"--workdir {workdir}: another process is training there. Wait for it, "
      "or use a new workdir."
    ) from error
  with lock:
    check_workdir(workdir, config)  # another may have come in between
    write_json(workdir / "config.json", as_json(config))
    yield workdir
