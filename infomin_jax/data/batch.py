"""One batch: reads its records, stacks them, and handles unreadable ones."""

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
  """The function `step -> batch` that Grain's threads and workers call.

  Attributes:
    source: source of the records.
    order: `step -> (positions, indices)`.
    host: function applied to each record, or None.
    seed: seed of the host's random numbers.
    broken: "stop" or "skip". With "skip" batches have a field `broken`, int32
      `[b]`: the index of the unreadable record that the row replaces, or -1.
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
    broken_rows = np.full(len(rows), -1)
    try:
      batch = self._collated(positions, self._read(rows))
    except BrokenRecord:
      if self.broken == "stop":
        raise
      records, indices = zip(
        *[next_readable(self.source, row) for row in rows], strict=True
      )
      batch = self._collated(positions, records)
      broken_rows = np.where(np.equal(indices, rows), -1, rows)
    if self.broken == "skip":
      batch["broken"] = broken_rows.astype(np.int32)
    return batch

  def _read(self, rows):
    """Yields records one at a time, so few photographs are in memory."""
    if hasattr(self.source, "records"):
      return self.source.records(rows)
    return (self.source[row] for row in rows)

  def _collated(self, positions, records):
    name, shape = self.source.name, self.source.image_shape
    if not self.host:
      return collate(records, len(positions), name, shape)
    pairs = zip(positions, records, strict=True)
    cropped = (self.host(x, host_rng(self.seed, at)) for at, x in pairs)
    return collate(cropped, len(positions), name)


def next_readable(source: Source, row: int) -> tuple[dict, int]:
  """Returns record `row`, or the next readable one, and its index.

  Raises:
    UserError: no record can be read.
  """
  for candidate in range(row, row + len(source)):
    try:
      return source[candidate % len(source)], candidate % len(source)
    except BrokenRecord:
      continue
  raise UserError(f"None of the {len(source)} records can be read.")


def example(source: Source, broken: str) -> dict:
  """Returns the first record; with `broken="skip"` the first readable one."""
  return next_readable(source, 0)[0] if broken == "skip" else source[0]


def collate(
  records: Iterable[dict],
  count: int,
  name: str = "records",
  image_shape: tuple[int, ...] | None = None,
) -> dict[str, np.ndarray]:
  """Stacks records: ints to int32 `[b]`, arrays to `[b, ...]`.

  Args:
    records: records with the same fields; images are uint8.
    count: the number of records, b.
    name: name of the source, for messages.
    image_shape: expected shape of images; None uses that of the first image.

  Raises:
    UserError: fields or shapes differ, or images are not uint8. The message
      names the record.
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
    # Copied at once: the record is still in the CPU cache.
    for field, value in record.items():
      batch[field][i] = value
  return batch


def _room(count: int, value) -> np.ndarray:
  """Allocates an array for `count` values like this one; ints are int32."""
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
