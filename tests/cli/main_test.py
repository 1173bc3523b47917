"""`infomin`: quick to answer, one line on a mistake."""

import subprocess
import sys
import time

import pytest

from infomin_jax import cli


def run(*arguments):
  began = time.monotonic()
  done = subprocess.run(
    [sys.executable, "-X", "importtime", "-m", "infomin_jax.cli", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )
  imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
  said = [
    line
    for line in done.stderr.splitlines()
    if not line.startswith("import time:")
  ]
  return done, imported, said, time.monotonic() - began


@pytest.mark.parametrize(
  "arguments", [("--help",), *((verb, "--help") for verb in cli.VERBS)]
)
def test_help_imports_nothing_heavy(arguments):
  done, imported, _, _ = run(*arguments)
  assert done.returncode == 0
  assert "infomin" in done.stdout
  heavy = {"jax", "numpy", "flax", "tensorflow_datasets", "grain", "cv2"}
  assert not imported & heavy


def test_a_mistyped_verb_gets_one_line():
  done, imported, said, _ = run("trian")
  assert done.returncode == 2
  assert len(said) == 1
  assert "did you mean train?" in said[0]
  assert "jax" not in imported


@pytest.mark.parametrize(
  "arguments,words",
  [
    (("train",), "--config is missing"),
    (("train", "--config=configs/none.py"), "no such file"),
    (("train", "--config=configs/colorful_digits.py"), "--workdir is missing"),
    (
      ("train", "--config=configs/colorful_digits.py:big"),
      "variant of --config 'big': Known: full",
    ),
    (("train", "--confg=x"), "config"),
    (("train", "extra"), "unexpected argument 'extra'"),
    (("evaluate",), "--workdir is missing"),
    (("evaluate", "--workdir=/nowhere"), "holds no config.json"),
  ],
)
def test_a_wrong_call_gets_one_line(arguments, words, capsys):
  with pytest.raises(SystemExit) as error:
    cli.main(list(arguments))
  assert error.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert len(lines) == 1
  assert words in lines[0]


def test_a_config_that_pip_put_below_the_users_folder(tmp_path, monkeypatch):
  monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
  configs = tmp_path / "share/infomin_jax/configs"
  configs.mkdir(parents=True)
  text = "import ml_collections\nget_config = ml_collections.ConfigDict\n"
  (configs / "theirs.py").write_text(text)
  for name in ("configs/theirs.py", "theirs.py"):
    _, _, said, _ = run("train", f"--config={name}")
    assert "--workdir is missing" in said[0]
  _, _, said, _ = run("train", "--config=configs/nobodys.py")
  assert "no such file" in said[0]


def test_no_verb_prints_the_usage(capsys):
  with pytest.raises(SystemExit) as error:
    cli.main([])
  assert error.value.code == 2
  usage = capsys.readouterr().out
  assert all(verb in usage for verb in cli.VERBS)


def test_a_pipe_that_is_closed_ends_quietly():
  command = f"{sys.executable} -m infomin_jax.cli train --help | true"
  done = subprocess.run(
    ["bash", "-c", command], capture_output=True, text=True, check=False
  )
  assert not done.stderr
