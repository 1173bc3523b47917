"""What the README says is what is stored, and its commands run."""

import collections
import importlib
import itertools
import json
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SMALL
from PIL import Image

import infomin_jax
from infomin_jax import cli, estimators
from infomin_jax.encoders import features

README = pathlib.Path("README.md").read_text()
EVIDENCE = sorted(pathlib.Path("docs/evidence").glob("*.json"))
CHOICES = (
  "choose_bound",
  "choose_critic",
  "choose_objective",
  "choose_views",
  "choose_shared",
)


def tables():
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend("docs")
    return importlib.import_module("tables")


def stored(name):
  return json.loads(pathlib.Path(f"docs/evidence/{name}.json").read_text())


def cells(table):
  """The rows of a Markdown table below its heading, as lists of cells."""
  lines = [line for line in table.splitlines() if line.startswith("|")]
  return [[c.strip() for c in line[1:-1].split("|")] for line in lines[2:]]


def blocks(language):
  return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_tables_are_those_of_the_evidence():
  module = tables()
  assert set(module.TABLES) == {path.stem for path in EVIDENCE}
  shown = []
  for page in module.PAGES:
    text = page.read_text()
    assert module.render(page) == text, page
    shown += [name for _, name, _ in module.MARK.findall(text)]
  # Each on one page only.
  assert sorted(shown) == sorted({*module.TABLES, *module.SUMMARIES})


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_decided_and_no_two_rows_read_the_same(name):
  module = tables()
  summary, names = module.SUMMARIES[name]
  rows = cells(summary([module.stored(of) for of in names]))
  assert {row[-1] for row in rows} <= {"holds", "fails"}
  assert all(row[0] and row[4] for row in rows)  # its family and its unit
  assert len({(row[0], row[1]) for row in rows}) == len(rows)


def test_only_the_smallest_error_is_bold():
  lines, _ = tables().mi_tables.accuracy(stored("mi_suite"))
  for row in cells("\n".join(lines)):
    errors = [float(cell.strip("*")) for cell in row[2:]]
    bold = [cell.startswith("**") for cell in row[2:]]
    assert bold == [error == min(errors) for error in errors]


def test_numbers_in_sentences_are_those_of_the_evidence():
  quick, suites = stored("quickstart"), tables().suite_tables
  rows = suites.known(suites.rows_of(stored("mi_suite"), "beyond_normal"))
  knn = {
    row["features"]: f"{100 * row['mean']:.1f} %"
    for row in quick["values"]
    if row["task"] == "digit" and row["protocol"].startswith("knn")
  }
  (training,) = quick["training"]
  verdicts = collections.Counter(
    claim["verdict"]
    for study in ("limits", "deep_infomax", "good_views")
    for claim in stored(study)["claims"]
  )
  clone = stored("fresh_clone")["values"][0]
  ratio = {row["case"]: row["ratio"] for row in stored("train_step")["values"]}
  covered = sum(row["covered"] for row in rows)
  tasks = {row["task"] for row in rows}
  error = suites.mean(map(suites.error, rows))
  for sentence in (
    f"On {len(tasks)} tasks of known MI the mean absolute error is "
    f"{error:.3f} nats",
    f"holds the truth in {covered} of {len(rows)} runs",
    f"took {clone['install_seconds']:.0f} s and "
    f"{clone['install_bytes'] / 1e9:.1f} GB to install, and "
    f"{clone['test_seconds'] / 60:.1f} minutes for `make test`",
    f"On two cores it took {training['seconds'] / 60:.1f} minutes and raised "
    f"the kNN accuracy on digits to {knn['learned']}, from {knn['pixels']} on "
    f"raw pixels and {knn['untrained']} before training",
    f"Of {verdicts.total()} claims of three papers, {verdicts['holds']} hold "
    f"at this size, {verdicts['fails']} fail, and {verdicts['unmeasured']} are "
    "undecided or not measured",
    f"A training step takes {ratio['resnet18_contrastive']:.2f} times as long "
    f"as PyTorch's for ResNet-18 and {ratio['basic32x32_dim']:.2f} times for "
    "Deep InfoMax",
  ):
    assert sentence in " ".join(README.split())
  assert quick["device"]["cores"] == 2


def test_it_is_short_and_has_two_tables():
  assert len(README.splitlines()) <= 150
  assert len(re.findall(r"^\|---", README, re.MULTILINE)) == 2


class Mean:
  """`MEAN[values]`: the mean of the entries of a matrix that `where` marks."""

  def __init__(self, where):
    self.where = where

  def __getitem__(self, values):
    return np.mean(np.broadcast_to(values, self.where.shape)[self.where])


def test_estimator_tables_have_all_names_directions_and_equations():
  pages = README, pathlib.Path("docs/estimators.md").read_text()
  rows = [
    row
    for page in pages
    for row in cells(page[page.index("| estimator |") :].partition("\n\n")[0])
  ]
  names = [re.findall(r"`(\w+)`", row[0]) for row in rows]
  assert sorted(itertools.chain(*names)) == sorted(estimators.ESTIMATORS)
  s = np.random.default_rng(0).normal(size=(6, 6))
  pair = np.eye(6, dtype=bool)
  meaning = {
    **{name: getattr(np, name) for name in ("exp", "log", "clip")},
    "softplus": lambda x: np.logaddexp(0, x),
    "row_mean": lambda x: np.mean(x, axis=1, keepdims=True),
    "column_mean": lambda x: np.mean(x, axis=0, keepdims=True),
    "other_rows_mean": lambda x: np.mean(x, axis=0, keepdims=True, where=~pair),
    **{"s": s, "a": 1.0, "P": Mean(pair), "N": Mean(~pair)},
  }
  in_words = {"infonce_symmetric", "i_alpha"}  # rows without a formula
  for own, (_, bound, equation, _) in zip(names, rows, strict=True):
    for name in own:
      direction = estimators.ESTIMATORS[name].direction
      assert re.split(r"[ ,]", bound)[0] == direction
      if name not in in_words:
        value = eval(re.match("`(.*?)`", equation).group(1), dict(meaning))
        found = estimators.ESTIMATORS[name](jnp.asarray(s, jnp.float32))
        assert float(found) == pytest.approx(value, abs=1e-5), name


