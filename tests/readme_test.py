"""What the README says is what is stored, and its commands run."""

import importlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from infomin_jax import cli

README = pathlib.Path("README.md").read_text()
EVIDENCE = sorted(pathlib.Path("docs/evidence").glob("*.json"))


def tables():
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend("docs")
    return importlib.import_module("tables")


def blocks(language):
  return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_tables_are_those_of_the_evidence():
  module = tables()
  assert set(module.TABLES) == {path.stem for path in EVIDENCE}
  shown = set()
  for page in module.PAGES:
    text = page.read_text()
    assert module.render(page) == text, page
    shown |= {name for _, name, _ in module.MARK.findall(text)}
  assert shown == {*module.TABLES, *module.SUMMARIES}


@pytest.mark.parametrize("path", EVIDENCE, ids=lambda path: path.stem)
def test_evidence_can_be_rerun(path):
  record = json.loads(path.read_text())
  keys = {"id", "command", "config", "commit", "versions", "device", "seeds"}
  assert keys | {"values", "interval"} <= set(record)
  assert record["id"] == path.stem
  assert record["commit"] != "unknown"
  assert "dirty" not in record["commit"]


def test_the_python_example_prints_truth_and_estimates():
  (code,) = blocks("python")
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  true, found = (float(line.split()[1]) for line in done.stdout.splitlines())
  assert true == pytest.approx(0.830366, abs=1e-5)
  assert found == pytest.approx(true, abs=0.05)


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


def infomin_commands(*verbs):
  lines = [line for block in blocks("bash") for line in block.splitlines()]
  words = [shlex.split(line, comments=True) for line in lines]
  return [w[1:] for w in words if w[0] == "infomin" and w[1] in verbs]


def test_the_estimate_commands_run(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  x, noise = np.random.default_rng(0).normal(size=(2, 200, 3))
  np.save("X.npy", x)
  np.save("Y.npy", x + noise)
  table = np.column_stack([x[:, :2], x[:, 0] + noise[:, 0]])
  header = "age,income,spending"
  np.savetxt("people.csv", table, delimiter=",", header=header, comments="")
  commands = infomin_commands("estimate")
  assert len(commands) == 2
  for command in commands:
    cli.main([*command, "--critic=copula"])
    assert "nats, 95 % in [" in capsys.readouterr().out


def test_the_training_commands_run_when_tiny(tmp_path, monkeypatch):
  commands = infomin_commands("train", "evaluate")
  assert [command[0] for command in commands] == ["train", "evaluate"]
  for command in commands:
    cli.main(
      [
        word.replace("runs/", f"{tmp_path}/").replace(".py", ".py:tiny")
        for word in command
      ]
    )
  assert (tmp_path / "fm" / "evaluation.json").exists()
