"""What a user gets for bad input: one clear line, and names that resolve.

Every table of names in the project is a plain dict (`ENCODERS`, `CRITICS`,
...). `build` turns a config entry such as `{"name": "resnet18", "dim": 64}`
into a call of the function or class of that name.
"""

import difflib
import importlib.util
import inspect
import math
import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class UserError(ValueError):
  """Bad input: the command line prints this as one line and exits with 2."""


def missing(library: str, install: str, error: ImportError) -> UserError:
  """Says what to do about an import that failed.

  Args:
    library: that was to be imported, a top-level name.
    install: what to give to pip.
    error: of the import; perhaps of another library that this one needs.
  """
  if importlib.util.find_spec(library) is None:
    return UserError(f"{library} is not installed: pip install {install}.")
  why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
  return UserError(
    f"{library} is installed but cannot be imported ({why}): pip install "
    f"--upgrade {install}{_and(library, error.name)}."
  )


def _and(library: str, name: str | None) -> str:
  """The other library that is not there, for pip."""
  other = (name or library).partition(".")[0]
  return "" if other == library else f" {other}"


def nearest(name: str, known) -> str:
  """The known names, the likeliest meant ones first: text for an error."""
  known = sorted(str(k) for k in known)
  close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
  meant = f"did you mean {' or '.join(close)}? " if close else ""
  return f"{meant}Known: {', '.join(known) or 'none'}."


def lookup(
  kind: str, name: str, table: Mapping[str, Any], hint: str = ""
) -> Any:
  """`table[name]`, or a UserError that lists the known names.

  Args:
    kind: what the table holds, for the message (`encoder`).
    name: the name asked for.
    table: the known names.
    hint: what else may help, a sentence.
  """
  if name not in table:
    known = f"Unknown {kind} {name!r}: {nearest(name, table)}"
    raise UserError(f"{known} {hint}".rstrip())
  return table[name]


def check_tuple(where: str, value: Any, annotation: Any) -> None:
  """Refuses what is not the tuple of numbers that an annotation asks for.

  Args:
    where: the key, for the message.
    value: what it is set to.
    annotation: such as `tuple[int, ...]` or `tuple[float, float]`; others,
      and tuples of other things, are not checked.
  """
  if typing.get_origin(annotation) is not tuple:
    return
  kinds = typing.get_args(annotation)
  kind = {int: numbers.Integral, float: numbers.Real}.get(kinds[0])
  if kind is None:
    return
  many = kinds[-1] is Ellipsis
  if (
    not isinstance(value, Sequence)
    or (not many and len(value) != len(kinds))
    or not all(isinstance(x, kind) and type(x) is not bool for x in value)
    or not all(map(math.isfinite, value))
  ):
    what = "whole numbers" if kinds[0] is int else "numbers"
    count = "" if many else f"{len(kinds)} "
    raise UserError(f"{where} is {value!r}: expected {count}{what}.")


def build(
  kind: str, options: Mapping[str, Any], table: Mapping[str, Callable], **given
):
  """Calls `table[options["name"]]` with the other options and `given`.

  Args:
    kind: what is built, as in `config.<kind>`, for messages.
    options: a config entry with a `name`; its other keys are arguments.
    table: name -> function or class.
    **given: arguments that the code, not the config, supplies.

  Raises:
    UserError: unknown name, or an option that the callee does not take or
      misses (the message lists what it takes), or a tuple of other things
      than its annotation says.
  """
  options = dict(options)
  name = options.pop("name", None)
  make = lookup(kind, name, table)
  parameters = inspect.signature(make).parameters
  takes = {
    key: p
    for key, p in parameters.items()
    if key not in given and key not in ("parent", "name")
  }
  for key in options:
    if key not in takes:
      raise UserError(
        f"Unknown key config.{kind}.{key} for {name!r}: {nearest(key, takes)}"
      )
  for key, p in takes.items():
    if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD:
      if key not in options:
        raise UserError(f"config.{kind}.{key} is missing: {name!r} needs it.")
    if key in options:
      check_tuple(f"config.{kind}.{key}", options[key], p.annotation)
  return make(**options, **given)
