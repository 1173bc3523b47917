"""Checkpoints of a run (Orbax), and checks of the folder that holds it.

A run's folder holds `config.json` and `checkpoints/<step>`. The position in the
data is the step, so a checkpoint needs nothing but the state.
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

# These sections may differ between two starts of a run: they do not change the
# trained parameters.
FREE = ("run", "evaluate")
_ITEM = "default"  # the subfolder that Orbax makes in a step's folder
LOCK = "lock"  # the file that a training process locks


class Checkpoints:
  """The checkpoints of one run, saved in the background.

  Args:
    workdir: the run's folder.
    keep: number of checkpoints to keep.
    read_only: whether to create nothing, as in a folder of another user.
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
    """Returns the step of the newest complete checkpoint, or None."""
    return self._manager.latest_step()

  def save(self, state: TrainState) -> None:
    """Starts to save the state; returns once its arrays have been copied."""
    step = int(state.step)
    if step not in self._manager.all_steps():
      # `restore` compares it with the fingerprint of the arrays that it reads.
      saved = {"state": state, "fingerprint": fingerprint(state)}
      with self._saving():
        self._manager.save(step, args=ocp.args.StandardSave(saved))

  def restore(self, like: TrainState) -> TrainState:
    """Returns the newest readable state, placed on devices as `like` is.

    Raises:
      UserError: no checkpoint can be read.
    """
    target = {"state": like, "fingerprint": fingerprint(like)}
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, target)

    def numbers(state: TrainState) -> np.ndarray:
      return np.asarray(fingerprint(state))

    args: Any = ocp.args.StandardRestore(abstract)
    return self._newest_whole(lambda step: args, numbers)

  def read(self) -> dict:
    """Returns the newest readable state as mappings of NumPy arrays.

    Needs neither the shapes of the arrays nor the devices they were saved from.

    Raises:
      UserError: no checkpoint can be read.
    """

    def args(step: int) -> Any:
      folder: Any = self.folder / str(step) / _ITEM
      stored: Any = ocp.PyTreeCheckpointHandler().metadata(folder)
      # By default Orbax restores each array to the devices it was saved from,
      # and these may not exist on this machine.
      to_host = ocp.RestoreArgs(restore_type=np.ndarray)
      return ocp.args.PyTreeRestore(
        restore_args=jax.tree.map(lambda _: to_host, stored.tree)
      )

    def numbers(state: dict) -> np.ndarray:
      # In NumPy: compiling one program over this many arrays takes longer than
      # the sums themselves.
      return np.array(
        [array_fingerprint(x, np) for x in jax.tree.leaves(state)]
      )

    return self._newest_whole(args, numbers)

  def _newest_whole(
    self,
    args: Callable[[int], Any],
    numbers: Callable[[Any], np.ndarray],
  ) -> Any:
    """Returns the newest state whose fingerprint matches the saved one.

    Args:
      args: `step -> arguments of Orbax's restore`.
      numbers: `state -> its fingerprint`.
    """
    self._newest()
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        restored: Any = self._manager.restore(step, args=args(step))
        # Orbax detects missing and truncated files, but no flipped bits.
        # Sorted, because a plain mapping lists its arrays in another order
        # than a `TrainState` does.
        saved, read = restored["fingerprint"], numbers(restored["state"])
        if not np.array_equal(np.sort(saved), np.sort(read)):
          raise ValueError("its numbers differ from those that were saved")
        return restored["state"]
      except Exception as error:  # Orbax also raises plain Exception
        why = _first_line(error)
        say(f"The checkpoint of step {step} cannot be read ({why}).")
    raise UserError(f"No checkpoint in {self.folder} can be read.")

  def set_aside(self, after: int) -> None:
    """Moves the checkpoints after a step, which are damaged, to `damaged/`."""
    # Left in place, they would be the newest, and `save` would skip their
    # steps because Orbax lists them.
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
    """Waits for the save in progress, then closes the manager."""
    with self._saving():
      self._manager.wait_until_finished()
    self._manager.close()

  @contextlib.contextmanager
  def _saving(self):
    """Turns any error of a save, here or in the background, into UserError."""
    try:
      yield
    except Exception as error:  # Orbax has many exceptions for a full disk
      self._manager.reload()
      steps = self._manager.all_steps()
      raise UserError(
        f"A checkpoint cannot be saved in {self.folder} "
        f"({_first_line(error)}). Last complete checkpoint: step "
        f"{max(steps, default='none')}. Free disk space, then run the same "
        "command again to resume."
      ) from error


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


