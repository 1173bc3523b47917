"""Times that a new user waits: a fresh clone, no caches, a new environment.

  python benchmarks/fresh_clone.py --pythons python3.11,python3.13 \\
      --evidence docs/evidence/fresh_clone.json

Clones HEAD into an empty folder, once per Python. HOME and the caches are
empty, and PATH has only this Python and the folders of the system. Times `make
install`, `make test` and the first line of `infomin train`. Memory is the
largest sum over the processes of a command, with shared pages counted once
(PSS, Linux only).
"""

import argparse
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
TRAIN = ("infomin", "train", "--config=configs/colorful_digits.py")


def environment(folder: pathlib.Path, python: str) -> dict[str, str]:
  """Returns environment variables as on a new machine.

  Args:
    folder: gets `bin`, `home` and `cache`.
    python: name or path of the Python.
  """
  bin = folder / "bin"
  bin.mkdir()
  program = shutil.which(python)
  if program is None:
    raise SystemExit(f"--pythons {python}: no such program was found.")
  real = subprocess.run(
    [program, "-c", "import sys; print(sys.executable)"],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()
  (bin / "python3").symlink_to(real)
  settings = {k: v for k, v in os.environ.items() if k.startswith("PIP_")}
  return settings | {
    "HOME": str(folder / "home"),
    "XDG_CACHE_HOME": str(folder / "cache"),
    "PATH": f"{bin}:/usr/bin:/bin",
  }


def measure(python: str, tests: bool) -> dict:
  """Returns seconds, bytes and versions of a fresh clone with one Python."""
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    environ, clone = environment(folder, python), folder / "project"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    row: dict[str, Any] = {
      "python": python,
      "install_seconds": timed(clone, environ, "install"),
    }
    row["install_bytes"] = size(clone / ".venv")
    timed(clone, environ, ".venv/tested")
    row["tested_bytes"] = size(clone / ".venv")
    row["versions"] = installed(clone)
    row |= first_lines(clone, environ)
    if tests:
      with Memory() as memory:
        row["test_seconds"] = timed(clone, environ, "test", memory)
      row["test_bytes"] = memory.peak
  return row


def timed(clone, environ, target, memory=None) -> float:
  """Runs a make target and returns its seconds."""
  start = time.monotonic()
  process = subprocess.Popen(
    ["make", target],
    cwd=clone,
    env=environ,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  if memory:
    memory.of = process.pid
  output, _ = process.communicate()
  if process.returncode:
    raise SystemExit(f"make {target} of {clone}:\n{output[-3000:]}")
  if target == "test":
    print("\n".join(output.splitlines()[-12:]))
  return time.monotonic() - start


def first_lines(clone, environ) -> dict:
  """Returns seconds to the first line of training, and between its lines."""
  infomin, *words = TRAIN
  process = subprocess.Popen(
    [clone / ".venv/bin" / infomin, *words, "--workdir=runs/first"],
    cwd=clone,
    env=environ,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  times = [time.monotonic()]
  lines: Any = process.stderr
  for _ in lines:
    times.append(time.monotonic())
    if times[-1] - times[0] > 60:
      break
  process.kill()
  process.wait()
  gaps = [b - a for a, b in itertools.pairwise(times)]
  return {
    "first_line_seconds": gaps[0],
    "longest_silence_seconds": max(gaps[1:]),
  }


def size(folder) -> int:
  """Returns the bytes of a folder's files."""
  return sum(x.lstat().st_size for x in folder.rglob("*") if x.is_file())


def installed(clone) -> dict[str, str]:
  """Returns the versions of Python and of the main packages."""
  script = (
    "import importlib.metadata as m, json, platform;"
    "print(json.dumps({'python': platform.python_version()} | "
    "{n: m.version(n) for n in ('jax', 'flax', 'numpy', 'optax')}))"
  )
  python = clone / ".venv/bin/python"
  done = subprocess.run([python, "-c", script], capture_output=True, check=True)
  return json.loads(done.stdout)


class Memory:
  """Samples the memory of a process and its descendants twice per second.

  Attributes:
    of: process id.
    peak: largest sum in bytes.
  """

  of = 0
  peak = 0

  def __enter__(self):
    self._ended = threading.Event()
    self._thread = threading.Thread(target=self._watch)
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._ended.set()
    self._thread.join()

  def _watch(self):
    while not self._ended.wait(0.5):
      self.peak = max(self.peak, sum(map(pss, descendants(self.of))))


def descendants(pid: int) -> list[int]:
  """Returns the ids of a process and of all its descendants."""
  children: dict[int, list[int]] = {}
  for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
      parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
      continue  # the process has ended
    children.setdefault(parent, []).append(int(path.parent.name))
  pids = [pid]
  for parent_pid in pids:
    pids += children.get(parent_pid, [])
  return pids


def pss(pid: int) -> int:
  """Returns the bytes of a process, with its share of shared pages."""
  try:
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * int(text.partition("\nPss:")[2].split()[0])
  except (OSError, IndexError):
    return 0  # the process has ended


def main():
  """Prints one line per Python, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--pythons", default="python3", help="separated by commas"
  )
  parser.add_argument("--no-tests", action="store_true")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  arguments = parser.parse_args()
  rows = []
  head = subprocess.run(
    ["git", "rev-parse", "--short=12", "HEAD"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()
  for python in arguments.pythons.split(","):
    rows.append(measure(python, not arguments.no_tests))
    rows[-1]["python"] = rows[-1]["versions"].pop("python")
    if not arguments.json:
      print(rows[-1], flush=True)
  if arguments.json:
    print(json.dumps(rows, indent=1))
  if arguments.evidence:
    from infomin_jax import provenance

    provenance.write(
      arguments.evidence,
      commands=[
        f"python benchmarks/fresh_clone.py --pythons {arguments.pythons}"
      ],
      config={},
      seeds=[],
      values=rows,
      extra={"commit": head},  # the clone lacks uncommitted changes
    )


if __name__ == "__main__":
  main()
