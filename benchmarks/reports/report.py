"""The `Report`, and helpers for its check."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Generator
from typing import NamedTuple


class Report(NamedTuple):
  """A small version of a public bug report.

  Attributes:
    kind: a key of `KINDS`.
    given: the input in words.
    right: the right outcome in words.
    check: a function that is called in an empty folder, which is its argument.
      It builds the input, passes it to infomin_jax, and raises an error if the
      outcome is wrong.
  """

  kind: int
  given: str
  right: str
  check: Callable[[pathlib.Path], object]


# Number -> description of a line of the table.
KINDS: dict[int, str] = {
  1: "side folders of tools",
  2: "links to folders above, unreadable folders",
  3: "train, val and test folders",
  4: "files that are left out, rare suffixes",
  5: "orientation, alpha, channels",
  6: "damaged and unsupported images",
  7: "memory set by one image",
  8: "unknown labels",
  9: "groups and near-copies across a split",
  10: "paths: stores, ~, commas",
  11: "dialects of CSV, missing values",
  12: "columns that number the rows",
  13: "columns that are constant in part of the rows",
  14: "many classes on both sides",
  15: "more columns than rows",
  16: "checkpoints of other numbers of devices",
  17: "wrappings of a ResNet's weights",
  18: "weights that are no plain arrays",
  19: "normalization of imported weights",
  20: "export of every encoder",
  21: "longer training, own weights",
  22: "classes that are missing from a part",
  23: "imbalanced classes",
  24: "queues and banks larger than the data",
  25: "long runs",
  26: "keys of RandAugment",
  27: "two processes and one compilation cache",
  28: "strict JSON, readable numbers, libraries' own lines",
}


class Said(NamedTuple):
  """The exit status, stdout and stderr of a command."""

  status: int
  out: str
  err: str


def infomin(*arguments: str | os.PathLike) -> Said:
  """Runs `infomin ARGUMENTS` in this process."""
  from infomin_jax import cli

  status = 0
  with heard() as said:
    try:
      cli.main([str(argument) for argument in arguments])
    except SystemExit as error:
      status = int(error.code or 0)
  return Said(status, *said)


@contextlib.contextmanager
def heard() -> Generator[list[str]]:
  """Yields a list that receives stdout and stderr at the end.

  File descriptors are redirected, so that output of C code is included.
  """
  said: list[str] = []
  with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
    streams = [(fd, os.dup(fd), file) for fd, file in ((1, out), (2, err))]
    sys.stdout.flush(), sys.stderr.flush()
    for fd, _, file in streams:
      os.dup2(file.fileno(), fd)
    try:
      yield said
    finally:
      sys.stdout.flush(), sys.stderr.flush()
      for fd, old, file in streams:
        os.dup2(old, fd)
        os.close(old)
        file.seek(0)
        said.append(file.read().decode(errors="replace"))


def refused(did: Callable[[], object], *words: str) -> str:
  """Checks that a function raises a UserError of one line; returns the line.

  Args:
    did: the function.
    words: words that the line must contain.
  """
  from infomin_jax.errors import UserError

  try:
    result = did()
  except UserError as error:
    line = str(error)
  else:
    raise AssertionError(f"expected a refusal, got {result!r}")
  one_line(line, *words)
  return line


def one_line(text: str, *words: str) -> None:
  """Checks that a message is one line and contains the words."""
  assert len(text.strip().splitlines()) == 1, f"several lines: {text!r}"
  holds(text, *words)


def holds(text: str, *words: str) -> None:
  """Checks that a text has no traceback and contains the words."""
  assert "Traceback" not in text, text
  for word in words:
    assert word in text, f"expected {word!r} in {text!r}"