def save_run(workdir: str | pathlib.Path, config, state: TrainState) -> None:
  """Creates a run's folder with one checkpoint, that of this state.

  Raises:
    UserError: as for `opened_workdir`, or the folder has a checkpoint.
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
  """Returns the newest state of a run, placed on devices as `like` is.

  A folder made by `infomin pull` holds an encoder only. The rest of the state
  is then taken from `like`.
  """
  if (local("workdir", workdir) / ORIGIN).exists():
    return _with_encoder(saved(workdir), like)
  reader = Checkpoints(workdir, read_only=True)
  with contextlib.closing(reader) as checkpoints:
    return checkpoints.restore(like)


def _with_encoder(found: Any, like: Any) -> TrainState:
  """Returns `like` with the step and the encoder of `found`."""

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
  if "ema" in found.stats:  # the momentum copy is what was shared
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
  """Returns the newest state of a run as plain mappings of NumPy arrays."""
  reader = Checkpoints(workdir, read_only=True)
  with contextlib.closing(reader) as checkpoints:
    return TrainState(**checkpoints.read())


def check_workdir(workdir: str | pathlib.Path, config) -> None:
  """Checks that the folder is new or holds a run of this configuration.

  `steps` may differ if `longer.refusal` allows it. Changes nothing.

  Raises:
    UserError: the folder holds a run of another configuration (the keys that
      differ are listed), an encoder without a run, or files of another program.
  """
  workdir = local("workdir", workdir)
  if (workdir / ORIGIN).exists():
    raise UserError(
      f"--workdir {workdir} holds a pulled encoder, without the optimizer "
      "state that training needs. Use a new workdir with "
      f"--config.init_from={workdir}."
    )
  if (workdir / "config.json").exists():
    old, new = read_config(workdir).to_dict(), as_json(config)
    # Runs from before this key existed drew with the values of RANDAUGMENT.
    if "randaugment" in new["views"]:
      old["views"].setdefault("randaugment", RANDAUGMENT)
    changed = {
      key: f"{key} ({old_value!r} there, {new_value!r} now)"
      for key, old_value, new_value in differences(old, new)
      if key.split(".")[0] not in FREE
      # A key of `data` that the older run lacks has no effect while it is
      # empty.
      and (new_value or old_value != "nothing" or key.split(".")[0] != "data")
    }
    if changed.keys() == {"steps"}:
      if why := longer.refusal(workdir, old, new):
        raise UserError(f"--workdir {workdir}: {why}")
    elif changed:
      raise UserError(
        f"--workdir {workdir} holds a run of another config: "
        f"{', '.join(changed.values())}. Use a new workdir, or the config that "
        "the run was started with."
      )
  elif workdir.exists() and {p.name for p in workdir.iterdir()} - {LOCK}:
    raise UserError(
      f"--workdir {workdir} is not empty and holds no config.json: expected a "
      "new folder or the folder of an earlier `infomin train`."
    )


@contextlib.contextmanager
def opened_workdir(
  workdir: str | pathlib.Path, config
) -> Generator[pathlib.Path]:
  """Creates the run's folder and locks it against other training processes.

  Raises:
    UserError: as for `check_workdir`, or another process trains there.
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
    # Another process may have used the folder between the first check and the
    # lock.
    check_workdir(workdir, config)
    write_json(workdir / "config.json", as_json(config))
    yield workdir
