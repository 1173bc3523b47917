"""Errors for bad input: one clear line, and names that resolve.

Every table of names in the project is a plain dict (`ENCODERS`, `CRITICS`,
...). `build` turns a config entry such as `{"name": "resnet18", "dim": 64}`
into a call of the function or class of that name.
"""

import difflib
import functools
import importlib.util
import inspect
import math
import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OWN_FILE = "If it is yours, give its file: --with FILE.py."


class UserError(ValueError):
  """Bad input: the command line prints this as one line and exits with 2."""


def missing(library: str, install: str, error: ImportError) -> UserError:
  """Returns an error that says how to fix a failed import.

  Args:
    library: the top-level name of what was imported.
    install: the argument for pip.
    error: the error of the import, perhaps from a dependency of the library.
  """
  if importlib.util.find_spec(library) is None:
    return UserError(f"{library} is not installed: pip install {install}.")
  why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
  return UserError(
    f"{library} is installed but cannot be imported ({why}): pip install "
    f"--upgrade {install}{_and(library, error.name)}."
  )


def _and(library: str, name: str | None) -> str:
  """Returns the missing dependency for pip, or ""."""
  other = (name or library).partition(".")[0]
  return "" if other == library else f" {other}"


def nearest(name: str, known) -> str:
  """Returns text for an error: the known names, most similar first."""
  known = sorted(str(k) for k in known)
  close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
  meant = f"did you mean {' or '.join(close)}? " if close else ""
  return f"{meant}Known: {', '.join(known) or 'none'}."


def lookup(
  kind: str, name: str, table: Mapping[str, Any], hint: str = ""
) -> Any:
  """Returns `table[name]`.

  Args:
    kind: what the table holds, for the message (`encoder`).
    name: the requested name.
    table: the known names.
    hint: an additional sentence for the message.

  Raises:
    UserError: an unknown name; the message lists the known names.
  """
  if name not in table:
    known = f"Unknown {kind} {name!r}: {nearest(name, table)}"
    raise UserError(f"{known} {hint}".rstrip())
  return table[name]


def check_declared(subclass: type, bases: tuple[type, ...]) -> None:
  """Refuses a public name that looks like a misspelled one of `bases`.

  A base class declares what may be overridden. A misspelled override would
  leave the default in force, without a word.

  Args:
    subclass: the class that was defined.
    bases: the classes that declare the names; the last one is its parent.
  """
  declared = {n for base in bases for n in vars(base) if n[0] != "_"}
  for name in {**vars(subclass), **subclass.__annotations__}:
    close = difflib.get_close_matches(name, declared, n=1, cutoff=0.85)
    if not name.startswith("_") and name not in declared and close:
      raise TypeError(
        f"{subclass.__name__}.{name} is unknown to {bases[-1].__name__}: did "
        f"you mean {close[0]}? If not, choose a name that differs more."
      )


def check_kind(where: str, value: Any, base: type) -> None:
  """Refuses a value that does not follow the contract of `base`."""
  if not isinstance(value, base):
    raise UserError(
      f"{where} is a {type(value).__name__}: expected a "
      f"{base.__module__}.{base.__name__}, or a class derived from it."
    )


def check_tuple(where: str, value: Any, annotation: Any) -> None:
  """Raises a UserError for a value that is not the annotated tuple of numbers.

  Args:
    where: the key, for the message.
    value: its value.
    annotation: such as `tuple[int, ...]` or `tuple[float, float]`. Other
      annotations, and tuples of other items, are not checked.
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
    UserError: as `bind` does.
  """
  return bind(kind, options, table, *given)(**given)


def bind(
  kind: str, options: Mapping[str, Any], table: Mapping[str, Callable], *later
) -> functools.partial:
  """Binds the options of a config entry to `table[options["name"]]`.

  Args:
    kind: what is configured, as in `config.<kind>`, for messages.
    options: a config entry with a `name`; its other keys are arguments.
    table: name -> function or class.
    *later: names of arguments that the caller passes, not the config.

  Raises:
    UserError: unknown name, or an option that the function does not take or
      misses (the message lists what it takes), or a tuple whose items are not
      of the annotated type.
  """
  options = dict(options)
  name = options.pop("name", None)
  if name is None:
    raise UserError(f"config.{kind}.name is missing: {nearest('', table)}")
  make = lookup(kind, name, table, OWN_FILE)
  parameters = inspect.signature(make).parameters
  takes = {
    key: p
    for key, p in parameters.items()
    if key not in later and key not in ("parent", "name")
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
  return functools.partial(make, **options)
