"""Batches as a pure function of (seed, step): streamed, resident, or one epoch.

A run resumes from its step number alone (see `order.py`), and neither threads,
worker processes nor the number of JAX processes change what it sees. Grain
runs the reading ahead of time.
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
  """Endless batches of this process's share, read ahead of time.

  Args:
    source: random access to records; picklable if `workers > 0`.
    seed: of the order and of the host's random crops.
    batch_size: of the global batch, over all processes.
    start_step: the first batch, found at once.
    shuffle: a new order each epoch; else the source's.
    host: `fn(record, rng) -> record`, with a generator of the record's
      position: `host_views`, `host_center`, or yours.
    workers: processes that read; 0 reads in threads of this one.
    threads: batches read at once in each of them, each held in memory.
    rows: of the global batch, those that this process reads; None for all.
    broken: what an unreadable record does: "stop" raises, "skip" puts the next
      readable one in its place, says so once on stderr and counts it.
  """
  order = Order(len(source), seed, batch_size, shuffle, rows)
  batch = Batch(source, order, host, seed, broken)
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
  """Each record once, in index order; the last batch may be smaller.

  Args as in `stream`.
  """
  if batch_size < 1:
    raise UserError(f"batch_size: expected 1 or more, got {batch_size}.")
  rows = np.arange(len(source), dtype=np.int32)
  order = functools.partial(_slice, rows, batch_size)
  batch = Batch(source, order, host, seed, broken)
  steps = grain.MapDataset.range(math.ceil(len(rows) / batch_size))
  return Stream(source, steps.map(batch), workers, threads)


def _slice(rows, batch_size, step):
  rows = rows[step * batch_size :][:batch_size]
  return rows, rows


def resident(
  source: Source,
  limit_bytes: int = 2**30,
  *,
  threads: int = 4,
  broken: str = "stop",
) -> dict[str, np.ndarray] | None:
  """All records as arrays, to keep on the device: image uint8 `[n, h, w, c]`.

  Row i is record i, so `indices` picks the batches of `stream` from it.

  Returns:
    The fields, or None if images vary in size or exceed `limit_bytes`.
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
    for step, batch in enumerate(itertools.chain([first], batches)):
      for name, part in batch.items():
        fields[name][step * chunk :][: len(part)] = part
  return fields


class Stream:
  """An iterator over batches that are read ahead; also a context manager.

  Attributes:
    broken: how many records of the batches so far were unreadable and replaced
      (always 0 with `broken="stop"`).
    broken_indices: which records those were.
  """

  def __init__(self, source, batches, workers, threads):
    self.broken = 0
    self.broken_indices: set[int] = set()
    self._source = source
    # Workers' batches lie in shared memory, which Grain frees with trouble if
    # it is still in use when the program ends.
    self._copies = workers > 0
    runtime.keep_memory()
    if workers < 0 or threads < 0:
      raise UserError(
        f"workers and threads: expected >= 0, got {workers} and {threads}."
      )
    ahead = max(threads, 2) if threads else 0
    batches = batches.to_iter_dataset(grain.ReadOptions(threads, ahead))
    if workers:
      # Grain reads absl flags when it starts a worker, also in programs that
      # never parsed any.
      if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
      options = grain.MultiprocessingOptions(workers, per_worker_buffer_size=2)
      batches = batches.mp_prefetch(options, worker_init_fn=_start_worker)
    self._batches = iter(batches)
    # Also at exit, for a program that forgets: Grain's own clean-up comes too
    # late there.
    self._end = weakref.finalize(self, _end, self._batches, workers)

  def __iter__(self):
    return self

  def __next__(self) -> dict[str, np.ndarray]:
    batch = next(self._batches)
    if self._copies:
      batch = {name: np.array(part) for name, part in batch.items()}
    missed = batch.pop("broken", np.empty(0))
    for row in missed[missed >= 0].tolist():
      self._report(row)
    return batch

  def _report(self, row):
    self.broken += 1
    if row in self.broken_indices:
      return
    self.broken_indices.add(row)
    # Counted here, not where it was read: workers could not add it up. So the
    # reason is found by reading once more.
    why = f"Record {row} of {self._source.name} could not be read."
    try:
      self._source[row]
    except BrokenRecord as error:
      why = str(error)
    print(f"{why} The next readable one replaces it.", file=sys.stderr)

  def close(self) -> None:
    """Ends threads and workers. Batches already given stay valid."""
    self._end()
    self._batches = iter(())

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self.close()


def _end(batches, workers):
  batches.close()
  if workers:
    # Cycles within Grain hold the last batches' shared memory.
    gc.collect()


def _start_worker(worker=0, workers=1):
  """In each worker: no traceback at Ctrl-C, and no life after the parent's."""
  del worker, workers
  runtime.keep_memory()
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()


def _die_with(parent):
  # Not PR_SET_PDEATHSIG: that fires when the thread which started the worker
  # ends, and Grain starts workers from a pool of threads.
  while os.getppid() == parent:
    time.sleep(0.5)
  os._exit(1)
