"""The order of records, a pure function of (seed, step).

Position `t` of the endless stream holds record `permutation(epoch)[offset]`,
with `epoch, offset = divmod(t, length)`. Batch `step` of size b consists of the
positions from `step * b` up to, but not including, `(step + 1) * b`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import numpy as np

from infomin_jax.errors import UserError

# Each purpose has its own range of Philox counters, so no two purposes share
# random numbers.
_ORDER, _HOST = 0, 1


@dataclasses.dataclass(frozen=True)
class Order:
  """The records of each batch: `order(step) -> (positions, indices)`.

  `positions`, int64 `[r]`, are positions in the stream. `indices`, int32 `[r]`,
  are the records at these positions. r is the number of rows of the batch that
  this process reads.

  Attributes:
    length: number of records of the data set.
    seed: seed of the shuffling.
    batch_size: size of the global batch.
    shuffle: use a new order in each epoch; otherwise the data set's.
    rows: rows of the global batch that this process reads, `[r]`; None for all.
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
    rows = np.arange(self.batch_size) if self.rows is None else self.rows
    positions = step * self.batch_size + np.asarray(rows, np.int64)
    epochs, offsets = np.divmod(positions, self.length)
    if not self.shuffle:
      return positions, offsets.astype(np.int32)
    indices = np.empty(len(positions), np.int32)
    for epoch in np.unique(epochs):  # one, or two where an epoch ends
      rows = epochs == epoch
      indices[rows] = permutation(self.length, self.seed, int(epoch))[
        offsets[rows]
      ]
    return positions, indices


@functools.lru_cache(maxsize=4)
def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
  """Returns the order of one epoch, int32 `[length]`."""
  # Cached: for ImageNet it takes 50 ms.
  rows = _rng(seed, epoch, _ORDER).permutation(
    np.arange(length, dtype=np.int32)
  )
  rows.setflags(write=False)
  return rows


def host_rng(seed: int, position: int) -> np.random.Generator:
  """Makes the host's random generator for one position of the stream."""
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
  """Yields the indices of the batches of `stream`, int32 `[r]`, endlessly.

  Arguments are those of `Order`; `start_step` is the number of the first batch.
  """
  order = Order(length, seed, batch_size, shuffle, rows)
  return (order(step)[1] for step in itertools.count(start_step))
