"""Checks whether a run can be continued to another number of steps."""

import pathlib
from collections.abc import Mapping

import jax
import numpy as np

from infomin_jax.errors import build
from infomin_jax.runs.progress import say
from infomin_jax.train.optimizers import SCHEDULES


def refusal(workdir: pathlib.Path, old: Mapping, new: Mapping) -> str:
  """Returns why a run cannot continue to the `steps` of `new`; "" if it can.

  It can if the new schedule gives each finished step the learning rate that it
  had. The result then equals that of a run started with the new `steps`.

  Args:
    workdir: the run's folder.
    old: the run's configuration.
    new: the same configuration with other `steps`.
  """
  before, now, done = old["steps"], new["steps"], steps_done(workdir)
  if now < done:
    return (
      f"config.steps is {now}, but {workdir} is at step {done} already: "
      f"expected {done} or more."
    )
  was, is_ = _rates(old, done), _rates(new, done)
  # Exact, since the result must equal that of a longer run bit for bit.
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
  """Returns the step of the newest checkpoint; 0 if there is none."""
  folders = (workdir / "checkpoints").glob("*")
  return max((int(x.name) for x in folders if x.name.isdigit()), default=0)


def set_aside(workdir: pathlib.Path, step: int) -> None:
  """Renames evaluation files, which are out of date once training continues."""
  for path in workdir.glob("evaluation*.json"):
    if "_at_step_" not in path.name:
      renamed = path.with_name(f"{path.stem}_at_step_{step}.json")
      path.rename(renamed)
      say(
        f"Renamed {path} to {renamed.name}: the run continues from that step."
      )


def _rates(config: Mapping, count: int) -> np.ndarray:
  """Returns the learning rates of the first steps, `[count]`."""
  rate = build("schedule", config["schedule"], SCHEDULES, steps=config["steps"])
  values = jax.vmap(rate)(np.arange(count)) if count else np.zeros(0)
  return np.broadcast_to(np.asarray(values), (count,))