def test_methods_name_all_configs():
  table = README[README.index("| method |") :].partition("\n\n")[0]
  named = set()
  for before, choices, after in re.findall(
    r"`(configs/\w*)(?:{([\w,]+)})?(\w*\.py)`", table
  ):
    named |= {f"{before}{one}{after}" for one in choices.split(",")}
  assert named == {str(path) for path in pathlib.Path("configs").glob("*.py")}


def test_the_key_of_bfloat16_exists():
  (word,) = re.findall(r"`(--config\.[^`]+)`", README)
  key, _, value = word.removeprefix("--config.").partition("=")
  config = runpy.run_path("configs/cifar10_infomin.py")["get_config"]()
  config.update_from_flattened_dict({key: value})  # KeyError if it is not there
  assert value in features.DTYPES


@pytest.mark.parametrize("path", EVIDENCE, ids=lambda path: path.stem)
def test_evidence_can_be_rerun(path):
  record = json.loads(path.read_text())
  keys = {"id", "command", "config", "commit", "versions", "device", "seeds"}
  assert keys | {"values", "interval"} <= set(record)
  assert record["id"] == path.stem
  assert record["commit"] != "unknown"
  assert "dirty" not in record["commit"]


def run(code):
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  return done.stdout.splitlines()


def test_the_python_example_prints_truth_and_estimates():
  code, _ = blocks("python")
  true, found = (float(line.split()[1]) for line in run(code))
  assert true == pytest.approx(0.830366, abs=1e-5)
  assert found == pytest.approx(true, abs=0.05)


@pytest.mark.slow
def test_the_parts_train():
  _, code = blocks("python")
  nats = [float(line.removesuffix(" nats")) for line in run(code)]
  assert len(nats) == 20
  assert nats[-1] > nats[0] + 0.3


@pytest.mark.parametrize(
  "page", ["README.md", "docs/imagenet.md", "docs/share.md"]
)
def test_every_command_exists(page):
  text = pathlib.Path(page).read_text().replace("\\\n", " ")
  found = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
  lines = [line for block in found for line in block.splitlines()]
  words = [shlex.split(line, comments=True) for line in lines]
  known = re.findall(r"^([a-z]+):", pathlib.Path("Makefile").read_text(), re.M)
  for command in words:
    if command[0] == "make":
      assert set(command[1:]) <= set(known)
    elif command[0] == "infomin":
      assert command[1] in cli.VERBS
      configs = [x for x in command if x.startswith("configs/")]
      for path in configs:
        assert pathlib.Path(path.partition(":")[0]).is_file()
    else:
      assert command[:2] in (
        ["apt-get", "install"],
        ["pip", "install"],
        ["tfds", "build"],
        ["source", ".venv/bin/activate"],
      )


def infomin_commands(page, *verbs):
  text = page.read_text()
  found = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
  lines = [line for block in found for line in block.splitlines()]
  words = [shlex.split(line, comments=True) for line in lines]
  return [w[1:] for w in words if w[:1] == ["infomin"] and w[1] in verbs]


def test_the_estimate_commands_run(tmp_path, monkeypatch, capsys):
  (command,) = infomin_commands(pathlib.Path("README.md"), "estimate")
  more = infomin_commands(pathlib.Path("docs/estimate.md"), "estimate")
  (of_table,) = (words for words in more if "age,income" in words)
  monkeypatch.chdir(tmp_path)
  x, noise = np.random.default_rng(0).normal(size=(2, 200, 3))
  np.save("X.npy", x)
  np.save("Y.npy", x + noise)
  table = np.column_stack([x[:, :2], x[:, 0] + noise[:, 0]])
  header = "age,income,spending"
  np.savetxt("people.csv", table, delimiter=",", header=header, comments="")
  for words in (command, of_table):
    cli.main([*words, "--critic=copula"])
    assert "nats, 95 % in [" in capsys.readouterr().out


@pytest.mark.slow
def test_the_other_commands_run_when_tiny(tmp_path, monkeypatch):
  page = pathlib.Path("README.md")
  commands = infomin_commands(page, *(set(cli.VERBS) - {"estimate"}))
  (load,) = re.findall(r"`(infomin_jax\.load\(.*?\)\(images\))`", README)
  verbs = [command[0] for command in commands]
  mentioned = re.findall(r"`infomin (\w+)", README)  # tables and sentences
  assert verbs == ["train", "evaluate", "report", "train"]
  assert set(mentioned) <= set(cli.VERBS)
  monkeypatch.chdir(tmp_path)
  images = np.random.default_rng(0).integers(0, 256, (80, 64, 64, 3), np.uint8)
  pathlib.Path("PHOTOS").mkdir()
  for i, image in enumerate(images):
    Image.fromarray(image).save(f"PHOTOS/{i}.png")
  for command in commands:
    small = SMALL if "--config.data.path=PHOTOS" in command else ()
    cli.main([word.replace(".py", ".py:tiny") for word in command] + [*small])
  assert pathlib.Path("runs/first/evaluation.json").exists()
  assert pathlib.Path("runs/first/report.html").exists()
  assert pathlib.Path("runs/mine/summary.json").exists()
  found = eval(load, {"infomin_jax": infomin_jax, "images": images[:2]})
  assert found.ndim == 2 and len(found) == 2
