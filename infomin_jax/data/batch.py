"""One batch: which records to read, how to stack them, what may go wrong."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.host_crops import Host
from infomin_jax.data.order import host_rng
from infomin_jax.data.sources import Source
from infomin_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Batch:
  """`step -> batch`: what Grain's threads and workers call.

  Attributes:
    source: where the records come from.
    order: `step -> (positions, indices)`.
    host: what is done to each record, or None.
    seed: of the host's random numbers.
    broken: "stop", or "skip": then a field `broken`, int32 `[b]`, holds the
      index of the unreadable record that a row stands in for, or -1.
  """

  source: Source
  order: Callable[[int], tuple[np.ndarray, np.ndarray]]
  host: Host | None
  seed: int
  broken: str

  def __post_init__(self):
    if self.broken not in ("stop", "skip"):
      raise UserError(f"broken: expected stop or skip, got {self.broken!r}.")

  def __call__(self, step: int) -> dict[str, np.ndarray]:
    positions, rows = self.order(step)
    positions, rows = positions.tolist(), rows.tolist()
    missed = np.full(len(rows), -1)
    try:
      batch = self._collated(positions, self._read(rows))
    except BrokenRecord:
      if self.broken == "stop":
        raise
      read, found = zip(
        *[next_readable(self.source, row) for row in rows], strict=True
      )
      batch = self._collated(positions, read)
      missed = np.where(np.equal(found, rows), -1, rows)
    if self.broken == "skip":
      batch["broken"] = missed.astype(np.int32)
    return batch

  def _read(self, rows):
    """Records one after another, so that few photographs are held at once."""
    if hasattr(self.source, "records"):
      return self.source.records(rows)
    return (self.source[row] for row in rows)

  def _collated(self, positions, records):
    name, shape = self.source.name, self.source.image_shape
    if not self.host:
      return collate(records, len(positions), name, shape)
    pairs = zip(positions, records, strict=True)
    made = (self.host(x, host_rng(self.seed, place)) for place, x in pairs)
    return collate(made, len(positions), name)


def next_readable(source: Source, row: int) -> tuple[dict, int]:
  """Record `row`, or the next one that can be read, and the row of that."""
  for candidate in range(row, row + len(source)):
    try:
      return source[candidate % len(source)], candidate % len(source)
    except BrokenRecord:
      continue
  raise UserError(f"None of the {len(source)} records can be read.")


def example(source: Source, broken: str) -> dict:
  """The first record, or with `broken="skip"` the first that can be read."""
  return next_readable(source, 0)[0] if broken == "skip" else source[0]


def collate(
  records: Iterable[dict],
  count: int,
  name: str = "records",
  image_shape: tuple[int, ...] | None = None,
) -> dict[str, np.ndarray]:
  """Stacks records: ints to int32 `[b]`, arrays to `[b, ...]`.

  Each is copied into the batch as it comes, while it is in the cache.

  Args:
    records: with the same fields; images are uint8.
    count: b, how many there are.
    name: the source's, for messages.
    image_shape: what images must have; None is that of the first.

  Raises:
    UserError: different fields or shapes; names the record.
  """
  batch: dict[str, np.ndarray] = {}
  expected: dict[str, tuple[int, ...]] = {}
  for i, record in enumerate(records):
    shapes = {k: np.shape(v) for k, v in record.items()}
    if not batch:
      expected = shapes | ({"image": image_shape} if image_shape else {})
      batch = {k: _room(count, v) for k, v in record.items()}
    if shapes != expected:
      raise UserError(_mismatch(record, name, expected, shapes))
    if record["image"].dtype != np.uint8:
      raise UserError(
        f"Record {record['index']} of {name}: expected an image of uint8, got "
        f"{record['image'].dtype}."
      )
    for field, value in record.items():
      batch[field][i] = value
  return batch


def _room(count: int, value) -> np.ndarray:
  """For so many values like this one; whole numbers become int32."""
  value = np.asarray(value)
  whole = value.ndim == 0 and value.dtype.kind in "iub"
  return np.empty((count, *value.shape), np.int32 if whole else value.dtype)


def _mismatch(record, name, expected, shapes):
  where = f"Record {record['index']} of {name}"
  if shapes.keys() != expected.keys():
    return (
      f"{where}: expected the fields {', '.join(sorted(expected))}, got "
      f"{', '.join(sorted(shapes))}."
    )
  field = next(k for k in expected if shapes[k] != expected[k])
  return (
    f"{where}: expected {field} of shape {list(expected[field])} as in the "
    f"rest of the batch, got {list(shapes[field])}. Images of one batch need "
    "one size and number of channels: crop them on the host (host_views, "
    "host_center), or for a folder set data.image_size and data.channels."
  )
