"""Runs of several processes: joining them, stopping them, and lost processes.

This is JAX's multi-controller runtime: every process runs the same command, and
`jax.devices()` lists the devices of all processes. If a process is lost, the
others exit too. The same command, on any number of processes, then resumes from
the newest checkpoint.
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
# EX_TEMPFAIL of sysexits: a job that lost a process should be started again.
LOST = 75


def asked(environ: Mapping[str, str]) -> dict[str, Any] | None:
  """Returns arguments of `jax.distributed.initialize`; None for one process.

  Args:
    environ: the environment. It has all three variables `BY_HAND`, or those of
      SLURM, Open MPI or a TPU slice, which JAX reads itself.

  Raises:
    UserError: some of the three variables are missing or invalid.
  """
  names = [name for name in BY_HAND if environ.get(name)]
  if names:
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
      "number of processes n, and a number from 0 to n - 1."
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
  """Returns whether this machine has TPUs: a part of a slice or all of it."""
  platforms = environ.get("JAX_PLATFORMS", "tpu")
  return (
    "tpu" in platforms.split(",")
    and importlib.util.find_spec("libtpu") is not None
    and runtime.has_tpu_chips()
  )


def join(environ: Mapping[str, str], patience: int) -> None:
  """Waits for the other processes, if any. Call it before JAX computes.

  Args:
    environ: see `asked`.
    patience: seconds to wait for a missing process, and seconds of silence
      after which a process counts as lost. This process then exits with `LOST`.
  """
  arguments = asked(environ)
  if arguments is None:
    return

  def give_up():
    end(
      f"not all processes have come within {patience} s ({arguments}). Is one "
      "missing, or is an address wrong?"
    )

  # When its own timeout ends, JAX aborts the process without an exception. The
  # timer is a little shorter, so that the user gets one line instead.
  waiting = threading.Timer(patience, give_up)
  waiting.daemon = True
  waiting.start()
  jax.distributed.initialize(
    **arguments,
    initialization_timeout=patience + 30,
    heartbeat_timeout_seconds=patience,
    shutdown_timeout_seconds=patience,
  )
  waiting.cancel()


def end(why: str) -> None:
  """Prints one line and exits with `LOST`, without waiting for others."""
  print(f"infomin: {why}", file=sys.stderr, flush=True)
  os._exit(LOST)


@contextlib.contextmanager
def together() -> Generator[None]:
  """Turns a failed collective into one line and exit status `LOST`, while open.

  The process exits at once, without closing anything: closing a checkpoint, for
  example, would wait for the lost process.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if jax.process_count() == 1:
      raise
    first = str(error).splitlines()[0]
    end(
      f"process {jax.process_index()} has lost another one ({first}). Start "
      "the same command again to resume from the newest checkpoint."
    )


def first_alone(make: Callable[[], Any]) -> None:
  """Calls `make` in process 0, while the other processes wait.

  Raises:
    UserError: `make` raised one. All processes then raise.
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
  # Also called where `make` failed: a collective waits for every process.
  bad = multihost_utils.broadcast_one_to_all(np.int32(failed is not None))
  if failed is not None:
    raise failed
  if bad:
    raise UserError("this run cannot start: process 0 printed the reason.")


def stop_agreed(step: int) -> bool:
  """Returns whether all processes agreed to stop at this step, after a SIGTERM.

  All processes must call it at every step. False for a single process.
  """
  several = jax.process_count() > 1
  return several and multihost_utils.reached_preemption_sync_point(step)
