"""Batches as a pure function of (seed, step): streamed, resident, or one epoch.

A run resumes from its step number alone (see `order.py`). The batches do not
depend on the number of threads, worker processes or JAX processes. Grain reads
them ahead of time.
"""

import functools
import gc
import itertools
import math
import os
import signal
import sys
import threading
import time
import weakref

import grain
import numpy as np
from absl import flags

from infomin_jax import runtime
from infomin_jax.data.batch import Batch
from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.host_crops import Host
from infomin_jax.data.order import Order
from infomin_jax.data.sources import Source
from infomin_jax.errors import UserError


def stream(
  source: Source,
  *,
  seed: int,
  batch_size: int,
  start_step: int = 0,
  shuffle: bool = True,
  host: Host | None = None,
  workers: int = 0,
  threads: int = 4,
  rows: np.ndarray | None = None,
  broken: str = "stop",
) -> "Stream":
  """Returns endless batches of this process's rows, read ahead of time.

  Args:
    source: random access to records; picklable if `workers > 0`.
    seed: seed of the order and of the host's random crops.
    batch_size: size of the global batch, over all processes.
    start_step: number of the first batch; earlier batches are not read.
    shuffle: use a new order in each epoch; otherwise the source's order.
    host: `fn(record, rng) -> record`, such as `host_views` or `host_center`;
      `rng` is a generator that depends on the seed and the position of the
      record in the stream.
    workers: number of processes that read; 0 reads in threads of this one.
    threads: number of batches that each of them reads at a time and holds in
      memory.
    rows: rows of the global batch that this process reads; None for all.
    broken: treatment of unreadable records. "stop" raises BrokenRecord. "skip"
      replaces the record by the next readable one, prints one line per record
      on stderr and counts it.

  Raises:
    UserError: a number is out of range, or the batch exceeds the source.
  """
  order = Order(len(source), seed, batch_size, shuffle, rows)
  batch = Batch(source, order, host, seed, broken)
  # Only numbers of steps, so a resumed run skips to its step at once.
  steps = grain.MapDataset.range(start_step, sys.maxsize)
  return Stream(source, steps.map(batch), workers, threads)


def epoch(
  source: Source,
  batch_size: int,
  *,
  host: Host | None = None,
  seed: int = 0,
  workers: int = 0,
  threads: int = 4,
  broken: str = "stop",
) -> "Stream":
  """Returns batches with each record once, in index order.

  The last batch may be smaller. Arguments are those of `stream`.
  """
  if batch_size < 1:
    raise UserError(f"batch_size: expected 1 or more, got {batch_size}.")
  rows = np.arange(len(source), dtype=np.int32)
  order = functools.partial(_slice, rows, batch_size)
  batch = Batch(source, order, host, seed, broken)
  steps = grain.MapDataset.range(math.ceil(len(rows) / batch_size))
  return Stream(source, steps.map(batch), workers, threads)


def _slice(rows, batch_size, step):
  """Returns positions and indices of batch `step`; they are the same rows."""
  rows = rows[step * batch_size :][:batch_size]
  return rows, rows


def resident(
  source: Source,
  limit_bytes: int = 2**30,
  *,
  threads: int = 4,
  broken: str = "stop",
) -> dict[str, np.ndarray] | None:
  """Reads all records into arrays, to be kept on the device.

  Row i is record i. So `indices` selects the batches of `stream` from it.

  Args:
    source: random access to records.
    limit_bytes: largest size of all images together, in bytes.
    threads: as in `stream`.
    broken: as in `stream`.

  Returns:
    field -> array `[n, ...]`; images are uint8 `[n, h, w, c]`. None if images
    vary in size or exceed `limit_bytes`.
  """
  shape = source.image_shape
  if shape is None or len(source) * math.prod(shape) > limit_bytes:
    return None
  chunk = 512
  with epoch(source, chunk, threads=threads, broken=broken) as batches:
    first = next(batches)
    fields = {
      name: np.empty((len(source), *part.shape[1:]), part.dtype)
      for name, part in first.items()
    }
    # The first batch was read to learn shapes and types; it is not read twice.
    for step, batch in enumerate(itertools.chain([first], batches)):
      for name, part in batch.items():
        fields[name][step * chunk :][: len(part)] = part
  return fields


class Stream:
  """An iterator over batches that are read ahead; also a context manager.

  Attributes:
    broken: number of records in the batches so far that were unreadable and
      were replaced (always 0 with `broken="stop"`).
    broken_indices: indices of these records.
  """

  def __init__(self, source, batches, workers, threads):
    self.broken = 0
    self.broken_indices: set[int] = set()
    self._source = source
    # Workers return batches in shared memory. Grain fails to free it cleanly if
    # it is in use when the program ends, so such batches are copied.
    self._copies = workers > 0
    runtime.keep_memory()
    if workers < 0 or threads < 0:
      raise UserError(
        f"workers and threads: expected >= 0, got {workers} and {threads}."
      )
    ahead = max(threads, 2) if threads else 0
    batches = batches.to_iter_dataset(grain.ReadOptions(threads, ahead))
    if workers:
      # Grain reads absl flags when it starts a worker, and fails in programs
      # that have not parsed any.
      if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
      options = grain.MultiprocessingOptions(workers, per_worker_buffer_size=2)
      batches = batches.mp_prefetch(options, worker_init_fn=_start_worker)
    self._batches = iter(batches)
    # Also runs at exit if `close` was not called: Grain's own cleanup comes too
    # late there.
    self._end = weakref.finalize(self, _end, self._batches, workers)

  def __iter__(self):
    return self

  def __next__(self) -> dict[str, np.ndarray]:
    batch = next(self._batches)
    if self._copies:
      batch = {name: np.array(part) for name, part in batch.items()}
    broken_rows = batch.pop("broken", np.empty(0))
    for row in broken_rows[broken_rows >= 0].tolist():
      self._report(row)
    return batch

  def _report(self, row):
    self.broken += 1
    if row in self.broken_indices:
      return
    self.broken_indices.add(row)
    # Records are counted in this process, because workers share no counter.
    # Batches do not contain the reason, so the record is read again to get it.
    reason = f"Record {row} of {self._source.name} could not be read."
    try:
      self._source[row]
    except BrokenRecord as error:
      reason = str(error)
    print(f"{reason} The next readable one replaces it.", file=sys.stderr)

  def close(self) -> None:
    """Ends threads and workers. Batches returned earlier stay valid."""
    self._end()
    self._batches = iter(())

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self.close()


def _end(batches, workers):
  batches.close()
  if workers:
    # Reference cycles in Grain hold the shared memory of the last batches.
    gc.collect()


def _start_worker(worker=0, workers=1):
  """Runs at the start of each worker process.

  Suppresses the traceback at Ctrl-C, and ends the worker with its parent.
  """
  del worker, workers
  runtime.keep_memory()
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()


def _die_with(parent):
  """Ends this process when its parent process is no longer `parent`."""
  # Without this, workers of a killed run stay alive and hold its stdout. Not
  # PR_SET_PDEATHSIG: it fires when the thread that started the worker ends, and
  # Grain starts workers from a pool of threads.
  while os.getppid() == parent:
    time.sleep(0.5)
  os._exit(1)
