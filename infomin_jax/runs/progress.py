"""A run's terminal output, and the lines of its `metrics.jsonl`."""

import json
import math
import pathlib
import sys
import time

import jax
import rich.console
import rich.progress

from infomin_jax.errors import UserError
from infomin_jax.output import duration

METRICS = "metrics.jsonl"  # in the workdir
SILENCE = 5.0  # seconds without a line, after which a step prints one


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Returns the lines of a run's `metrics.jsonl`; [] if there is no file.

  Half a line at the end, left by a killed process, is skipped. `null` stands
  for a number that was not finite, and becomes NaN.

  Raises:
    UserError: a line before the last one has no metrics.
  """
  path = workdir / METRICS
  lines = whole_lines(path)
  # One call for all lines is faster, and the rows then share the strings of
  # their keys in memory.
  try:
    rows = json.loads(f"[{','.join(lines)}]")
    if len(rows) != len(lines):
      raise ValueError("two values in a line")
  except ValueError:
    rows = [_parsed(path, i, line) for i, line in enumerate(lines, 1)]
  for i, row in enumerate(rows, 1):
    if type(row) is not dict or "step" not in row:
      _parsed(path, i, lines[i - 1])
    if None in row.values():
      row.update({key: math.nan for key, x in row.items() if x is None})
  return rows


def whole_lines(path: pathlib.Path) -> list[str]:
  """Returns the lines of `metrics.jsonl`, without an incomplete last one."""
  if not path.exists():
    return []
  # `utf-8-sig`, since some editors write a byte order mark at the start.
  text = path.read_text(encoding="utf-8-sig", errors="replace")
  *lines, last = text.split("\n")
  lines += [last] if last.endswith("}") else []
  return [line for line in lines if line.strip()]


def _parsed(path: pathlib.Path, number: int, line: str) -> dict[str, float]:
  """Returns one row.

  Raises:
    UserError: it has no metrics; the message gives the line's number.
  """
  try:
    row = json.loads(line)
  except ValueError:
    row = None
  if type(row) is not dict or "step" not in row:
    raise UserError(
      f"{path} has no metrics in line {number}, which begins with "
      f"{line[:40]!r}: expected a line of `infomin train`. Remove this one."
    )
  return row


class Progress:
  """A progress bar on a terminal, plain lines otherwise; a context manager."""

  def __init__(self, total: int, start: int):
    console = rich.console.Console(stderr=True)
    self._bar = None
    self._total = total
    self._quiet = jax.process_index() != 0
    self._shown = time.monotonic()
    if console.is_terminal and not self._quiet:
      self._bar = rich.progress.Progress(
        "{task.description}",
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        "{task.fields[text]}",
        console=console,
      )
      self._task = self._bar.add_task(
        "training", total=total, completed=start, text=""
      )

  def __enter__(self):
    if self._bar:
      self._bar.start()
    return self

  def __exit__(self, *_):
    if self._bar:
      self._bar.stop()

  def advance(self, step: int) -> None:
    """Moves the bar to `step`, or prints a line after `SILENCE` seconds."""
    if self._bar:
      self._bar.update(self._task, completed=step)
    elif not self._quiet and time.monotonic() - self._shown > SILENCE:
      self._write(f"step {step}/{self._total}")

  def show(self, step: int, text: str, seconds_left: float) -> None:
    """Shows the newest metrics, next to the bar or as a line."""
    if self._quiet:
      return
    if self._bar:
      self._bar.update(self._task, completed=step, text=text)
    else:
      left = duration(seconds_left)
      self._write(f"step {step}/{self._total}  {text}  ETA {left}")

  def _write(self, line: str) -> None:
    say(line)
    self._shown = time.monotonic()


def say(line: str) -> None:
  """Prints one line to standard error, from process 0 only."""
  if jax.process_index() == 0:
    print(line, file=sys.stderr, flush=True)


def memory_bytes() -> int:
  """Returns the bytes in use: on the first accelerator, or in main memory."""
  stats = jax.local_devices()[0].memory_stats()
  if stats:
    return stats["bytes_in_use"]
  # macOS and Windows have no /proc; the figure is then 0.
  statm = pathlib.Path("/proc/self/statm")
  if not statm.exists():
    return 0
  return int(statm.read_text().split()[1]) * 4096
