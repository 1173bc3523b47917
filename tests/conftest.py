"""Settings of every test: strict JAX, 8 simulated CPU devices, what is needed.

A test that needs more than `pip install '.[test]'` has the mark `needs(NAME)`,
a name of `NEEDS`. Where that is missing the test is left out, and the last
lines of a run say so; with CI=true it fails.
"""

import collections
import ctypes
import gc
import importlib
import importlib.util
import os
import pathlib
import platform
import shutil
from typing import Any

import jax
import pytest

from infomin_jax import runtime
from infomin_jax.runs.progress import memory_bytes

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most programs of tests run for less time than they compile; the processes that
# tests start have it too.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def return_memory():
  """Makes glibc return freed memory at once, where runs keep it."""
  if platform.libc_ver()[0] == "glibc":
    libc = ctypes.CDLL(None)
    libc.mallopt(runtime._ARENA_MAX, 1)
    libc.mallopt(runtime._MMAP_THRESHOLD, 2**17)
    libc.mallopt(runtime._TRIM_THRESHOLD, 2**17)


# Tests are many small programs, after which memory would only grow.
runtime.keep_memory = return_memory
runtime.configure()
# jaxlib 0.10 compiles in a third of the time without its newer emitters.
_QUICK = "--xla_cpu_use_fusion_emitters=false"
if runtime.jaxlib_accepts(_QUICK) and _QUICK not in os.environ["XLA_FLAGS"]:
  os.environ["XLA_FLAGS"] += f" {_QUICK}"

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_debug_key_reuse", True)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")


def browser() -> str | None:
  """Returns the path of a browser that playwright can drive."""
  return next(filter(None, map(shutil.which, BROWSERS)), None)


def optional(name: str) -> Any:
  """Imports a library that is needed by some tests, or returns None."""
  here = importlib.util.find_spec(name.partition(".")[0])
  return importlib.import_module(name) if here else None


def _installed(*names: str) -> bool:
  return all(map(importlib.util.find_spec, names))


# name: whether it is here, and how to get it.
NEEDS = {
  "browser": (
    lambda: bool(browser()) and _installed("playwright"),
    "apt-get install chromium, pip install playwright",
  ),
  "debian_fashion_mnist": (
    DEBIAN.exists,
    "apt-get install dataset-fashion-mnist",
  ),
  **{
    name: ((lambda name=name: _installed(name)), f"pip install {package}")
    for name, package in {
      "huggingface_hub": "huggingface_hub",
      "libtpu": "'jax[tpu]'",
      "mlflow": "mlflow-skinny sqlalchemy alembic",
      "nbclient": "nbclient nbformat ipykernel",
      "pyarrow": "pyarrow",
      "wandb": "wandb",
    }.items()
  },
  # 5 GB: left out in CI too.
  "torchvision": (
    lambda: _installed("torch", "torchvision"),
    "pip install torch torchvision",
  ),
}
LEFT_OUT = "needs {}"


def pytest_runtest_setup(item):
  for mark in item.iter_markers("needs"):
    for name in mark.args:
      here, how = NEEDS[name]
      if not here():
        if os.environ.get("CI") == "true" and name != "torchvision":
          pytest.fail(f"{LEFT_OUT.format(name)}: {how}", pytrace=False)
        pytest.skip(LEFT_OUT.format(name))


def pytest_terminal_summary(terminalreporter):
  """Says what was left out, and how to get it."""
  reasons = collections.Counter(
    report.longrepr[2].removeprefix("Skipped: ")
    for report in terminalreporter.stats.get("skipped", [])
  )
  for name, (_, how) in NEEDS.items():
    if count := reasons[LEFT_OUT.format(name)]:
      terminalreporter.write_line(
        f"Left out: {count} tests that need {name} ({how})."
      )
  if reasons:
    terminalreporter.write_line(
      "`make check` installs what they need, and runs the slow tests too."
    )


@pytest.fixture(scope="module")
def optimized():
  """For programs that are looked at, or run longer than they compile."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
  """Frees the memory of a module's programs."""
  yield
  _Memory.free()


@pytest.fixture(autouse=True)
def little_memory():
  """Frees the memory of programs within a module too, if that is much."""
  yield
  if memory_bytes() > max(2**30, _Memory.least + 2**28):
    _Memory.free()


class _Memory:
  """What this process needs without programs, in bytes, at the last look."""

  least = 0

  @classmethod
  def free(cls):
    jax.clear_caches()
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
      ctypes.CDLL(None).malloc_trim(0)
    cls.least = memory_bytes()
