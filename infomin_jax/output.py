"""Formats numbers and JSON for all commands: readable, and strict.

JSON has no infinity and no NaN, and strict readers refuse a file with one. Both
are written as `null`, which means that there is no number.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from infomin_jax.errors import UserError

_LONG = 1e6  # from here on, a number in full is hard to read


def to_json(value: Any, indent: int | None = None) -> str:
  """Returns strict JSON without a final line break.

  Args:
    value: plain data, which may contain paths, and numbers and arrays of NumPy
      or JAX.
    indent: spaces per level; None for one line.

  Raises:
    TypeError: `value` contains something else.
  """
  return json.dumps(
    _strict(value), indent=indent, allow_nan=False, default=os.fspath
  )


def write_json(path: pathlib.Path, value: Any, indent: int | None = 2) -> None:
  """Writes `to_json` and a line break; a killed process leaves no partial file.

  Args:
    path: the file, which is replaced.
    value: as in `to_json`.
    indent: as in `to_json`.
  """
  replace_text(path, to_json(value, indent) + "\n")


def read_json(path: pathlib.Path) -> Any:
  """Returns the content of a JSON file.

  Raises:
    UserError: the file is truncated or damaged.
  """
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise UserError(f"{path} is not valid JSON: {error}.") from error


def replace_text(path: pathlib.Path, text: str) -> None:
  """Writes a whole file or nothing, even if the process is killed."""
  if path.parts[:2] == ("/", "dev"):  # such as /dev/stdout
    path.write_text(text, encoding="utf-8")
    return
  path = pathlib.Path(os.path.realpath(path))  # a link stays a link
  part = path.with_name(f"{path.name}.{os.getpid()}.part")
  part.write_text(text, encoding="utf-8")
  os.replace(part, path)


def _strict(value: Any) -> Any:
  if isinstance(value, float):
    return value if math.isfinite(value) else None
  if isinstance(value, Mapping):
    return {key: _strict(x) for key, x in value.items()}
  if isinstance(value, list | tuple):
    return [_strict(x) for x in value]
  if hasattr(value, "tolist"):  # an array or number of NumPy or JAX
    return _strict(value.tolist())
  return value


def number(value: float | None, decimals: int = 2) -> str:
  """Returns a number for a sentence, never a long row of digits.

  Args:
    value: any number; None gives an empty text.
    decimals: digits after the point. Numbers from a million on have three
      digits and an exponent instead.
  """
  if value is None:
    return ""
  if not abs(value) < _LONG:
    return f"{value:.3g}"
  return f"{round(value, decimals) + 0.0:.{decimals}f}"  # 0.00, not -0.00


def duration(seconds: float) -> str:
  """Returns `02:03:04`, with the days in front if there are any."""
  if not math.isfinite(seconds):
    return "unknown"
  days, rest = divmod(round(max(seconds, 0)), 86_400)
  hours, rest = divmod(rest, 3600)
  clock = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
  return f"{days} d {clock}" if days else clock
