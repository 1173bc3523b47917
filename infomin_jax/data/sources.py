"""The contract of data sources, and shared code: splits, indices, decoding.

A source has random access and is picklable: it holds paths and opens files when
they are first read. Records are `{"image": uint8 [h, w, c], "label": int,
"index": int}`, without a label if there is none.
"""

import operator
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data import decode
from infomin_jax.errors import UserError


class Task(NamedTuple):
  """A classification task.

  Attributes:
    field: field of the records with the label, an int; negative if unknown.
    classes: number of classes.
    names: names of the classes, for reports; empty if they have none.
  """

  field: str
  classes: int
  names: tuple[str, ...] = ()


class Source(Protocol):
  """Random access to records; see the module's docstring.

  Attributes:
    name: name of the source, for messages and tables.
    tasks: name -> Task; empty if there are no labels.
    image_shape: `(h, w, c)`, or None if sizes vary.
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
  """A source whose `where` returns the file of a record, for messages."""

  def where(self, index: int) -> str: ...


class Subset:
  """Some records of a source; their field `index` is unchanged.

  Attributes:
    source: the source of the records.
    rows: indices of the records in it, int `[n]`.
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
  """Returns the rows of a TFDS split string in concatenated splits.

  Args:
    split: `train`, `test[:10%]`, `train+test[5:]`, or `all`.
    lengths: number of records of each split, in order.
    name: name of the data set, for messages.

  Returns:
    int64 rows, counted over all splits: the first row of the second split is
    the length of the first split.

  Raises:
    UserError: an unknown split, an invalid slice, or no records.
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
    slices = tfds.core.ReadInstruction.from_spec(text).to_absolute(infos)
  except ValueError as error:
    raise bad_split(split, name, lengths, error) from error
  rows = [
    starts[s.splitname] + np.arange(lengths[s.splitname])[slice(s.from_, s.to)]
    for s in slices
  ]
  rows = np.concatenate(rows)
  if not len(rows):
    raise UserError(f"Split {split!r} of {name} is empty; sizes: {lengths}.")
  return rows


def every_tenth(count: int) -> tuple[np.ndarray, dict[str, int]]:
  """Splits rows without given splits: rows 9, 19, ... are `test`.

  Returns:
    The rows, those of `train` first, and the lengths of both for `select`.
  """
  return split_rows(np.arange(count) % 10 == 9)


def split_rows(is_test: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
  """Returns the rows, those of `train` first, and the lengths of both."""
  order = np.concatenate([np.flatnonzero(~is_test), np.flatnonzero(is_test)])
  test = int(is_test.sum())
  return order, {"train": len(is_test) - test, "test": test}


def bad_split(split, name, lengths, error) -> UserError:
  """Makes a UserError from TFDS's error about a split string."""
  reason = str(error).splitlines()[0].partition(". See format")[0]
  return UserError(
    f"Split {split!r} of {name}: {reason.rstrip('.')}. Its splits: "
    f"{dict(lengths)}; slices look like train[:90%] or train+test."
  )


def checked_index(index: int, source: Source) -> int:
  """Returns `index` as a non-negative int.

  Raises:
    IndexError: out of range; it ends a for loop over a source.
  """
  index = operator.index(index)
  if not -len(source) <= index < len(source):
    raise IndexError(f"{source.name} has {len(source)} records, not {index}.")
  return index % len(source)


def decoded(
  data: bytes, channels: int, index: int, source: "FileSource", **how
) -> np.ndarray:
  """Calls `decode.decode`; its errors name the record and its file."""
  try:
    return decode.decode(data, channels, **how)
  except UserError as error:
    # The type is kept, because the pipeline may skip a damaged file
    # (BrokenRecord), but not an error of the config, such as wrong channels.
    raise type(error)(
      f"Record {index} of {source.name} ({source.where(index)}) cannot be "
      f"decoded: {error}."
    ) from error
