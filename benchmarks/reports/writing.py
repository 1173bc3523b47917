"""Reports on the compilation cache and on JSON: kinds 27 and 28."""

import math
import pathlib
import threading

import numpy as np
from report import Report, holds, infomin, one_line
from running import ROOT, config, line, strict, written

# Kind 27.


def cache(folder: pathlib.Path):
  from infomin_jax import runtime

  runtime.configure()
  from jax._src.lru_cache import LRUCache

  return LRUCache(str(folder), max_size=-1)


def read_while_written(folder: pathlib.Path) -> None:
  values = {f"program{i}": bytes([i]) * 2**22 for i in range(8)}
  entries, ended = [], threading.Event()

  def read():
    mine = cache(folder)
    while not ended.is_set():
      entries.extend((k, x) for k in values if (x := mine.get(k)) is not None)
      del entries[:-50]
      for key, content in entries:
        if content != values[key]:
          raise AssertionError(f"{key} has {len(content)} bytes")

  failed = []
  threading.excepthook, hook = failed.append, threading.excepthook
  reader = threading.Thread(target=read)
  reader.start()
  try:
    for key, value in values.items():
      cache(folder).put(key, value)
  finally:
    ended.set()
    reader.join()
    threading.excepthook = hook
  assert not failed and all(cache(folder).get(k) == values[k] for k in values)


