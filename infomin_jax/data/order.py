"""The order of records: a pure function of (seed, step), never of history.

Position `t` of the endless stream holds record `permutation(epoch)[offset]`
with `epoch, offset = divmod(t, length)`, and batch `step` of size b is
positions `step * b` to `(step + 1) * b`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import numpy as np

from infomin_jax.errors import UserError

# Philox counters are split so that no two purposes share random numbers.
_ORDER, _HOST = 0, 1


@dataclasses.dataclass(frozen=True)
class Order:
  """Which records are in which batch: `order(step) -> (positions, indices)`.

  `positions` int64 `[r]` count all records of the stream, `indices` int32
  `[r]` are the records there; r of the batch's rows are this process's.

  Attributes:
    length: of the data set.
    seed: of the shuffling.
    batch_size: of the global batch.
    shuffle: a new order each epoch; else the data set's.
    rows: which rows of the global batch, `[r]`; None for all.
  """

  length: int
  seed: int
  batch_size: int
  shuffle: bool = True
  rows: np.ndarray | None = None

  def __post_init__(self):
    b = self.batch_size
    if b < 1:
      raise UserError(f"batch_size: expected 1 or more, got {b}.")
    if b > self.length:
      raise UserError(
        f"batch_size: {b} is more than the {self.length} records of the split;"
        " a record would be its own negative. Use a smaller batch."
      )
    if self.seed < 0:
      raise UserError(f"seed: expected an int >= 0, got {self.seed}.")

  def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    here = np.arange(self.batch_size) if self.rows is None else self.rows
    positions = step * self.batch_size + np.asarray(here, np.int64)
    epochs, offsets = np.divmod(positions, self.length)
    if not self.shuffle:
      return positions, offsets.astype(np.int32)
    found = np.empty(len(positions), np.int32)
    for epoch in np.unique(epochs):  # one, or two where an epoch ends
      here = epochs == epoch
      found[here] = permutation(self.length, self.seed, int(epoch))[
        offsets[here]
      ]
    return positions, found


@functools.lru_cache(maxsize=4)
def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
  """The order of one epoch, int32 `[length]`: 50 ms for ImageNet, then kept."""
  rows = _rng(seed, epoch, _ORDER).permutation(
    np.arange(length, dtype=np.int32)
  )
  rows.setflags(write=False)
  return rows


def host_rng(seed: int, position: int) -> np.random.Generator:
  """The generator of what the host draws for one position of the stream."""
  return _rng(seed, position, _HOST)


def _rng(seed, position, purpose):
  return np.random.Generator(
    np.random.Philox(key=[seed, position], counter=[0, 0, 0, purpose])
  )


def indices(
  length: int,
  *,
  seed: int,
  batch_size: int,
  start_step: int = 0,
  shuffle: bool = True,
  rows: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
  """Endless int32 index arrays `[r]` in the order of `stream`, from a step."""
  order = Order(length, seed, batch_size, shuffle, rows)
  return (order(step)[1] for step in itertools.count(start_step))
