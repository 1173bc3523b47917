"""Whether a run may go on to another number of steps."""

import pathlib
from collections.abc import Mapping

import jax
import numpy as np

from infomin_jax.errors import build
from infomin_jax.runs.progress import say
from infomin_jax.train.optimizers import SCHEDULES


def refusal(workdir: pathlib.Path, old: Mapping, new: Mapping) -> str:
  """Says why the `steps` of a run cannot become those of `new`; "" if they can.

  They can where each step that is done had the learning rate that it has with
  the new number. The result is then that of a run of the new number.

  Args:
    workdir: of the run.
    old: its configuration.
    new: the same with other `steps`.
  """
  before, now, done = old["steps"], new["steps"], steps_done(workdir)
  if now < done:
    return (
      f"config.steps is {now}, but {workdir} is at step {done} already: give "
      f"{done} or more."
    )
  was, is_ = _rates(old, done), _rates(new, done)
  (differ,) = np.nonzero(was != is_)
  if not differ.size:
    return ""
  first = differ[0]
  return (
    f"config.steps cannot change from {before} to {now}: the schedule "
    f"{new['schedule']['name']!r} depends on it, and step {first + 1} of the "
    f"{done} that are done had learning rate {was[first]:.6g}, not "
    f"{is_[first]:.6g}. To train longer, use a new workdir with "
    f"--config.init_from={workdir}, which starts a new schedule from these "
    "weights."
  )


def steps_done(workdir: pathlib.Path) -> int:
  """The step of the newest checkpoint; 0 if there is none."""
  folders = (workdir / "checkpoints").glob("*")
  return max((int(x.name) for x in folders if x.name.isdigit()), default=0)


def set_aside(workdir: pathlib.Path, step: int) -> None:
  """Renames evaluations, which are of another step once training goes on."""
  for path in workdir.glob("evaluation*.json"):
    if "_at_step_" not in path.name:
      kept = path.with_name(f"{path.stem}_at_step_{step}.json")
      path.rename(kept)
      say(f"Renamed {path} to {kept.name}: the run goes on from that step.")


def _rates(config: Mapping, count: int) -> np.ndarray:
  """The learning rates of the first steps, `[count]`."""
  rate = build("schedule", config["schedule"], SCHEDULES, steps=config["steps"])
  found = jax.vmap(rate)(np.arange(count)) if count else np.zeros(0)
  return np.broadcast_to(np.asarray(found), (count,))
