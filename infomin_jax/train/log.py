"""What a run tells on the terminal, and the lines it has written."""

import json
import pathlib
import sys
import time

import jax
import rich.console
import rich.progress

METRICS = "metrics.jsonl"  # in the workdir
SILENCE = 5.0  # seconds without a line, after which a step is worth one


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """The lines of a run's `metrics.jsonl`; none where there is no file.

  A killed process may have left half a line at the end: it is left out.
  """
  path = workdir / METRICS
  text = path.read_text() if path.exists() else ""
  lines = text.splitlines(keepends=True)
  return [json.loads(line) for line in lines if line.endswith("}\n")]


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
    """The newest figures, beside the bar or as a line."""
    if self._quiet:
      return
    if self._bar:
      self._bar.update(self._task, completed=step, text=text)
    else:
      left = time.strftime("%H:%M:%S", time.gmtime(seconds_left))
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
