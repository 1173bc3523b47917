"""Settings of the process that must be made before JAX's backend starts.

It imports neither JAX nor NumPy: libraries count the cores when they are
loaded, and more threads than cores spin, which made a worker twice as slow.
"""

import ctypes
import importlib.metadata
import multiprocessing
import os
import pathlib
import platform
import threading
from typing import Any

# jaxlib 0.10 sends CPU convolutions to a kernel library whose gradients are
# slow: a ResNet-18 step takes 4.7 s with it and 2.4 s without. Its matmuls,
# reductions and element-wise fusions are good and stay on.
_CPU_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_CPU_FUSIONS = (
  "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,"
  "LIBRARY_FUSION_TYPE_REDUCE,"
  "LIBRARY_FUSION_TYPE_ELTWISE"
)
# An XLA flag that a jaxlib does not know ends the process at start, so it is
# set only for the versions it was measured with.
_CPU_FLAG_VERSIONS = ("0.10.",)


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
    if _CPU_FLAG not in flags and _knows_cpu_flag():
      os.environ["XLA_FLAGS"] = f"{flags} {_CPU_FLAG}={_CPU_FUSIONS}".strip()
  cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(cache) / "infomin_jax/xla")
  )
  # Small programs count too: a second start should compile nothing again.
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


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
  """Whether the CPU is all this process will use, found without JAX."""
  if asked := os.environ.get("JAX_PLATFORMS"):
    return asked == "cpu"
  installed = {d.name.lower() for d in importlib.metadata.distributions()}
  gpu = any(n.startswith(("jax-cuda", "jax-rocm")) for n in installed)
  # libtpu may be installed only to compile for an absent TPU.
  tpu = "libtpu" in installed and has_tpu_chips()
  return not gpu and not tpu


def has_tpu_chips() -> bool:
  """Whether this machine has TPUs, one of a slice or all of it."""
  dev = pathlib.Path("/dev")
  return any(any(dev.glob(name)) for name in ("accel*", "vfio/*"))


def _knows_cpu_flag() -> bool:
  return importlib.metadata.version("jaxlib").startswith(_CPU_FLAG_VERSIONS)
