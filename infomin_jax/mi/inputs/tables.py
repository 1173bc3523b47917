"""Reads columns of .csv, .tsv and .parquet files as numbers or category codes.

A column of text becomes codes 0, 1, ... of its distinct texts in sorted order.
All rows decide whether a column is text or numbers. A column that mixes both,
or lacks a value, is refused. `dialect` detects delimiters and decimal marks.
"""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np

from infomin_jax.errors import UserError, nearest
from infomin_jax.mi.inputs import cells
from infomin_jax.mi.inputs.dialect import DELIMITERS, readable, rows_of, sniff

SUFFIXES = (".csv", ".tsv", ".parquet")
# Rows parsed at a time: Python strings take ten times as much memory as
# numbers.
_ROWS = 50_000


@dataclasses.dataclass(frozen=True)
class Column:
  """One column of a table.

  Attributes:
    values: `[n]` bool, int or float; codes if the column is text.
    labels: the texts that the codes stand for; empty if it has numbers.
    notes: how it was read, one line each, where that is not obvious.
  """

  values: np.ndarray
  labels: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def names(path: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of the columns, in the order of the file.

  A .csv or .tsv file whose first line has only numbers has no header: its
  columns are called 0, 1, .... If these numbers are whole and all below are
  fractions, they are the names.
  """
  if path.suffix.lower() == ".parquet":
    with _parquet(path) as file:
      return _checked(path, tuple(file.schema_arrow.names))
  return _checked(path, sniff(path).names)


def _checked(path, found):
  repeated = sorted({name for name in found if found.count(name) > 1})
  if repeated or not found:
    raise UserError(
      f"{path}: expected columns of different names, got "
      f"{'no column' if not found else f'{repeated[0]!r} twice'}."
    )
  return found


def read(
  path: pathlib.Path, wanted: Sequence[str], argument: str
) -> dict[str, Column]:
  """Returns the columns `wanted`, by name; messages name `argument`."""
  existing = names(path)
  for name in wanted:
    if name not in existing:
      raise UserError(
        f"{argument}: {path} has no column {name!r}: {nearest(name, existing)}"
      )
  if path.suffix.lower() == ".parquet":
    return {name: _parquet_column(path, name) for name in wanted}
  return _read_text(path, sniff(path), wanted)


# --- text -------------------------------------------------------------------


def _read_text(path, dialect, wanted):
  # With decimal commas, 1.234 may be 1234, so all cells are read as text.
  text = set(wanted) if dialect.mark == "," else set()
  while True:
    parts, lines, misread = _parts(path, dialect, wanted, text)
    if not misread:
      break
    text |= misread
  if not lines:
    raise UserError(f"{path} has a header but no row.")
  where = np.concatenate(lines)
  columns = {}
  for name, arrays in parts.items():
    column = Column(np.concatenate(arrays))
    if column.values.dtype.kind == "U":
      places = _Places(path, name, "line {}", where)
      column = _decided(column.values, places, dialect.mark)
    notes = (*dialect.notes, *column.notes)
    columns[name] = dataclasses.replace(column, notes=notes)
  return columns


def _parts(path, dialect, wanted, text):
  """Returns arrays of each column, line numbers, and a misread column.

  All rows decide on a column. So a column whose first text comes after rows of
  numbers must be read again from its first row.
  """
  places = {name: dialect.names.index(name) for name in wanted}
  parts: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
  lines: list[np.ndarray] = []
  text = set(text)
  with readable(path), contextlib.closing(rows_of(path, dialect)) as rows:
    while chunk := list(itertools.islice(rows, _ROWS)):
      _check_widths(chunk, dialect, path)
      for name, place in places.items():
        texts = [row[place] for _, row in chunk]
        numbers = None if name in text else _numbers(texts)
        if numbers is None and name not in text:
          if lines:
            return parts, lines, {name}
          text.add(name)
        if numbers is None:
          numbers = _texts(texts, chunk, path, name)
        parts[name].append(numbers)
      lines.append(np.array([line for line, _ in chunk]))
  return parts, lines, set()


def _texts(found, chunk, path, name):
  for (line, _), cell in zip(chunk, found, strict=True):
    if "\0" in cell:  # NumPy would cut the cell here.
      raise UserError(
        f"{path}, line {line}, column {name!r}: the cell has zero bytes, so "
        "this is not text in UTF-8."
      )
  return np.array(found)


def _check_widths(chunk, dialect, path):
  width = len(dialect.names)
  for line, row in chunk:
    if len(row) < width or any(row[width:]):
      hint = f" between {DELIMITERS.get(dialect.delimiter, 'delimiter')}s"
      if len(row) == width + 1 and dialect.header:
        hint += "; from R: write.table(..., row.names = FALSE)"
      raise UserError(
        f"{path}, line {line}: expected {width} cells as in the first "
        f"line, got {len(row)}{hint}."
      )


def _numbers(found):
  """Returns the cells as an array of numbers; None if a cell is not one."""
  if any("_" in cell for cell in found):
    return None  # Python reads 1_2 as 12; in a file it is a name
  with contextlib.suppress(ValueError):
    return _as_numbers(found)
  return None


def _as_numbers(found) -> np.ndarray:
  """Returns integers if all cells are, else floats; may raise ValueError."""
  with contextlib.suppress(ValueError, OverflowError):
    return np.array(list(map(int, found)), np.int64)
  return np.array(list(map(float, found)), np.float64)


# --- what a column of text is -----------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Places:
  """The positions of rows, for messages; `lines[i]` belongs to row i."""

  path: pathlib.Path
  name: str
  words: str
  lines: np.ndarray

  def refused(self, row: int, problem: str, more: int) -> UserError:
    where = self.words.format(self.lines[row])
    others = f" ({more:,} more such row{'s' * (more > 1)})" if more else ""
    return UserError(
      f"{self.path}, {where}, column {self.name!r}: {problem}{others}."
    )


def _decided(values, places, mark) -> Column:
  """Returns numbers or codes, as all rows of a column of text decide.

  Args:
    values: `[n]` texts.
    places: positions of the rows, for messages.
    mark: the decimal mark of the file, empty if it is not known.
  """
  labels, first, codes, counts = np.unique(
    values, return_index=True, return_inverse=True, return_counts=True
  )
  texts = labels.tolist()
  numeric = np.array([cells.numeric(text) for text in texts])

  def check(bad, problem):
    """Raises for a column in which some labels, given by index, are bad."""
    if len(bad):
      worst = min(bad, key=lambda i: first[i])
      shown = problem.format(texts[worst][:40])
      raise places.refused(first[worst], shown, int(counts[bad].sum()) - 1)

  check(
    [i for i, text in enumerate(texts) if not text],
    "the cell is empty; fill it or drop the row",
  )
  if not numeric.any():
    if cells.with_unit(texts):
      check(range(len(texts)), "{!r} has a unit; write the number alone")
    return Column(codes, tuple(texts), _text_notes(texts, counts, places.name))
  check(*_minority(texts, numeric, counts, np.argmin(first)))
  try:
    shown = cells.decimal_mark(texts) or mark
  except ValueError:
    commas = [i for i, text in enumerate(texts) if "," in text]
    check(commas, "{!r} has a comma, but other rows have a decimal point")
    raise AssertionError("unreachable: all are numbers") from None
  if not shown:
    check(
      [i for i, text in enumerate(texts) if "," in text or "." in text],
      "{!r} has a decimal comma or digits in groups; write 1234.5",
    )
  numbers = _as_numbers([cells.plain(text, shown) for text in texts])
  return Column(numbers[codes], (), _number_notes(texts, shown, places.name))


def _minority(texts, numeric, counts, head):
  """Returns labels that differ in kind from most rows, and the problem.

  Args:
    texts: the labels.
    numeric: whether each is a number.
    counts: rows of each.
    head: the label of the first row, which decides between equal counts.
  """
  absent = np.array([cells.missing(text) for text in texts])
  numbers = counts[numeric].sum()
  words = counts[~numeric & ~absent].sum()
  if words > numbers or (words == numbers and not numeric[head]):
    problem = "expected text as in most rows, got {!r}; write all as text"
    return np.flatnonzero(numeric), problem
  problem = "expected a number as in most rows, got {!r}; "
  if words:
    problem += "write all rows as numbers, or all as text"
  else:
    problem += "fill it or drop the row"
  return np.flatnonzero(~numeric), problem


def _text_notes(texts, counts, name):
  notes = []
  for text, count in zip(texts, counts, strict=True):
    if cells.missing(text) and len(texts) > 1:
      notes.append(
        f"column {name!r}: {text!r} is a category of {count:,} rows. If it "
        "stands for a missing value, drop these rows."
      )
  if cells.dates(texts):
    notes.append(
      f"column {name!r} holds dates or times as text. Convert them to "
      "numbers, such as days, if their order matters."
    )
  return tuple(notes)


def _number_notes(texts, mark, name):
  changed = next((t for t in texts if cells.plain(t, mark) != t), None)
  if changed is None:
    return ()
  result = cells.plain(changed, mark)
  return (f"column {name!r}: {changed} is read as {result}.",)


# --- parquet ----------------------------------------------------------------


@contextlib.contextmanager
def _parquet(path):
  """Yields the open file; errors in it become a UserError of one line."""
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
    raise UserError(
      f"{path} is not a readable .parquet file: {reason}"
    ) from error


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
      texts = np.array([text.strip() for text in column.to_pylist()], np.str_)
      places = _Places(path, name, "row {} (from 0)", np.arange(len(texts)))
      return _decided(texts, places, "")
    numeric = (types.is_boolean, types.is_integer, types.is_floating)
    if any(is_kind(kind) for is_kind in numeric):
      return Column(np.array(column.to_numpy()))
  raise UserError(
    f"{path}, column {name!r}: expected numbers or text, got {kind}; convert "
    "it to one of them."
  )
