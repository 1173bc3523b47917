"""Settings of the process: the XLA flag, a cache whose entries are whole."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from jax._src.lru_cache import LRUCache

from infomin_jax import runtime

COMPILE = """
from infomin_jax import runtime
runtime.configure()
import jax
print(jax.jit(lambda x: 3 * x + 1)(2.0))
"""


def run(script, **environ):
  return subprocess.run(
    [sys.executable, "-W", "error", "-c", script],
    env=os.environ | environ,
    capture_output=True,
    text=True,
    check=False,
  )


def test_the_flag_of_the_cpu_is_set_where_jaxlib_has_it():
  assert runtime._CPU_FLAG in os.environ["XLA_FLAGS"]


def test_an_unknown_flag_is_asked_once_and_never_set(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert not runtime.jaxlib_accepts("--xla_of_no_version=1")
  (answer,) = (tmp_path / "infomin_jax").iterdir()
  assert json.loads(answer.read_text()) == {"--xla_of_no_version=1": False}
  monkeypatch.setattr(subprocess, "run", None)  # not asked again
  assert not runtime.jaxlib_accepts("--xla_of_no_version=1")


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
  (tmp_path / "infomin_jax").write_text("a file")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert not runtime.jaxlib_accepts("--xla_of_no_version=1")


def test_an_entry_of_the_cache_appears_whole_or_not_at_all(
  tmp_path, monkeypatch
):
  cache = LRUCache(str(tmp_path), max_size=-1)
  replace = pathlib.Path.replace

  def killed(self, target):
    assert self.read_bytes() == b"program" and not pathlib.Path(target).exists()
    raise KeyboardInterrupt

  monkeypatch.setattr(pathlib.Path, "replace", killed)
  with pytest.raises(KeyboardInterrupt):
    cache.put("name", b"program")
  assert cache.get("name") is None
  monkeypatch.setattr(pathlib.Path, "replace", replace)
  cache.put("name", b"program")
  assert cache.get("name") == b"program"
  (entry,) = tmp_path.glob("name-cache")
  entry.write_bytes(b"pro")  # of a process that was killed, before
  cache.put("name", b"program")
  assert cache.get("name") == b"program"


def test_a_second_process_reads_what_the_first_has_compiled(tmp_path):
  cache = tmp_path / "xla"
  for _ in range(2):
    done = run(COMPILE, JAX_COMPILATION_CACHE_DIR=str(cache))
    assert (done.returncode, done.stdout) == (0, "7.0\n"), done.stderr
    entries = {path.name for path in cache.iterdir()}
    assert entries and all(name.endswith("-cache") for name in entries)
  for path in cache.iterdir():  # of a process that was killed, before
    path.write_bytes(path.read_bytes()[:-9])
  sizes = {path: path.stat().st_size for path in cache.iterdir()}
  done = run(COMPILE, JAX_COMPILATION_CACHE_DIR=str(cache))
  assert (done.returncode, done.stdout, done.stderr) == (0, "7.0\n", "")
  assert all(path.stat().st_size == size + 9 for path, size in sizes.items())
