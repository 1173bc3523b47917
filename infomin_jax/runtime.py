"""Settings of the process that must be made before JAX's backend starts.

It imports neither JAX nor NumPy: libraries count the cores when they are
loaded, and more threads than cores spin, which made a worker twice as slow.
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

# jaxlib sends CPU convolutions to a kernel library whose gradients are slow: a
# ResNet-18 step takes 4.7 s with it and 2.4 s without (0.10; 5.9 s and 3.5 s on
# another machine with 0.12). Its matmuls, reductions and element-wise fusions
# are good and stay on.
_CPU_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_CPU_FUSIONS = (
  "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,"
  "LIBRARY_FUSION_TYPE_REDUCE,"
  "LIBRARY_FUSION_TYPE_ELTWISE"
)
# Starts a CPU backend without JAX, in 0.2 s.
_START_BACKEND = "from jaxlib import xla_client; xla_client.make_cpu_client()"


_hooked = False  # whether JAX's cache is, or will be, made to write whole files

# glibc's mallopt parameters (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def configure() -> None:
  """Sets CPU flag, memory and the persistent compilation cache, without JAX.

  A user's own XLA_FLAGS value of the flag and JAX_COMPILATION_CACHE_DIR win.
  Call it before the first JAX computation of the process.
  """
  flags = os.environ.get("XLA_FLAGS", "")
  if _runs_on_cpu():
    keep_memory()
    # Without chips libtpu looks for them for a while, and says so.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    flag = f"{_CPU_FLAG}={_CPU_FUSIONS}"
    if _CPU_FLAG not in flags and jaxlib_accepts(flag):
      os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()
  os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache() / "xla"))
  # Small programs count too: a second start should compile nothing again.
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
  # An entry that cannot be read is compiled and written again; of a folder that
  # cannot be written `infomin doctor` says so.
  warnings.filterwarnings(
    "ignore", "Error (reading|writing) persistent compilation cache entry"
  )
  global _hooked
  if not _hooked:
    _hooked = True
    wrapt.register_post_import_hook(_write_whole_entries, "jax._src.lru_cache")


def start_worker(shares, log: pathlib.Path) -> None:
  """Makes this process one of several: its cores, its log, its end.

  Args:
    shares: a queue of lists of cores, one for each process; an empty list for
      no binding.
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
  os._exit(1)  # killed: its queue would be waited for without end


def keep_memory() -> None:
  """Makes glibc keep freed memory for the next step.

  XLA on a CPU frees its buffers after each step, and glibc gives large ones
  back to the kernel: every step then faults in all its memory anew (54,000
  pages, a quarter of the processor time and more than half of the wall time of
  a small convolutional step). So do threads that decode photographs.
  """
  if platform.libc_ver()[0] == "glibc":
    libc = ctypes.CDLL(None)
    libc.mallopt(_ARENA_MAX, 1)  # other arenas cannot grow beyond 64 MiB
    libc.mallopt(_MMAP_THRESHOLD, 2**30)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _runs_on_cpu() -> bool:
  """Returns whether the CPU is all this process will use, found without JAX."""
  if asked := os.environ.get("JAX_PLATFORMS"):
    return asked == "cpu"
  installed = {d.name.lower() for d in importlib.metadata.distributions()}
  gpu = any(n.startswith(("jax-cuda", "jax-rocm")) for n in installed)
  # libtpu may be installed only to compile for an absent TPU.
  tpu = "libtpu" in installed and has_tpu_chips()
  return not gpu and not tpu


def has_tpu_chips() -> bool:
  """Returns whether this machine has TPUs, one of a slice or all of it."""
  dev = pathlib.Path("/dev")
  return any(any(dev.glob(name)) for name in ("accel*", "vfio/*"))


def _cache() -> pathlib.Path:
  """The folder of what may be deleted at any time."""
  parent = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(parent) / "infomin_jax"


def jaxlib_accepts(flag: str) -> bool:
  """Returns whether the installed jaxlib starts with an XLA flag.

  An unknown flag ends the process, so a child tries it, once per version.
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
    # A child that ended for another reason is asked again at the next start.
    if answers[flag] or b"Unknown flag" in child.stderr:
      with contextlib.suppress(OSError):
        answer.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(answer, json.dumps(answers).encode())
  return answers[flag]


def _write_whole(path: pathlib.Path, content: bytes) -> None:
  """Writes a file that no process ever sees half of."""
  part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
  part.write_bytes(content)
  part.replace(path)


def _write_whole_entries(lru_cache: Any) -> None:
  """Makes JAX's compilation cache rename its entries into place.

  JAX writes them in place. A second process then reads half of one, and a
  killed one leaves a broken entry for good.

  Args:
    lru_cache: JAX's module of that name, which has just been imported.
  """
  put = lru_cache.LRUCache.put

  @functools.wraps(put)
  def put_whole(self, key: str, value: bytes) -> None:
    if self.eviction_enabled or "://" in str(self._path):
      return put(self, key, value)  # locked by JAX, or an object store
    # JAX comes here where it has found no entry, or a broken one: that goes.
    path = pathlib.Path(self._path) / f"{key}{lru_cache._CACHE_SUFFIX}"
    _write_whole(path, value)

  lru_cache.LRUCache.put = put_whole
