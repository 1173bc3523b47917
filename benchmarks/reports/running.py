"""Reports on long runs and RandAugment: kinds 25 and 26."""

import json
import pathlib
import runpy
import time

import numpy as np
from report import Report, holds, infomin, one_line, refused

ROOT = pathlib.Path(__file__).parents[2]


def config(name: str = "colorful_digits", variant: str = "tiny"):
  """Returns the config of a file in configs/."""
  return runpy.run_path(str(ROOT / f"configs/{name}.py"))["get_config"](variant)


def written(folder: pathlib.Path, rows: list[dict], steps: int = 0) -> None:
  """Writes the folder of a run with these metrics, without checkpoints."""
  from infomin_jax.runs.workdir import as_json

  own_config = config()
  own_config.steps = steps or int(rows[-1]["step"])
  folder.mkdir(parents=True, exist_ok=True)
  (folder / "config.json").write_text(json.dumps(as_json(own_config)))
  lines = "".join(json.dumps(row) + "\n" for row in rows)
  (folder / "metrics.jsonl").write_text(lines)


def line(step: int, **metrics) -> dict:
  return {"step": step, "loss": 1.0, "seconds": 0.1 * step} | metrics


def strict(text: str):
  """Parses JSON strictly: NaN and infinity are errors."""

  def forbid(word):
    raise AssertionError(f"{word} is not JSON: {text[:200]}")

  return json.loads(text, parse_constant=forbid)


# Kind 25.


def advice_late(folder: pathlib.Path) -> None:
  from infomin_jax.runs import health

  recent, own_config = health.Recent(), config()
  for step in range(60_000):
    recent.append(line(step, grad_norm=1.0, input_wait_share=0.1))
  start = time.perf_counter()
  for step in range(60_000, 60_200):
    recent.append(line(step, grad_norm=1.0, input_wait_share=0.1))
    health.advise(recent, own_config)
  each = (time.perf_counter() - start) / 200
  assert each < 5e-3, f"{1e3 * each:.1f} ms per line"


def advice_of_old_lines(folder: pathlib.Path) -> None:
  from infomin_jax.runs import health

  rows = [line(i, mi_bound=4.15, mi_ceiling=4.16) for i in range(3)]
  rows += [line(i, grad_norm=1.0) for i in range(3, 5000)]
  rules = {a.rule for a in health.advise(health.Recent(rows), config())}
  assert rules == {"pinned"}, rules


def wild_gradient_late(folder: pathlib.Path) -> None:
  from infomin_jax.runs import health

  rows = [line(i, grad_norm=2.0) for i in range(9000)]
  rows.append(line(9000, grad_norm=1e6))
  (advice,) = health.advise(health.Recent(rows), config())
  holds(str(advice), "The gradient's norm is 1.0e+06; usual is 2.0e+00.")


def two_long_runs_compared(folder: pathlib.Path) -> None:
  rows = [line(i) for i in range(1, 20_001)]
  rows[12_344]["loss"] = 987.5
  for name in ("a", "b"):
    written(folder / name, rows)
  said = infomin("report", folder / "a", folder / "b", "--out=both.html")
  assert said.status == 0, said.err
  text = (folder / "both.html").read_text()
  holds(text, "987.5", "lowest and highest value")
  assert len(text) < 8 * 2**20, len(text)


def rare_metric_in_the_list(folder: pathlib.Path) -> None:
  rows = [line(i) for i in range(1, 20_001)]
  rows[99]["linear"] = 0.625
  written(folder / "runs/a", rows)
  said = infomin("runs", folder / "runs", "--json")
  (row,) = strict(said.out)
  assert (row["step"], row["linear"]) == (20_000, 0.625), row


def resumed_at_an_earlier_step(folder: pathlib.Path) -> None:
  from infomin_jax.runs.progress import read_metrics
  from infomin_jax.runs.writers import MetricWriter

  written(folder, [line(i) for i in range(1, 10_001)])
  with (folder / "metrics.jsonl").open("a") as file:
    file.write('{"step": 10001, "lo')
  own_config = config()
  own_config.run.writers = ()
  writer = MetricWriter(folder, own_config, 6000)
  with writer.opened():
    writer.write(6001, {"loss": 2.0})
  steps = [row["step"] for row in read_metrics(folder)]
  assert steps == list(range(1, 6002)), (len(steps), steps[-1])


def damaged_line(folder: pathlib.Path) -> None:
  written(folder, [line(i) for i in range(1, 50)])
  path = folder / "metrics.jsonl"
  text = path.read_text().replace('{"step": 20,', "\0\0\0")
  path.write_text(text)
  said = infomin("report", folder)
  assert said.status == 2, said
  one_line(said.err, "metrics.jsonl", "line 20")
  assert path.read_text() == text


