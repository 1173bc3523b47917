"""What a data source is, and what all of them share: splits, indices, decoding.

A source is random access and picklable: it holds paths, opens files when first
read, and yields records `{"image": uint8 [h, w, c], "label": int, "index":
int}`, the label only if there is one.
"""

import operator
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data import decode
from infomin_jax.errors import UserError


class Task(NamedTuple):
  """A classification task: the record's field and its number of classes."""

  field: str
  classes: int


class Source(Protocol):
  """Random access to records; see the module's docstring.

  Attributes:
    name: for messages and tables.
    tasks: name -> Task; empty if nothing is labeled.
    image_shape: `(h, w, c)`, or None when sizes vary.
  """

  @property
  def name(self) -> str: ...

  @property
  def tasks(self) -> dict[str, Task]: ...

  @property
  def image_shape(self) -> tuple[int, int, int] | None: ...

  def __len__(self) -> int: ...

  def __getitem__(self, index: int, /) -> dict: ...


class FileSource(Source, Protocol):
  """A source that can say which file a record is in."""

  def where(self, index: int) -> str: ...


class Subset:
  """Some records of a source, which keep their own index.

  Attributes:
    source: the whole.
    rows: int `[n]`, which of its records.
  """

  def __init__(self, source: Source, rows: np.ndarray):
    self.source, self.rows = source, rows
    self.name, self.tasks = source.name, source.tasks
    self.image_shape = source.image_shape

  def __len__(self) -> int:
    return len(self.rows)

  def __getitem__(self, index: int, /) -> dict:
    return self.source[int(self.rows[index])]


def select(split: str, lengths: dict[str, int], name: str) -> np.ndarray:
  """Rows of a TFDS split string in arrays that lie one after the other.

  Args:
    split: `train`, `test[:10%]`, `train+test[5:]`, or `all`.
    lengths: the number of records of each split, in order.
    name: the data set's, for messages.

  Returns:
    int64 rows, counted over all splits: those of the second begin where the
    first ends.

  Raises:
    UserError: unknown split, bad slice, or no record in it.
  """
  starts = dict(zip(lengths, np.cumsum([0, *lengths.values()]), strict=False))
  infos = {
    key: tfds.core.SplitInfo(
      name=key, shard_lengths=[n], num_bytes=0, filename_template=None
    )
    for key, n in lengths.items()
  }
  text = "+".join(lengths) if split == "all" else split
  try:
    parts = tfds.core.ReadInstruction.from_spec(text).to_absolute(infos)
  except ValueError as error:
    raise bad_split(split, name, lengths, error) from error
  rows = [
    starts[p.splitname] + np.arange(lengths[p.splitname])[slice(p.from_, p.to)]
    for p in parts
  ]
  rows = np.concatenate(rows)
  if not len(rows):
    raise UserError(f"Split {split!r} of {name} is empty; sizes: {lengths}.")
  return rows


def every_tenth(count: int) -> tuple[np.ndarray, dict[str, int]]:
  """Splits for files that have none: rows 9, 19, ... are `test`.

  Returns:
    The rows, first all of `train` and then all of `test`, and their lengths:
    what `select` counts in.
  """
  return split_rows(np.arange(count) % 10 == 9)


def split_rows(is_test: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
  """Returns rows, first those of `train`, and the lengths of both."""
  order = np.concatenate([np.flatnonzero(~is_test), np.flatnonzero(is_test)])
  test = int(is_test.sum())
  return order, {"train": len(is_test) - test, "test": test}


def bad_split(split, name, lengths, error) -> UserError:
  """One line for what TFDS says about a split string."""
  why = str(error).splitlines()[0].partition(". See format")[0]
  return UserError(
    f"Split {split!r} of {name}: {why.rstrip('.')}. Its splits: "
    f"{dict(lengths)}; slices look like train[:90%] or train+test."
  )


def checked_index(index: int, source: Source) -> int:
  """`index` as a non-negative int, or the IndexError that ends a for loop."""
  index = operator.index(index)
  if not -len(source) <= index < len(source):
    raise IndexError(f"{source.name} has {len(source)} records, not {index}.")
  return index % len(source)


def decoded(
  data: bytes, channels: int, index: int, source: "FileSource", **how
) -> np.ndarray:
  """`decode`, whose errors then name the record and its file."""
  try:
    return decode.decode(data, channels, **how)
  except UserError as error:
    # The type stays: only a damaged file (BrokenRecord) may be skipped, a wrong
    # number of channels is the config's fault.
    raise type(error)(
      f"Record {index} of {source.name} ({source.where(index)}) cannot be "
      f"decoded: {error}."
    ) from error
