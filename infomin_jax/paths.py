"""Paths on local disks in flags and arguments, with `~` as the home folder."""

import os
import pathlib
import re
from collections.abc import Callable

from absl import flags

from infomin_jax.errors import UserError

# gs://bucket, s3://bucket, and gs:/bucket, into which pathlib turns the first.
_STORE = re.compile(r"([A-Za-z][A-Za-z0-9+-]+):/+")


def local(argument: str, path: str | pathlib.Path) -> pathlib.Path:
  """Returns the path with `~` expanded.

  Args:
    argument: the option with the path, such as `--workdir`, for messages.
    path: as the user wrote it.

  Raises:
    UserError: the path is in an object store, or in the home of an unknown
      user.
  """
  if store := _STORE.match(str(path)):
    hint = (
      f"write it without {store[0]}"
      if store[1] == "file"
      else "mount the bucket, or copy it to a local folder"
    )
    raise UserError(
      f"{argument}: expected a path on a local disk, got {str(path)!r}: {hint}."
    )
  # Not `Path.expanduser`, which also takes ./~ for the home folder.
  expanded = os.path.expanduser(path)
  if str(path).startswith("~") and expanded == str(path):
    raise UserError(
      f"{argument}: {str(path)!r} names a user who has no home folder here."
    )
  return pathlib.Path(expanded)


def split(argument: str, text: str) -> list[str]:
  """Splits paths at commas, except commas in the name of an existing path.

  Args:
    argument: as in `local`.
    text: such as `runs/a,runs/b`.
  """
  paths: list[str] = []
  words = text.split(",")
  while words:
    # The longest run of words that is a path, or else one word. `Path.exists`
    # would raise for a name that is too long.
    runs = [
      local(argument, ",".join(words[:count]))
      for count in range(len(words), 0, -1)
    ]
    existing = [i for i, path in enumerate(runs) if os.path.exists(path)]
    index = existing[0] if existing else len(runs) - 1
    paths.append(str(runs[index]))
    del words[: len(runs) - index]
  return [path for path in paths if path not in ("", ".")]


class _Parser(flags.ArgumentParser):
  """Parses a path, or several."""

  def __init__(self, read: Callable[[str], str | list[str]]):
    super().__init__()
    self._read = read

  def parse(self, argument):
    if not argument or isinstance(argument, list):
      return argument
    return self._read(argument)


def define(
  name: str, default: str | None, about: str, values: flags.FlagValues
) -> None:
  """Defines a flag that is one path."""
  parser = _Parser(lambda text: str(local(f"--{name}", text)))
  flags.DEFINE(parser, name, default, about, flag_values=values)


def define_list(name: str, about: str, values: flags.FlagValues) -> None:
  """Defines a flag that is a list of paths, separated by commas."""
  parser = _Parser(lambda text: split(f"--{name}", text))
  serializer = flags.CsvListSerializer(",")
  flags.DEFINE(parser, name, [], about, values, serializer)
