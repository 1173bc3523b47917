"""What a run tells while it runs: metrics.jsonl, TensorBoard, a progress line.

Only process 0 writes.
"""

import json
import pathlib
import sys
import time

import jax
import rich.console
import rich.progress
from tensorboardX import SummaryWriter


class MetricWriter:
  """Appends one JSON object a line, and the same numbers to TensorBoard.

  Opening it drops the lines past `step`: they belong to steps that a resumed
  run does again.

  Attributes:
    rows: all lines, on process 0; none on others.
  """

  def __init__(self, workdir: pathlib.Path, step: int):
    self._active = jax.process_index() == 0
    self.rows: list[dict[str, float]] = []
    if not self._active:
      return
    self._path = workdir / "metrics.jsonl"
    lines = []
    if self._path.exists():
      # A killed process may have left half a line at the end.
      whole = self._path.read_text().splitlines(keepends=True)
      lines = [line for line in whole if line.endswith("}\n")]
    rows = [json.loads(line) for line in lines]
    self.rows = [row for row in rows if row["step"] <= step]
    self._path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
    self._events = SummaryWriter(str(workdir), purge_step=step)

  def write(self, step: int, metrics: dict[str, float]) -> None:
    """Writes one line; `metrics` are plain numbers."""
    if not self._active:
      return
    row = {"step": step} | {k: float(f"{v:.7g}") for k, v in metrics.items()}
    self.rows.append(row)
    with self._path.open("a") as file:
      file.write(json.dumps(row) + "\n")
    for name, value in metrics.items():
      self._events.add_scalar(name, value, step)

  def close(self) -> None:
    """Flushes the TensorBoard events."""
    if self._active:
      self._events.close()


class Progress:
  """A progress bar on a terminal, plain lines otherwise; a context manager."""

  def __init__(self, total: int, start: int):
    console = rich.console.Console(stderr=True)
    self._bar = None
    self._total = total
    self._quiet = jax.process_index() != 0
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
    """Moves the bar to `step`."""
    if self._bar:
      self._bar.update(self._task, completed=step)

  def show(self, step: int, text: str, seconds_left: float) -> None:
    """The newest figures, beside the bar or as a line."""
    if self._quiet:
      return
    if self._bar:
      self._bar.update(self._task, completed=step, text=text)
    else:
      left = time.strftime("%H:%M:%S", time.gmtime(seconds_left))
      say(f"step {step}/{self._total}  {text}  ETA {left}")


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
