"""Finds the format of a .csv or .tsv file: encoding, delimiter, names, marks.

The first rows decide. What they leave open is refused, not guessed.
"""

import contextlib
import csv
import dataclasses
import itertools
import pathlib
import re
from collections.abc import Generator, Iterable, Sequence

from infomin_jax.errors import UserError
from infomin_jax.mi.inputs import cells

_HEAD = 1 << 18  # characters that are read
# Delimiters and their names; a space stands for any white space.
DELIMITERS = {
  ",": "comma",
  ";": "semicolon",
  "\t": "tab",
  "|": "bar",
  " ": "space",
}
_SINGLE = (",", ";", "\t", "|")
_MARKS = {
  b"\xef\xbb\xbf": "utf-8-sig",
  b"\xff\xfe": "utf-16",
  b"\xfe\xff": "utf-16",
}
# With more rows than this, whole numbers above fractions are read as a header.
_ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class Dialect:
  """The format of a text table.

  Attributes:
    encoding: for `open`.
    skipped: lines before the first row of cells.
    delimiter: between cells; a space stands for any white space.
    names: of the columns.
    header: whether the first row has the names.
    mark: the decimal mark in the first rows, `.` or `,`; empty if they have
      none.
    notes: facts for the user, one line each.
  """

  encoding: str
  skipped: int
  delimiter: str
  names: tuple[str, ...]
  header: bool
  mark: str
  notes: tuple[str, ...]


def sniff(path: pathlib.Path) -> Dialect:
  """Returns the dialect of a file, from its first rows.

  Raises:
    UserError: an empty or unreadable file, or several columns of which the
      first line names only one.
  """
  with readable(path):
    return _sniffed(path, _encoding(path))


def _sniffed(path, encoding):
  lines = _first_lines(path, encoding)
  skipped, forced, comments = _preamble(lines)
  rest = lines[skipped:]
  delimiter = forced or _delimiter(rest, path)
  rows = list(_nonblank(split(rest, delimiter)))
  comment = _commented_header(comments, delimiter, rows)
  if comment:
    names, header, notes = comment, False, ()
  else:
    names, header, notes = _header(rows)
  mark = _mark(rows[header:], delimiter)
  usual = "\t" if path.suffix.lower() == ".tsv" else ","
  if delimiter != usual and len(names) > 1:
    called = DELIMITERS.get(delimiter, repr(delimiter))
    note = f"{path}: the delimiter is the {called}"
    note += ", the decimal mark is the comma" * (mark == ",")
    notes = (f"{note}.", *notes)
  return Dialect(encoding, skipped, delimiter, names, header, mark, notes)


def rows_of(
  path: pathlib.Path, dialect: Dialect
) -> Generator[tuple[int, list[str]]]:
  """Yields (line number, cells) of each row of values.

  In a table of one column, blank lines are empty cells, except at its end. In
  other tables they are skipped.
  """
  pending: list[tuple[int, list[str]]] = []
  with opened(path, dialect.encoding) as file:
    rest = itertools.islice(file, dialect.skipped, None)
    header = dialect.header
    for line, row in split(rest, dialect.delimiter):
      if header:
        header = not any(row)
        continue
      if any(row):
        yield from pending
        pending = []
        yield line + dialect.skipped, row
      elif row or len(dialect.names) == 1:
        pending.append((line + dialect.skipped, row or [""]))


@contextlib.contextmanager
def readable(path: pathlib.Path) -> Generator[None]:
  """Turns errors in the text into a UserError of one line."""
  try:
    yield
  except (csv.Error, UnicodeError) as error:
    hint = "export it again"
    if isinstance(error, UnicodeError):
      hint = "save it as CSV UTF-8, or: iconv -f cp1252 -t utf-8"
    raise UserError(
      f"{path} is not {path.suffix} text in UTF-8 ({error}); {hint}."
    ) from error


def opened(path: pathlib.Path, encoding: str):
  """Returns the open text; lines keep their ends, as `csv` requires."""
  try:
    return path.open(encoding=encoding, newline="")
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def split(
  lines: Iterable[str], delimiter: str
) -> Generator[tuple[int, list[str]]]:
  """Yields (line number from 1, stripped cells) of each line."""
  if delimiter == " ":
    for number, line in enumerate(lines, 1):
      matches = re.findall(r'"([^"]*)"|(\S+)', line)
      yield number, [quoted or plain for quoted, plain in matches]
    return
  reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
  for row in reader:
    yield reader.line_num, [cell.strip() for cell in row]


# --- the first lines --------------------------------------------------------


def _encoding(path):
  try:
    with path.open("rb") as file:
      start = file.read(1024)
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error.strerror}.") from error
  if not start:
    raise UserError(f"{path} is empty: expected a table with a header.")
  for mark, encoding in _MARKS.items():
    if start.startswith(mark):
      return encoding
  if b"\0" in start:
    raise UserError(
      f"{path} has zero bytes, so it is not text in UTF-8 (perhaps UTF-16 "
      "without a byte order mark). Save it as CSV UTF-8."
    )
  return "utf-8"


