"""Pages as a browser shows them: nothing fetched, nothing broken, all there."""

import json
import math
import pathlib
import shutil

import ml_collections
import numpy as np
import pytest
from conftest import browser as find_browser

from infomin_jax import cli
from infomin_jax.cli.runs import ordered
from infomin_jax.report import plots, run_page, runs_page, study_page
from infomin_jax.report.page import (
  Plot,
  Table,
  Thumbnails,
  Words,
  encoded,
  page,
)
from infomin_jax.report.run import _sentences, times, training_blocks
from infomin_jax.runs.workdir import read_config
from infomin_jax.views import sheet

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def browser():
  from playwright.sync_api import sync_playwright

  options = ["--no-sandbox", "--enable-unsafe-swiftshader"]
  with sync_playwright() as playwright:
    made = playwright.chromium.launch(
      executable_path=find_browser(), args=options
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A short run on digits, evaluated."""
  workdir = tmp_path_factory.mktemp("runs") / "a run & <b>more</b>"
  config = "--config=configs/colorful_digits.py:tiny"
  options = ["--config.steps=6", "--config.run.evaluate_every=3"]
  options.append("--config.encoder.widths=(4, 4, 4, 4)")
  cli.main(["train", config, *options, f"--workdir={workdir}"])
  cli.main(["evaluate", f"--workdir={workdir}", "--protocols=knn"])
  return workdir


def write_metrics(folder, rows):
  lines = "".join(json.dumps(row) + "\n" for row in rows)
  (folder / "metrics.jsonl").write_text(lines)


class Shown:
  """A page in a browser, and what it did."""

  def __init__(self, browser, text, folder, width=1200, scheme="light"):
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    self.requests, self.errors = [], []
    self.page = browser.new_page(
      viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    self.page.on("console", self._note)
    self.page.on("pageerror", lambda x: self.errors.append(str(x)))
    self.page.on("dialog", lambda x: self.errors.append(x.message))
    self.page.on("request", lambda x: self.requests.append(x.url))
    self.page.goto(path.as_uri())
    self.page.wait_for_function("document.readyState == 'complete'")

  def _note(self, message):
    # Chromium without a graphics card warns of its own slowness.
    if message.type == "error":
      self.errors.append(message.text)

  def check(self):
    """It fetched and complained of nothing, and fits the window."""
    outside = [x for x in self.requests[1:] if not x.startswith("data:")]
    assert not outside and not self.errors
    wide = self.page.evaluate(
      "document.documentElement.scrollWidth - innerWidth"
    )
    assert wide <= 0

  def hover(self, plot):
    """Moves over the first point of a plot until something is shown."""
    point = self.page.locator(f"#{plot} .scatterlayer .point").first
    point.scroll_into_view_if_needed()
    point.hover(force=True)


@pytest.mark.parametrize("width, scheme", [(400, "dark"), (1600, "light")])
@pytest.mark.needs("browser")
def test_the_page_of_a_run(browser, run, tmp_path, width, scheme):
  text = run_page(run, images=64, plane="pca")
  shown = Shown(browser, text, tmp_path, width, scheme)
  headings = shown.page.locator("h2").all_inner_texts()
  assert headings == [
    "What was learned",
    "Health",
    "Training",
    "Probes",
    "Features",
    "Nearest neighbors",
    "Views",
    "How to do it again",
  ]
  assert "6 steps on colorful_digits" in shown.page.inner_text(
    "section >> nth=0"
  )
  color = shown.page.evaluate(
    "document.querySelector('.plotly-graph-div')._fullLayout.font.color"
  )
  assert color == ("#e6e9ec" if scheme == "dark" else "#1b1f24")
  thumb = shown.page.locator(".thumb")
  assert not thumb.is_visible()
  shown.hover(thumb.get_attribute("id").removesuffix("thumb"))
  thumb.wait_for(state="visible", timeout=5000)
  shown.check()


@pytest.mark.needs("browser")
def test_a_plot_can_be_zoomed(browser, tmp_path):
  lines = {"loss": (range(100), np.linspace(3, 1, 100))}
  text = page("Zoom", {"A": [Plot("", plots.curves(lines, "step", "nats"))]})
  shown = Shown(browser, text, tmp_path)
  axis = "document.querySelector('.plotly-graph-div')._fullLayout.xaxis.range"
  before = shown.page.evaluate(axis)
  box = shown.page.locator(".nsewdrag").first.bounding_box()
  mouse = shown.page.mouse
  mouse.move(box["x"] + 200, box["y"] + 100)
  mouse.down()
  mouse.move(box["x"] + 300, box["y"] + 150, steps=4)
  mouse.up()
  after = shown.page.evaluate(axis)
  assert after[1] - after[0] < 0.5 * (before[1] - before[0])
  shown.check()


@pytest.mark.needs("browser")
def test_what_strangers_wrote_is_shown_and_never_run(browser, tmp_path):
  points = np.random.default_rng(0).normal(size=(20, 2))
  picture = encoded(np.zeros((80, 80, 3), np.uint8))
  lines = {EVIL: ([1, 2], [1, 2])}
  text = page(
    EVIL,
    {
      EVIL: [
        Words(EVIL),
        Table(EVIL, (EVIL, "b"), [(EVIL, 1)]),
        Plot(EVIL, plots.curves(lines, EVIL, EVIL, flat={EVIL: 1.5})),
        Thumbnails(
          EVIL, plots.plane(points, [EVIL] * 20, EVIL), picture, 5, 16
        ),
      ]
    },
  )
  shown = Shown(browser, text, tmp_path)
  assert shown.page.locator("img[src='x']").count() == 0
  assert shown.page.inner_text("h1") == EVIL
  shown.hover("plot1x4")
  shown.page.wait_for_timeout(200)
  shown.check()


@pytest.mark.needs("browser")
def test_a_page_of_200_runs(browser, run, tmp_path):
  rows = [
    json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()
  ]
  config = read_config(run)
  folders = []
  for i in range(200):
    folder = tmp_path / f"run{i}"
    folder.mkdir()
    config.seed = i
    (folder / "config.json").write_text(config.to_json())
    write_metrics(
      folder, [{**row, "loss": row["loss"] + 0.01 * i} for row in rows]
    )
    folders.append(folder)
  shown = Shown(browser, runs_page(folders), tmp_path)
  assert shown.page.locator("section >> nth=0 >> tbody tr").count() == 200
  assert "seed" in shown.page.inner_text("section >> nth=1")
  shown.check()


@pytest.mark.needs("browser")
def test_a_map_of_100_000_points(browser, tmp_path):
  points = np.random.default_rng(0).normal(size=(100_000, 2))
  labels = [str(i % 10) for i in range(len(points))]
  text = page("Many", {"A": [Plot("", plots.plane(points, labels, "class"))]})
  shown = Shown(browser, text, tmp_path)
  shown.page.mouse.move(600, 250)
  count = "document.querySelector('.plotly-graph-div').data.length"
  assert shown.page.evaluate(count) == 10
  shown.check()


@pytest.mark.needs("browser")
def test_a_page_of_a_study(browser, tmp_path):
  folder = tmp_path / "study"
  folder.mkdir()
  about = {"threshold": 0.0, "direction": "above", "paper_value": 1.5}
  claims = [
    {
      "id": "A-rises",
      "claim": "A rises",
      "effect": 2.0,
      "interval": [1, 3],
      "seeds": [0, 1, 2],
      "verdict": "holds",
    }
    | about,
    {
      "id": "B-falls",
      "claim": EVIL,
      "effect": -1.0,
      "interval": [-2, -0.5],
      "seeds": [0, 1, 2],
      "verdict": "fails",
    }
    | about,
    {
      "id": "C-lost",
      "claim": "C",
      "effect": None,
      "interval": None,
      "seeds": [],
      "verdict": "unmeasured",
      "why": "no data",
    }
    | about,
  ]
  settings = {"study": "limits", "preset": "smoke", "settings": {"seeds": 3}}
  (folder / "claims.json").write_text(json.dumps(claims))
  (folder / "settings.json").write_text(json.dumps(settings))
  (folder / "table.csv").write_text("line,accuracy,empty\nA,77.654321,\n")
  image = np.zeros((1, 4, 4, 1))
  sheet(image, [image], folder / "curve.png", "a curve")
  shown = Shown(browser, study_page(folder), tmp_path)
  text = shown.page.inner_text("body")
  assert all(claim["id"] in text for claim in claims) and "77.65" in text
  assert "Of 3 claims of the paper 1 hold here, 1 fail, and 1 are" in text
  assert shown.page.locator("img.picture").count() == 1
  shown.check()


def test_the_command_writes_it_and_refuses_others(run, tmp_path, capsys):
  out = tmp_path / "r.html"
  cli.main(["report", str(run), "--images=16", f"--out={out}"])
  assert out.exists() and f"Wrote {out}" in capsys.readouterr().out
  cli.main(["report", str(run), str(run.parent / run.name), f"--out={out}"])
  for folder, words in (
    (tmp_path / "no", "there is no such folder"),
    (tmp_path, "holds no config.json"),
  ):
    with pytest.raises(SystemExit):
      cli.main(["report", str(folder)])
    assert words in capsys.readouterr().err


def test_runs_are_listed_sorted_and_compared(run, tmp_path, capsys):
  other = tmp_path / "other"
  shutil.copytree(run, other, ignore=shutil.ignore_patterns("checkpoints"))
  config = read_config(other)
  config.seed = 7
  (other / "config.json").write_text(config.to_json())
  rows = [
    json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()
  ]
  rows[-1]["knn"] = 0.99
  (other / "metrics.jsonl").write_text(
    "".join(f"{json.dumps(r)}\n" for r in rows)
  )
  shutil.copytree(run, tmp_path / "first")
  cli.main(["runs", str(tmp_path), "--best=knn"])
  assert capsys.readouterr().out.strip() == str(other)
  cli.main(["runs", str(tmp_path), "--sort=knn", "--json"])
  found = json.loads(capsys.readouterr().out)
  assert [pathlib.Path(row["run"]).name for row in found] == ["other", "first"]
  cli.main(["runs", "--difference", str(run), str(other), "--json"])
  assert json.loads(capsys.readouterr().out)["config.seed"] == ["0", "7"]
  cli.main(["runs", str(tmp_path)])
  assert "colorful_digits" in capsys.readouterr().out
  with pytest.raises(SystemExit):
    cli.main(["runs", str(tmp_path), "--sort=no"])
  assert "Unknown metric 'no'" in capsys.readouterr().err


@pytest.mark.parametrize("key, order", [("knn", "cba"), ("loss", "abc")])
def test_what_is_not_a_number_is_listed_last(key, order):
  rows = [{"run": "x", key: math.nan}]
  rows += [{"run": name, key: i} for i, name in enumerate("abc")]
  assert [row["run"] for row in ordered(rows, key)] == [*order, "x"]


def test_a_run_that_cannot_be_read_is_named_and_others_listed(run, capsys):
  broken = run.parent / "broken"
  broken.mkdir()
  (broken / "config.json").write_text('{"seed": ')
  write_metrics(broken, [{"step": 1, "loss": 1.0}])
  cli.main(["runs", str(run.parent), "--json"])
  said = capsys.readouterr()
  assert [row["run"] for row in json.loads(said.out)] == [str(run)]
  assert f"{broken} is skipped: " in said.err
  shutil.rmtree(broken)


@pytest.mark.slow
def test_the_doctor_tells_what_is_here(capsys):
  cli.main(["doctor", "--json"])
  found = json.loads(capsys.readouterr().out)
  assert {"devices", "jax", "free disk", "data sets", "step", "input"} <= set(
    found
  )
  assert "colorful_digits" in found["data sets"]
  assert any("infomin train" in line for line in found["next"])


def test_dashed_lines_are_of_the_task_that_is_probed_in_training():
  rows = [{"step": i, "loss": 1.0, "seconds": i, "knn": 0.5} for i in (1, 2)]
  probed = [
    dict(
      task=task,
      protocol="knn (k=20)",
      metric="accuracy",
      features="pixels",
      value=value,
    )
    for task, value in (("digit", 0.1), ("background", 0.9))
  ]
  figures = [x.figure for x in training_blocks(rows, probed)]
  lines = {line.name: line.y for figure in figures for line in figure.data}
  assert set(lines["knn, pixels"]) == {0.1}


@pytest.mark.parametrize("spike", [123_457, 0, 299_999])
def test_a_long_curve_is_thinned_and_keeps_its_spikes(spike):
  y = np.sin(np.arange(300_000) / 5e4) + 0.1
  y[spike], y[1000:2000] = 99.0, np.nan
  y[200_001] = -99.0
  lines = {"loss": (range(300_000), y)}
  figure = plots.curves(lines, "step", "loss", bands={"loss": np.ones(300_000)})
  band, line = figure.data
  assert len(line.x) <= plots.POINTS and len(band.x) == 2 * len(line.x)
  for at, value in ((spike, 99.0), (200_001, -99.0)):
    assert line.y[line.x.index(at)] == value
  assert (line.x[0], line.x[-1]) == (0, 299_999)
  assert list(line.x) == sorted(set(line.x))
  assert "lowest and highest value" in figure.layout.xaxis.title.text
  # A short one is drawn as it is, and says nothing.
  short = plots.curves({"a": ([1, 2], [3.0, 4.0])}, "step", "loss")
  assert short.data[0].y == (3.0, 4.0)
  assert short.layout.xaxis.title.text == "step"


def test_many_long_curves_share_their_points():
  line = (range(5000), np.arange(5000.0))
  figure = plots.curves({str(i): line for i in range(60)}, "step", "loss")
  assert {len(x.x) for x in figure.data} <= set(range(200, 335))


def test_the_curves_of_a_long_run_are_small():
  rows = [
    {"step": i, "loss": 1.0, "seconds": i, "knn": 0.5, "input_wait_share": 0.1}
    for i in range(1, 10_001)
  ]
  blocks = training_blocks(rows, [])
  assert all(len(x.x) <= plots.POINTS for b in blocks for x in b.figure.data)


def test_minutes_are_those_of_all_starts():
  config = ml_collections.ConfigDict({"steps": 4, "data": {"name": "set"}})
  rows = [
    {"step": i, "loss": 1.0, "seconds": s}
    for i, s in ((1, 60.0), (2, 120.0), (3, 30.0), (4, 90.0))
  ]
  assert "in 3.5 minutes" in _sentences(rows, config, [])[0]
  rows[-1] |= {"seconds": 360_000.0, "loss": 14860496080.42}
  said = _sentences(rows, config, [])[0]
  assert "in 100.0 hours" in said and "the loss to 1.49e+10." in said


def test_a_lines_seconds_end_before_its_evaluation():
  rows = [
    {"step": 10, "seconds": 1.0, "evaluation_seconds": 5.0},
    {"step": 20, "seconds": 7.0, "evaluation_seconds": 5.0},
    {"step": 30, "seconds": 13.0},
  ]
  lines = {line.name: line.y for line in times(rows).data}
  assert lines["computation"] == (100.0, 100.0, 100.0)
  twice = {line.name: line.y for line in times([*rows[:2], *rows[1:]]).data}
  assert math.isnan(twice["computation"][2])
  assert lines["evaluation"] == (500.0, 500.0, 0.0)
