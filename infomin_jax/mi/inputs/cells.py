"""Parses text cells of a table: decimal marks, grouped digits, units."""

import math
import re
from collections.abc import Iterable, Sequence

# Cells that mark a missing value in files of R, pandas, SQL and Excel.
MISSING = frozenset(
  "na n/a #n/a <na> nan null none nil missing - -- --- ? . #null! #value! "
  "#div/0! #ref! #name? #num!".split()
)
# Separators of groups of three digits, in addition to the other decimal mark.
_SPACES = "'\u2019 \u00a0\u202f"
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d?[./-]\d\d?[./-]\d{2,4}|\d\d?:\d\d")
_UNITS = "%$\u20ac\u00a3\u00a5"


def _pattern(mark, groups):
  groups, mark = f"[{re.escape(groups)}]", re.escape(mark)
  whole = rf"[1-9]\d{{0,2}}(?P<group>{groups})\d{{3}}(?:(?P=group)\d{{3}})*|\d+"
  number = rf"(?:{whole})(?:{mark}\d*)?|{mark}\d+"
  return re.compile(rf"[+-]?(?:{number})(?:[eE][+-]?\d+)?")


# decimal mark -> separators of groups, and the pattern of a number with both
_GROUPS = {".": "," + _SPACES, ",": "." + _SPACES}
_NUMBERS = {mark: _pattern(mark, groups) for mark, groups in _GROUPS.items()}


def number(cell: str) -> float | None:
  """Returns the number that Python reads in a cell, or None (also for 1_2)."""
  if "_" in cell:
    return None
  try:
    return float(cell)
  except ValueError:
    return None


def missing(cell: str) -> bool:
  """Returns whether a cell is a usual mark of a missing value."""
  return cell.lower() in MISSING


def written(cell: str) -> set[str]:
  """Returns the decimal marks with which a cell is a number.

  "1,5" is a number with a comma, "1.5" with a point, and "12" and "1,234" with
  either. "1_2" and "12 kg" are not numbers.
  """
  return {mark for mark, form in _NUMBERS.items() if form.fullmatch(cell)}


def decimal_mark(cells: Iterable[str]) -> str | None:
  """Returns the mark with which all cells are numbers; None if both are.

  Raises:
    ValueError: there is no mark with which all cells are numbers.
  """
  marks = {".", ","}
  marked = False
  for cell in cells:
    marks &= written(cell)
    marked |= "." in cell or "," in cell
  if not marks:
    raise ValueError("no numbers")
  if len(marks) == 1 or not marked:
    return max(marks)
  return None


def plain(cell: str, mark: str) -> str:
  """Returns a number with this decimal mark as Python writes it."""
  for group in _GROUPS[mark]:
    cell = cell.replace(group, "")
  return cell.replace(mark, ".")


def numeric(cell: str) -> bool:
  """Returns whether a cell is a finite number, with either decimal mark."""
  value = number(cell)
  return bool(written(cell)) or (value is not None and math.isfinite(value))


def dates(cells: Iterable[str]) -> bool:
  """Returns whether all cells begin like a date or a time of day."""
  return all(map(_DATE.match, cells))


def with_unit(cells: Sequence[str]) -> bool:
  """Returns whether all cells are numbers with one unit, such as 5 % or 12 kg.

  Up to ten different numbers with the same letters, such as 2D and 3D, may be
  names.
  """
  units = {cell.strip("+-.,0123456789 ") for cell in cells}
  if len(units) != 1 or "" in units:
    return False
  (unit,) = units
  if unit not in tuple(_UNITS) and len(cells) <= 10:
    return False
  return all(
    written(cell.replace(unit, "").strip())
    and (unit in tuple(_UNITS) or cell.endswith(unit))
    for cell in cells
  )