def weeks_are_left(folder: pathlib.Path) -> None:
  from report import heard

  from infomin_jax.runs.progress import Progress

  with heard() as said, Progress(10**6, 0) as progress:
    progress.show(10, "loss 1.0", 30 * 86_400 + 3600)
  holds(said[1], "ETA 30 d 01:00:00")


# Kind 26.


def dark_magnitudes(folder: pathlib.Path) -> None:
  from infomin_jax.views.randaugment import OPS, apply

  image = np.arange(256, dtype=np.float32).reshape(16, 16, 1) / 255
  for m in (0.0, 0.1, 0.2, 0.24):
    levels = np.unique(np.round(255 * apply(image, OPS["posterize"], m)))
    assert levels.tolist() == [0, 128], (m, levels)


def views_with(options, **more):
  from infomin_jax.views import make_views

  return make_views(
    {"name": "infomin", "size": 8, "randaugment": options} | more, (8, 8, 3)
  )


def bad_option(options, *words, **more):
  return lambda folder: refused(lambda: views_with(options, **more), *words)


def keys_of_configs(folder: pathlib.Path) -> None:
  for name, variant in (
    ("imagenet_infomin", "infomin,tiny"),
    ("cifar10_infomin", "cmc_v2,tiny"),
    ("stl10_infomin", "tiny"),
    ("own_images", "tiny"),
  ):
    own_config = config(name, variant)
    own_config.views.randaugment.magnitude = (
      5  # as a flag of the command line does
    )
    options = own_config.views.randaugment.to_dict()
    expected = dict(count=2, p=0.5, magnitude=5.0, spread=0.5)
    assert options == expected, (name, options)


def misspelt_flag(folder: pathlib.Path) -> None:
  said = infomin(
    *("train", f"--config={ROOT}/configs/cifar10_infomin.py:tiny"),
    *("--config.views.randaugment.magnitud=3", "--workdir=run"),
  )
  assert said.status == 2, said
  one_line(said.err, "magnitude")
  assert not (folder / "run").exists()


def run_of_before(folder: pathlib.Path) -> None:
  from infomin_jax.runs.workdir import as_json
  from infomin_jax.train.checkpoint import check_workdir

  own_config = config("stl10_infomin")
  record = as_json(own_config)
  del record["views"]["randaugment"]
  (folder / "config.json").write_text(json.dumps(record))
  check_workdir(folder, own_config)
  own_config.views.randaugment.p = 0.9
  refused(
    lambda: check_workdir(folder, own_config), "views.randaugment.p (0.5 there"
  )


REPORTS = (
  Report(25, "line 60,000 of a run", "below 5 ms for its advice", advice_late),
  Report(
    25,
    "a bound at its ceiling, 5,000 lines ago",
    "still said",
    advice_of_old_lines,
  ),
  Report(
    25,
    "a wild gradient after 9,000 usual ones",
    "advice with the median of all",
    wild_gradient_late,
  ),
  Report(
    25,
    "two runs of 20,000 lines with one spike, compared",
    "a page below 8 MiB that shows the spike",
    two_long_runs_compared,
  ),
  Report(
    25,
    "a metric of line 100 alone of 20,000",
    "listed with the newest step",
    rare_metric_in_the_list,
  ),
  Report(
    25,
    "10,000 lines and half a one, resumed at step 6,000",
    "6,000 lines, and the next",
    resumed_at_an_earlier_step,
  ),
  Report(25, "NULs in line 20", "refused, the file as it was", damaged_line),
  Report(25, "a month is left", "ETA 30 d 01:00:00", weeks_are_left),
  Report(
    26,
    "posterize at magnitudes 0 to 2.4",
    "two levels, not black",
    dark_magnitudes,
  ),
  Report(
    26, "magnitude 5 in four configs", "the key is there", keys_of_configs
  ),
  Report(26, "magnitud", "refused, nothing written", misspelt_flag),
  Report(
    26,
    "magnitude 30, as torchvision counts",
    "refused",
    bad_option({"magnitude": 30}, "randaugment.magnitude is 30", "0 to 10"),
  ),
  Report(
    26,
    "probability 50",
    "refused",
    bad_option({"p": 50}, "randaugment.p is 50", "0 to 1"),
  ),
  Report(
    26,
    "N in place of count",
    "refused with the known keys",
    bad_option({"N": 2}, "config.views.randaugment.N", "count, magnitude"),
  ),
  Report(
    26,
    "magnitude 5 for views without RandAugment",
    "refused",
    bad_option({"magnitude": 5.0}, "no RandAugment", name="simclr"),
  ),
  Report(26, "a run of before the keys", "goes on", run_of_before),
)
