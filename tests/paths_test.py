"""Paths that users name: `~`, commas, and stores that are refused."""

import pathlib

import pytest

from infomin_jax import cli, paths
from infomin_jax.errors import UserError
from infomin_jax.runs.workdir import read_config


@pytest.mark.parametrize("path", ["~", "~/runs/a", pathlib.Path("~/x, y")])
def test_home_is_a_folder(path, tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  assert paths.local("--out", path) == tmp_path / str(path)[2:]


@pytest.mark.parametrize(
  "path", ["a~b", "./~", "C:/x", "arrays.npz:/x", "a:b/c", "http:"]
)
def test_other_paths_stay(path):
  assert paths.local("--out", path) == pathlib.Path(path)


@pytest.mark.parametrize("path", ["gs://b/run", "s3:/b/run", "file:///tmp/x"])
def test_a_store_is_refused(path):
  with pytest.raises(UserError, match=r"--workdir: .*local disk.*: \w"):
    paths.local("--workdir", path)


def test_commas_within_names_do_not_split(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ("a, b", "a", "c,d,e"):
    (tmp_path / name).mkdir()
  text = "a, b,a,c,d,e,new,"
  assert paths.split("--workdir", text) == ["a, b", "a", "c,d,e", "new"]
  long = ",".join(["x" * 300] * 3)
  assert paths.split("--workdir", long) == long.split(",")


@pytest.mark.parametrize(
  "arguments",
  [
    ("embed", "--workdir=w", "--images=gs://photos", "--out=x.npz"),
    ("evaluate", "--workdir=runs/a,gs://b"),
    ("report", "gs://b"),
    ("runs", "gs://b"),
    ("train", "--config=own_images.py", "--workdir=gs://bucket/run"),
    ("views", "--config=own_images.py", "--config.data.path=gs://photos"),
  ],
)
def test_every_command_says_so(arguments, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(SystemExit) as end:
    cli.main(list(arguments))
  assert end.value.code == 2
  said = capsys.readouterr().err
  assert "local disk" in said and len(said.splitlines()) == 1
  assert not list(tmp_path.iterdir())


def test_a_config_of_nobody_is_refused(capsys):
  with pytest.raises(SystemExit) as end:
    cli.main(["train", "--config", "~nobody_is_called_so/x.py"])
  assert end.value.code == 2
  assert "no home folder" in capsys.readouterr().err


def test_python_knows_home_too(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  (tmp_path / "run").mkdir()
  (tmp_path / "run/config.json").write_text('{"seed": 3}')
  assert read_config("~/run").seed == 3
  with pytest.raises(UserError, match="local disk"):
    read_config("gs://bucket/run")
