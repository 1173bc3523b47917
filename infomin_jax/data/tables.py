"""Columns of .csv, .tsv and .parquet files as numbers or category codes.

A column of text becomes codes 0, 1, ... of its distinct texts in sorted order.
A column that mixes numbers and text, or lacks a value, is refused.
"""

import contextlib
import csv
import dataclasses
import itertools
import pathlib
from collections.abc import Generator, Iterable, Sequence

import numpy as np

from infomin_jax.errors import UserError, nearest

SUFFIXES = (".csv", ".tsv", ".parquet")
_ROWS = 50_000  # parsed at a time: Python strings take ten times their numbers


@dataclasses.dataclass(frozen=True)
class Column:
  """One column of a table.

  Attributes:
    values: `[n]` bool, int or float; codes if the column is text.
    labels: the texts that the codes stand for; empty if it has numbers.
  """

  values: np.ndarray
  labels: tuple[str, ...] = ()


def names(path: pathlib.Path) -> tuple[str, ...]:
  """The names of the columns, in the order of the file.

  A .csv or .tsv file whose first line has only numbers has no header: its
  columns are called 0, 1, ....
  """
  if path.suffix == ".parquet":
    with _parquet(path) as file:
      found = tuple(file.schema_arrow.names)
  else:
    with path.open("rb") as file:
      if not file.read(1):
        raise UserError(f"{path} is empty: expected a table with a header.")
    with contextlib.closing(_rows(path)) as rows:
      found = _header(next(rows, (0, []))[1])[0]
  twice = sorted({name for name in found if found.count(name) > 1})
  if twice or not found:
    raise UserError(
      f"{path}: expected columns of different names, got "
      f"{'no column' if not found else f'{twice[0]!r} twice'}."
    )
  return found


def read(
  path: pathlib.Path, wanted: Sequence[str], argument: str
) -> dict[str, Column]:
  """The wanted columns by name; `argument` asked for them, for messages."""
  known = names(path)
  for name in wanted:
    if name not in known:
      raise UserError(
        f"{argument}: {path} has no column {name!r}: {nearest(name, known)}"
      )
  if path.suffix == ".parquet":
    return {name: _parquet_column(path, name) for name in wanted}
  return _read_text(path, known, wanted)


# --- text -------------------------------------------------------------------


def _rows(path) -> Generator[tuple[int, list[str]]]:
  """(line number, cells) of each line that is not blank."""
  delimiter = "\t" if path.suffix == ".tsv" else ","
  try:
    with path.open(encoding="utf-8-sig", newline="") as file:
      reader = csv.reader(file, delimiter=delimiter)
      for row in reader:
        if row:
          yield reader.line_num, [cell.strip() for cell in row]
  except (csv.Error, UnicodeDecodeError) as error:
    raise UserError(
      f"{path} is no {path.suffix} text in UTF-8: {error}; export it again."
    ) from error
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _header(row):
  """The names that the first row gives, and whether it is a header."""
  if row and all(_number(cell) is not None for cell in row):
    return tuple(str(i) for i in range(len(row))), False
  return tuple(row), True


def _number(cell: str) -> float | None:
  # Python reads 1_2 as 12; in a file it is a name.
  if "_" in cell:
    return None
  try:
    return float(cell)
  except ValueError:
    return None


def _read_text(path, known, wanted):
  rows: Iterable = _rows(path)
  first = next(iter(rows))
  if not _header(first[1])[1]:
    rows = itertools.chain([first], rows)
  places = {name: known.index(name) for name in wanted}
  parts: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
  while chunk := list(itertools.islice(rows, _ROWS)):
    for line, row in chunk:
      if len(row) != len(known):
        raise UserError(
          f"{path}, line {line}: expected {len(known)} cells as in the first "
          f"line, got {len(row)}."
        )
    for name, place in places.items():
      cells = [row[place] for _, row in chunk]
      text = bool(parts[name]) and parts[name][0].dtype.kind == "U"
      if not parts[name]:
        text = _number(cells[0]) is None
      _check_cells(cells, text, [line for line, _ in chunk], path, name)
      parts[name].append(np.array(cells) if text else _numbers(cells))
  if not all(parts.values()):
    raise UserError(f"{path} has a header but no row.")
  return {
    name: _coded(np.concatenate(arrays)) for name, arrays in parts.items()
  }


def _check_cells(cells, text, lines, path, name):
  for line, cell in zip(lines, cells, strict=True):
    if not cell:
      problem = "the cell is empty; fill it or drop the row"
    elif "\0" in cell:
      problem = "the cell has zero bytes; this is no text file"
    elif text == (_number(cell) is None):
      continue
    elif text:
      problem = f"expected text as in the first row, got {cell!r}"
    else:
      problem = f"expected a number as in the first row, got {cell!r}"
    raise UserError(f"{path}, line {line}, column {name!r}: {problem}.")


def _numbers(cells):
  try:
    return np.array([int(cell) for cell in cells], np.int64)
  except (ValueError, OverflowError):
    return np.array([float(cell) for cell in cells])


def _coded(values):
  if values.dtype.kind != "U":
    return Column(values)
  labels, codes = np.unique(values, return_inverse=True)
  return Column(codes, tuple(labels.tolist()))


# --- parquet ----------------------------------------------------------------


@contextlib.contextmanager
def _parquet(path):
  """The open file; what goes wrong in it becomes one line."""
  try:
    import pyarrow.parquet
  except ImportError as error:
    raise UserError(
      f"Reading {path} needs pyarrow: pip install 'infomin-jax[parquet]'."
    ) from error
  try:
    with pyarrow.parquet.ParquetFile(path) as file:
      yield file
  except (pyarrow.ArrowException, OSError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise UserError(f"{path} is no readable .parquet file: {reason}") from error


def _parquet_column(path, name):
  with _parquet(path) as file:
    from pyarrow import types

    column = file.read(columns=[name]).column(name)
    kind = column.type
    if types.is_dictionary(kind):
      kind = kind.value_type
      column = column.cast(kind)
    if column.null_count:
      row = column.is_null().to_pylist().index(True)
      raise UserError(
        f"{path}, row {row} (from 0), column {name!r}: the value is missing; "
        "fill it or drop the row."
      )
    if types.is_string(kind) or types.is_large_string(kind):
      return _coded(np.array(column.to_pylist(), np.str_))
    numeric = (types.is_boolean, types.is_integer, types.is_floating)
    if any(is_kind(kind) for is_kind in numeric):
      return Column(np.array(column.to_numpy()))
  raise UserError(
    f"{path}, column {name!r}: expected numbers or text, got {kind}; convert "
    "it to one of them."
  )
