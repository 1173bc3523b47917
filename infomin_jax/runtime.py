"""Process settings that must be made before the JAX backend starts.

This module imports neither JAX nor NumPy. Libraries count the cores when they
are loaded. More threads than cores spin, which made a worker twice as slow.
"""

import contextlib
import ctypes
import functools
import importlib.metadata
import json
import multiprocessing
import os
import pathlib
import platform
import subprocess
import sys
import threading
import warnings
from typing import Any

import wrapt

# jaxlib sends CPU convolutions to a kernel library whose gradients are slow.
# With it, a ResNet-18 step takes 4.7 s, and 2.4 s without it (jaxlib 0.10; 5.9
# s and 3.5 s on another machine with 0.12). Its matmuls, reductions and
# element-wise fusions are fast and stay on.
_CPU_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_CPU_FUSIONS = (
  "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,"
  "LIBRARY_FUSION_TYPE_REDUCE,"
  "LIBRARY_FUSION_TYPE_ELTWISE"
)
# Starts a CPU backend without JAX, in 0.2 s.
_START_BACKEND = "from jaxlib import xla_client; xla_client.make_cpu_client()"


_hooked = False  # whether the hook of `_write_whole_entries` is registered

# glibc's mallopt parameters (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def configure() -> None:
  """Sets the CPU flag, memory and persistent compilation cache, without JAX.

  Values of the user for this flag in XLA_FLAGS, and for
  JAX_COMPILATION_CACHE_DIR, take precedence. Call it before the first JAX
  computation of the process.
  """
  flags = os.environ.get("XLA_FLAGS", "")
  if _runs_on_cpu():
    keep_memory()
    # Without chips, libtpu searches for them for a while and prints messages.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flag = f"{_CPU_FLAG}={_CPU_FUSIONS}"
    if _CPU_FLAG not in flags and jaxlib_accepts(flag):
      os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()
  os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache() / "xla"))
  # Small programs are cached too, so that a second start compiles nothing
  # again.
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
  # An unreadable entry is compiled and written again. `infomin doctor` reports
  # a folder that cannot be written.
  warnings.filterwarnings(
    "ignore", "Error (reading|writing) persistent compilation cache entry"
  )
  global _hooked
  if not _hooked:
    _hooked = True
    wrapt.register_post_import_hook(_write_whole_entries, "jax._src.lru_cache")


def start_worker(shares, log: pathlib.Path) -> None:
  """Prepares a worker process: its cores, its log, its end with the parent.

  Args:
    shares: a queue of lists of cores, one list per process. With an empty list,
      the process is not bound to cores.
    log: file to which its standard output and error are appended.
  """
  threading.Thread(target=_end_with_parent, daemon=True).start()
  if share := shares.get():
    os.sched_setaffinity(0, share)
  file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  os.dup2(file, 1)
  os.dup2(file, 2)
  configure()


def _end_with_parent() -> None:
  parent: Any = multiprocessing.parent_process()
  parent.join()
  # A normal exit would wait for the queue of a killed parent forever.
  os._exit(1)


def keep_memory() -> None:
  """Makes glibc keep freed memory for the next step.

  XLA on a CPU frees its buffers after each step, and glibc returns large
  buffers to the kernel. Every step then faults in all of its memory again. For
  a small convolutional step that is 54,000 pages, a quarter of the processor
  time and more than half of the wall time. Threads that decode photographs have
  the same problem.
  """
  if platform.libc_ver()[0] == "glibc":
    libc = ctypes.CDLL(None)
    libc.mallopt(_ARENA_MAX, 1)  # other arenas cannot grow beyond 64 MiB
    libc.mallopt(_MMAP_THRESHOLD, 2**30)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _runs_on_cpu() -> bool:
  """Returns whether this process uses only the CPU, found without JAX."""
  if asked := os.environ.get("JAX_PLATFORMS"):
    return asked == "cpu"
  installed = {d.name.lower() for d in importlib.metadata.distributions()}
  gpu = any(n.startswith(("jax-cuda", "jax-rocm")) for n in installed)
  # libtpu may be installed only to compile for an absent TPU.
  tpu = "libtpu" in installed and has_tpu_chips()
  return not gpu and not tpu


def has_tpu_chips() -> bool:
  """Returns whether this machine has TPUs, of a slice or all of it."""
  dev = pathlib.Path("/dev")
  return any(any(dev.glob(name)) for name in ("accel*", "vfio/*"))


def _cache() -> pathlib.Path:
  """Returns a folder for files that may be deleted at any time."""
  parent = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(parent) / "infomin_jax"


def jaxlib_accepts(flag: str) -> bool:
  """Returns whether the installed jaxlib accepts an XLA flag.

  An unknown flag ends the process. So a child process tries it, once per
  version.
  """
  answer = _cache() / f"jaxlib-{importlib.metadata.version('jaxlib')}.json"
  try:
    answers = json.loads(answer.read_text())
  except (OSError, ValueError):
    answers = {}
  if flag not in answers:
    child = subprocess.run(
      [sys.executable, "-c", _START_BACKEND],
      env=os.environ | {"XLA_FLAGS": flag},
      capture_output=True,
      check=False,
    )
    answers[flag] = child.returncode == 0
    # If the child ended for another reason, the next start tries again.
    if answers[flag] or b"Unknown flag" in child.stderr:
      with contextlib.suppress(OSError):
        answer.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(answer, json.dumps(answers).encode())
  return answers[flag]


def _write_whole(path: pathlib.Path, content: bytes) -> None:
  """Writes a file so that no process ever reads half of it."""
  part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
  part.write_bytes(content)
  part.replace(path)


def _write_whole_entries(lru_cache: Any) -> None:
  """Makes the compilation cache of JAX rename its entries into place.

  JAX writes entries in place. A second process may then read half of one, and a
  killed process leaves a broken entry behind.

  Args:
    lru_cache: the JAX module of that name, which has just been imported.
  """
  put = lru_cache.LRUCache.put

  @functools.wraps(put)
  def put_whole(self, key: str, value: bytes) -> None:
    if self.eviction_enabled or "://" in str(self._path):
      # JAX locks the cache, or it is in an object store
      return put(self, key, value)
    # JAX calls this if it found no entry or a broken one, which is replaced.
    path = pathlib.Path(self._path) / f"{key}{lru_cache._CACHE_SUFFIX}"
    _write_whole(path, value)

  lru_cache.LRUCache.put = put_whole