def _first_lines(path, encoding):
  with opened(path, encoding) as file:
    lines = file.readlines(_HEAD)
    more = bool(file.read(1))
  # The last row may be cut, or go on over several lines.
  return lines[:-1] if more and len(lines) > 2 else lines


def _preamble(lines):
  """Returns how many lines to skip, the delimiter of sep=, and comments."""
  skipped, forced, comments = 0, "", []
  for line in lines:
    text = line.strip("\r\n")
    if sep := re.fullmatch(r'"?sep=(.)"?[;,]*\s*', text, re.IGNORECASE):
      forced = sep[1]
    elif text.startswith("#"):
      comments.append(text)
    elif text.strip():
      break
    skipped += 1
  return skipped, forced, comments


def _nonblank(rows):
  return (row for _, row in rows if any(row))


# --- delimiter --------------------------------------------------------------


def _delimiter(lines, path):
  usual = "\t" if path.suffix.lower() == ".tsv" else ","
  best, chosen = (0.5, 0.0), ""
  for delimiter in (usual, *(d for d in _SINGLE if d != usual)):
    fit = _fit(lines, delimiter)
    if fit > best:
      best, chosen = fit, delimiter
  if chosen:
    return chosen
  if _spaced(lines):
    return " "
  _check_one_column(lines, usual, path)
  return usual


def _fit(lines, delimiter):
  """Returns the share of rows as wide as the first, and of unmixed cells.

  A mixed cell contains another delimiter and is no number.
  """
  rows = list(_nonblank(split(lines, delimiter)))
  width = _width(rows[0]) if rows else 0
  if width < 2:
    return 0.0, 0.0
  fits = [len(row) >= width and not any(row[width:]) for row in rows]
  others = [d for d in _SINGLE if d != delimiter]
  every = list(itertools.chain(*rows))
  mixed = sum(
    any(d in cell for d in others) and not cells.written(cell) for cell in every
  )
  return sum(fits) / len(rows), 1 - mixed / len(every)


def _width(row):
  """Returns the number of cells of a row, without empty ones at its end."""
  while row and not row[-1]:
    row = row[:-1]
  return len(row)


def _spaced(lines):
  """Returns whether all rows are numbers between spaces."""
  rows = list(_nonblank(split(lines, " ")))
  if len(rows) < 2:
    return False
  width, names = len(rows[-1]), len(rows[0])
  # R omits the name of the column of row names.
  first = 1 if names == width - 1 else 0
  return (
    width > 1
    and names in (width, width - 1)
    and all(len(row) == width and _all_numbers(row[first:]) for row in rows[1:])
  )


def _check_one_column(lines, usual, path):
  for delimiter in _SINGLE:
    rows = list(split(lines, delimiter))
    rows = [(line, row) for line, row in rows if any(row)]
    wide = {len(row) for _, row in rows[1:]}
    if delimiter != usual and len(wide) == 1 and min(wide) > 1:
      raise UserError(
        f"{path}: expected a line of names first, then rows of as many "
        f"cells. Between {DELIMITERS[delimiter]}s the first line has "
        f"{len(rows[0][1])} cells and the others have {min(wide)}."
      )


# --- names and marks --------------------------------------------------------


def _header(rows):
  """Returns the column names, whether the first row is a header, and notes."""
  first = rows[0] if rows else []
  first = first[: _width(first)]
  if not first or not _all_numbers(first):
    return tuple(first), True, ()
  default = tuple(str(i) for i in range(len(first)))
  whole = [re.fullmatch(r"\d+", cell) is not None for cell in first]
  columns = [_fractions(column) for column in zip(*rows[1:], strict=False)]
  counted = tuple(first) == default and any(columns)
  if all(whole) and columns and len(set(first)) == len(first):
    if counted or (all(columns) and len(rows) > _ENOUGH):
      examples = ", ".join(first[:5]) + ", ..." * (len(first) > 5)
      note = f"the first line ({examples}) is taken as names of the columns"
      return tuple(first), True, (f"{note}: all below it are fractions.",)
  return default, False, ()


def _fractions(column: Sequence[str]) -> bool:
  return all(re.search(r"[.,eE]", c) and cells.written(c) for c in column)


def _all_numbers(row):
  return all(cells.number(c) is not None or cells.written(c) for c in row)


def _commented_header(comments, delimiter, rows):
  """Returns names after a #, as np.savetxt writes them; () if none."""
  if not comments or not rows or not any(map(cells.written, rows[0])):
    return ()
  ((_, last),) = split([comments[-1].lstrip("# ")], delimiter)
  same = len(last) == len(rows[0]) and not _all_numbers(last)
  return tuple(last) if same else ()


def _mark(rows, delimiter):
  """Returns the decimal mark of the cells, if they agree; otherwise ""."""
  possible = [cells.written(cell) for row in rows for cell in row]
  marks = {min(marks) for marks in possible if len(marks) == 1}
  if len(marks) == 1:
    return min(marks)
  return "," if delimiter == ";" and not marks else ""