def same_entry_twice(folder: pathlib.Path) -> None:
  value = b"x" * 2**22
  threads = [
    threading.Thread(target=cache(folder).put, args=("one", value))
    for _ in range(8)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert cache(folder).get("one") == value
  names = [p.name for p in folder.iterdir() if "atime" not in p.name]
  assert names == ["one-cache"], names


def killed_while_writing(folder: pathlib.Path) -> None:
  lru, replace = cache(folder), pathlib.Path.replace

  def killed(self, target):
    raise KeyboardInterrupt

  pathlib.Path.replace = killed
  try:
    lru.put("one", b"program")
  except KeyboardInterrupt:
    pass
  finally:
    pathlib.Path.replace = replace
  assert lru.get("one") is None
  lru.put("one", b"program")
  assert lru.get("one") == b"program"


def remains_of_the_dead(folder: pathlib.Path) -> None:
  (folder / "one-cache.4711.1").write_bytes(b"pro")
  lru = cache(folder)
  assert lru.get("one") is None
  lru.put("one", b"program")
  assert lru.get("one") == b"program"


def answer_of_another_version(folder: pathlib.Path) -> None:
  import os

  from infomin_jax import runtime

  previous = os.environ.get("XDG_CACHE_HOME")
  os.environ["XDG_CACHE_HOME"] = str(folder)
  try:
    directory = folder / "infomin_jax"
    directory.mkdir()
    import importlib.metadata

    version = importlib.metadata.version("jaxlib")
    (directory / f"jaxlib-{version}.json").write_text('{"--xla_dump')  # cut off
    accepted = runtime.jaxlib_accepts("--xla_of_no_version=1")
    assert not accepted
    (path,) = directory.iterdir()
    assert strict(path.read_text()) == {"--xla_of_no_version=1": False}
  finally:
    if previous is None:
      del os.environ["XDG_CACHE_HOME"]
    else:
      os.environ["XDG_CACHE_HOME"] = previous


# Kind 28.


def metrics_that_are_not_finite(folder: pathlib.Path) -> None:
  from infomin_jax.runs.progress import read_metrics
  from infomin_jax.runs.writers import MetricWriter

  own_config = config()
  own_config.run.writers = ()
  (folder / "run").mkdir()
  writer = MetricWriter(folder / "run", own_config, 0)
  with writer.opened():
    writer.write(1, {"loss": 1.0, "mi_bound": -math.inf, "knn": math.nan})
  text = (folder / "run/metrics.jsonl").read_text()
  expected = {"step": 1, "loss": 1.0, "mi_bound": None, "knn": None}
  assert strict(text) == expected, text
  assert math.isnan(read_metrics(folder / "run")[0]["mi_bound"])


def runs_with_nan(folder: pathlib.Path) -> None:
  for name, value in (("a", math.nan), ("b", 0.25), ("c", 0.75)):
    written(folder / name, [line(1, linear=value)])
  said = infomin("runs", folder, "--json", "--sort=linear")
  accuracies = [row["linear"] for row in strict(said.out)]
  assert accuracies == [0.75, 0.25, None], accuracies
  best = infomin("runs", folder, "--best=linear").out
  assert best.strip() == str(folder / "c"), best


def evidence_with_infinity(folder: pathlib.Path) -> None:
  from infomin_jax import provenance

  values = [{"nats": np.float64("inf"), "ceiling": np.float32("nan")}]
  path = folder / "e.json"
  provenance.write(path, commands=[], config={}, seeds=[0], values=values)
  assert strict(path.read_text())["values"] == [{"nats": None, "ceiling": None}]


def huge_numbers_in_advice(folder: pathlib.Path) -> None:
  from infomin_jax.mi import warnings

  figures = dict(nats=1.0, ceiling=9.0, apart=14860496080.42, optimism=1e8)
  said = " ".join(warnings.words(("bounds_apart", "overfitted"), figures))
  holds(said, "are 1.49e+10 nats apart", "scores 1e+08 nats more")


def claims_without_numbers(folder: pathlib.Path) -> None:
  from infomin_jax.output import write_json

  claim = {
    "id": "A",
    "claim": "A rises",
    "effect": math.nan,
    "interval": [math.nan, math.nan],
    "seeds": [0, 1],
    "verdict": "unmeasured",
    "threshold": 0.0,
    "direction": "above",
    "paper_value": None,
  }
  write_json(folder / "claims.json", [claim])
  settings = {"study": "limits", "preset": "smoke", "settings": {"x": math.inf}}
  write_json(folder / "settings.json", settings)
  (folder / "table.csv").write_text("line,accuracy\nA,1.0\n")
  strict((folder / "claims.json").read_text())
  said = infomin("report", folder)
  assert said.status == 0, said.err


def config_with_infinity(folder: pathlib.Path) -> None:
  said = infomin(
    *("train", f"--config={ROOT}/configs/colorful_digits.py:tiny"),
    *("--config.optimizer.clip=inf", "--workdir=run"),
  )
  assert said.status == 2 and not (folder / "run").exists(), said
  one_line(said.err, "config.optimizer.clip is inf", "finite")


def summary_cut_off(folder: pathlib.Path) -> None:
  written(folder, [line(1)])
  (folder / "summary.json").write_text('{"command": "infomin tr')
  said = infomin("report", folder, "--images=8")
  assert said.status == 2, said
  one_line(said.err, "summary.json is not valid JSON")


REPORTS = (
  Report(
    27, "4 MiB entries, read meanwhile", "whole or none", read_while_written
  ),
  Report(27, "one entry by eight at once", "one whole file", same_entry_twice),
  Report(
    27, "killed while writing", "no entry; then one", killed_while_writing
  ),
  Report(27, "a dead writer's part", "is no entry", remains_of_the_dead),
  Report(
    27,
    "a cut answer on jaxlib's flags",
    "asked and written again",
    answer_of_another_version,
  ),
  Report(
    28,
    "metrics of infinity and NaN",
    "null; read as NaN",
    metrics_that_are_not_finite,
  ),
  Report(28, "runs of which one has NaN", "null, and last", runs_with_nan),
  Report(28, "evidence of infinity", "null", evidence_with_infinity),
  Report(28, "bounds 14860496080.42 apart", "1.49e+10", huge_numbers_in_advice),
  Report(28, "a claim without numbers", "a page", claims_without_numbers),
  Report(28, "clip=inf", "refused, nothing written", config_with_infinity),
  Report(28, "summary.json cut off", "refused, by name", summary_cut_off),
)
