"""What a run shows on the terminal, and the lines it has written."""

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
SILENCE = 5.0  # seconds without a line, after which a step is worth one


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Returns the lines of a run's `metrics.jsonl`; none where there is no file.

  A killed process may have left half a line at the end: it is left out. A
  number that is `null`, since it was not finite, is NaN.

  Raises:
    UserError: a line before the end is no line of metrics.
  """
  path = workdir / METRICS
  lines = whole_lines(path)
  try:  # all at once is quicker, and the rows share the names of metrics
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
  """Returns the lines of `metrics.jsonl`, but none that is cut at the end."""
  if not path.exists():
    return []
  # Editors of some systems put a mark of the encoding in front.
  text = path.read_text(encoding="utf-8-sig", errors="replace")
  *lines, last = text.split("\n")
  lines += [last] if last.endswith("}") else []
  return [line for line in lines if line.strip()]


def _parsed(path: pathlib.Path, number: int, line: str) -> dict[str, float]:
  """Returns one row, or refuses the line by its number."""
  try:
    row = json.loads(line)
  except ValueError:
    row = None
  if type(row) is not dict or "step" not in row:
    raise UserError(
      f"{path} has no metrics in line {number}, which begins with "
      f"{line[:40]!r}: expected what `infomin train` wrote; remove the line."
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
    """Moves the bar to `step`, or writes a line if there was none for long."""
    if self._bar:
      self._bar.update(self._task, completed=step)
    elif not self._quiet and time.monotonic() - self._shown > SILENCE:
      self._write(f"step {step}/{self._total}")

  def show(self, step: int, text: str, seconds_left: float) -> None:
    """Shows the newest figures, next to the bar or as a line."""
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
  """One line to the terminal, from process 0."""
  if jax.process_index() == 0:
    print(line, file=sys.stderr, flush=True)


def memory_bytes() -> int:
  """Bytes in use: on the first accelerator, or resident in this process."""
  stats = jax.local_devices()[0].memory_stats()
  if stats:
    return stats["bytes_in_use"]
  # Where /proc is missing (macOS, Windows) the figure is left out as 0.
  statm = pathlib.Path("/proc/self/statm")
  if not statm.exists():
    return 0
  return int(statm.read_text().split()[1]) * 4096
