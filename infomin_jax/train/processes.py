"""Joining the other processes of a run, whatever has started them.

JAX's own multi-controller runtime: every process runs the same command, and
`jax.devices()` are those of all. A process that is lost ends the others too;
the same command, started on any number of processes, goes on from the newest
checkpoint.
"""

import contextlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from infomin_jax import runtime
from infomin_jax.errors import UserError

BY_HAND = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# A job that lost a process should be started again (sysexits' EX_TEMPFAIL).
LOST = 75


def asked(environ: Mapping[str, str]) -> dict[str, Any] | None:
  """Returns arguments of `jax.distributed.initialize`; None for one process.

  Args:
    environ: the environment: `BY_HAND`, all three, or what SLURM, Open MPI or
      a TPU slice sets, which JAX reads by itself.

  Raises:
    UserError: some of the three are missing, or are not what they must be.
  """
  given = [name for name in BY_HAND if environ.get(name)]
  if given:
    return _by_hand({name: environ.get(name, "") for name in BY_HAND})
  in_step = environ.get("SLURM_STEP_NODELIST") and "SLURM_PROCID" in environ
  if in_step and environ.get("SLURM_NTASKS", "1") != "1":
    return {"cluster_detection_method": "slurm"}
  if environ.get("OMPI_COMM_WORLD_SIZE", "1") != "1":
    return {"cluster_detection_method": "ompi"}
  return {} if _on_tpu(environ) else None


def _by_hand(values: Mapping[str, str]) -> dict[str, Any]:
  missing = [name for name, value in values.items() if not value]
  if missing:
    raise UserError(
      f"{', '.join(missing)} missing from the environment: expected all of "
      f"{', '.join(BY_HAND)}, or none of them."
    )
  address, count, number = values.values()
  if not count.isdigit() or not number.isdigit() or int(number) >= int(count):
    raise UserError(
      f"{BY_HAND[1]} is {count!r} and {BY_HAND[2]} is {number!r}: expected a "
      "number of processes, and one from 0 to below it."
    )
  if not address.rpartition(":")[2].isdigit() or ":" not in address:
    raise UserError(
      f"{BY_HAND[0]} is {address!r}: expected HOST:PORT of process 0."
    )
  return {
    "coordinator_address": address,
    "num_processes": int(count),
    "process_id": int(number),
  }


def _on_tpu(environ: Mapping[str, str]) -> bool:
  """Returns whether there are TPUs here, one machine of a slice or all of
  it.
  """
  wanted = environ.get("JAX_PLATFORMS", "tpu")
  return (
    "tpu" in wanted.split(",")
    and importlib.util.find_spec("libtpu") is not None
    and runtime.has_tpu_chips()
  )


def join(environ: Mapping[str, str], patience: int) -> None:
  """Waits for the other processes, if there are any; before JAX computes.

  Args:
    environ: see `asked`.
    patience: seconds to wait for a process that does not come, and after which
      one that is silent counts as lost. This process then ends with `LOST`.
  """
  wanted = asked(environ)
  if wanted is None:
    return

  def give_up():
    end(
      f"not all processes have come within {patience} s ({wanted}). Is one "
      "missing, or an address wrong?"
    )

  # JAX aborts without an exception when its own wait, a little longer, ends.
  waiting = threading.Timer(patience, give_up)
  waiting.daemon = True
  waiting.start()
  jax.distributed.initialize(
    **wanted,
    initialization_timeout=patience + 30,
    heartbeat_timeout_seconds=patience,
    shutdown_timeout_seconds=patience,
  )
  waiting.cancel()


def end(why: str) -> None:
  """Ends this process with `LOST` and one line, without waiting for others."""
  print(f"infomin: {why}", file=sys.stderr, flush=True)
  os._exit(LOST)


@contextlib.contextmanager
def together() -> Generator[None]:
  """While open, a collective that fails ends the process with one line.

  At once: what is open, such as a checkpoint, would wait for the lost process.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if jax.process_count() == 1:
      raise
    first = str(error).splitlines()[0]
    end(
      f"process {jax.process_index()} has lost another one ({first}). Start "
      "the same command again: it goes on from the newest checkpoint."
    )


def first_alone(make: Callable[[], Any]) -> None:
  """Process 0 calls `make`, and the others wait for it.

  Raises:
    UserError: `make` did; in the others too.
  """
  if jax.process_count() == 1:
    make()
    return
  failed = None
  if jax.process_index() == 0:
    try:
      make()
    except UserError as error:
      failed = error
  bad = multihost_utils.broadcast_one_to_all(np.int32(failed is not None))
  if failed is not None:
    raise failed
  if bad:
    raise UserError("process 0 says why this run cannot start.")


def stop_agreed(step: int) -> bool:
  """Returns whether a process was sent SIGTERM, and all are to stop at this
  step.

  Called by all processes at every step. Always False for a single process.
  """
  several = jax.process_count() > 1
  return several and multihost_utils.reached_preemption_sync_point(step)
