"""Reads the two sides of paired samples from files, none of which is trusted.

Pickled objects are never loaded, so no file can run code.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from infomin_jax.errors import UserError, nearest
from infomin_jax.mi.inputs import tables
from infomin_jax.paths import local

SUFFIXES = (".npy", ".npz", *tables.SUFFIXES)


@dataclasses.dataclass(frozen=True)
class Side:
  """The values of x or y before any check, and their names for messages.

  Attributes:
    name: of the side, with its file.
    values: the values as read.
    columns: names of its columns, if they have names.
    labels: the texts that codes stand for, if it is text.
    notes: how it was read.
  """

  name: str
  values: Any
  columns: tuple[str, ...] = ()
  labels: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def read(
  x_path: str,
  y_path: str,
  x_columns: Sequence[str],
  y_columns: Sequence[str],
) -> tuple[Side, Side]:
  """Returns x and y as in the files, by the rules of `samples.read_paired`."""
  x_columns, y_columns = _split_names(x_columns), _split_names(y_columns)
  if not x_path:
    raise UserError(f"x_path is missing: give a {_or(SUFFIXES)} file.")
  if not y_path:
    return _one_file(x_path, x_columns, y_columns)
  x = _one_side("x", x_path, x_columns)
  return x, _one_side("y", y_path, y_columns)


def _one_file(text, x_columns, y_columns) -> tuple[Side, Side]:
  """Returns x and y from the one file that was given."""
  path, member = _locate("x_path", text)
  if path.suffix.lower() in tables.SUFFIXES:
    names = tables.names(path)
    if not x_columns and not y_columns and {"x", "y"} <= set(names):
      x_columns, y_columns = ("x",), ("y",)
    if not x_columns or not y_columns:
      raise UserError(
        f"{path} alone must give x and y: name the columns of both in "
        f"x_columns and y_columns, or give y_path; it has {', '.join(names)}."
      )
    if shared := sorted(set(x_columns) & set(y_columns)):
      raise UserError(
        f"Column {shared[0]!r} is in x_columns and in y_columns: the MI of a "
        "number with itself has no bound. Remove it from one of them."
      )
    return (
      _table_side("x", path, x_columns),
      _table_side("y", path, y_columns),
    )
  if path.suffix.lower() == ".npz" and not member:
    _no_columns(path, x_columns, y_columns)
    arrays = _read_npz(path, ("x", "y"))
    return Side(f"x ({path})", arrays["x"]), Side(f"y ({path})", arrays["y"])
  raise UserError(f"y_path is missing: {text} is one array, taken as x.")


def _one_side(which, text, columns) -> Side:
  """Returns x or y from the file given for it."""
  path, member = _locate(f"{which}_path", text)
  if path.suffix.lower() in tables.SUFFIXES:
    return _table_side(which, path, columns or tables.names(path))
  _no_columns(path, columns)
  if path.suffix.lower() == ".npy":
    return Side(f"{which} ({path})", _read_npy(path))
  names = (member,) if member else ()
  ((name, values),) = _read_npz(path, names, prefer=which).items()
  return Side(f"{which} ({path}:{name})", values)


def _table_side(which, path, columns):
  table = tables.read(path, columns, f"{which}_columns")
  name = f"{which} ({path})"
  every = [note for column in table.values() for note in column.notes]
  notes = tuple(dict.fromkeys(every))
  if len(columns) == 1:
    column = table[columns[0]]
    return Side(name, column.values, columns, column.labels, notes)
  for label, column in table.items():
    if column.labels:
      raise UserError(
        f"{which}_columns: {label!r} of {path} is text, which must be the only "
        f"column of {which}. Name only this column, or only columns of numbers."
      )
  stacked = np.stack([table[label].values for label in columns], axis=1)
  return Side(name, stacked, columns, notes=notes)


def _locate(argument, text) -> tuple[pathlib.Path, str]:
  """Returns the file and the name of the array in it, after a colon."""
  path, member = local(argument, text), ""
  if not path.exists() and ".npz:" in str(text):
    before, member = str(text).rsplit(":", 1)
    path = local(argument, before)
  if path.suffix.lower() not in SUFFIXES or not path.is_file():
    is_what = "is a folder" if path.is_dir() else "does not exist"
    if path.is_file():
      is_what = f"ends in {path.suffix!r}"
    elif path.exists() and not path.is_dir():
      is_what = "is not a regular file"
    raise UserError(
      f"{argument}: expected a {_or(SUFFIXES)} file; {text!r} {is_what}."
    )
  return path, member


def _read_npy(path) -> np.ndarray:
  try:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
  except Exception as error:  # a hostile header may raise anything
    raise _unreadable(path, error) from error
  if not isinstance(values, np.ndarray):
    values.close()
    raise UserError(f"{path} is an .npz archive; rename it to end in .npz.")
  return values


def _read_npz(path, names, prefer="") -> dict[str, np.ndarray]:
  """Returns the arrays `names`, or the one called `prefer`, or the only one."""
  try:
    # NumPy leaves the file open if it is no zip archive.
    with path.open("rb") as opened:
      file = np.load(opened, allow_pickle=False)
      if isinstance(file, np.ndarray):
        raise ValueError("it is one array; rename it to end in .npy")
      stored = list(file.files)
      if not names and (prefer in stored or len(stored) == 1):
        names = (prefer,) if prefer in stored else stored
      missing = [name for name in names or [prefer] if name not in stored]
      arrays = {} if missing else {name: file[name] for name in names}
  except Exception as error:  # a hostile archive may raise anything
    raise _unreadable(path, error) from error
  if missing:
    raise UserError(
      f"{path} has no array {missing[0]!r}: {nearest(missing[0], stored)} Name "
      f"one as {path}:NAME."
    )
  return arrays


def _unreadable(path, error) -> UserError:
  reason = (str(error).splitlines() or [type(error).__name__])[0]
  return UserError(
    f"{path} is not a {path.suffix} file of plain numbers (pickled objects "
    f"are never loaded): {reason or type(error).__name__}"
  )


def _no_columns(path, *columns):
  if any(columns):
    raise UserError(
      f"x_columns and y_columns are for {_or(tables.SUFFIXES)} files; {path} "
      "has no named columns."
    )


def _split_names(columns) -> tuple[str, ...]:
  if isinstance(columns, str):
    columns = columns.split(",") if columns else ()
  return tuple(columns)


def _or(suffixes) -> str:
  return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
