"""Every config trains two steps and is evaluated, on records of its set."""

import importlib.util
import json
import pathlib

import jax
import numpy as np
import pytest
from helpers import FAKES, fake_cifar10, pixels

from infomin_jax import cli, provenance
from infomin_jax.recipes import deep_infomax
from infomin_jax.train import mesh as meshes
from infomin_jax.train.experiment import make_experiment

CONFIGS = sorted(p.stem for p in pathlib.Path("configs").glob("*.py"))


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  """The programs of one device compile faster; others test more."""
  make_mesh = meshes.make_mesh
  monkeypatch.setattr(
    meshes, "make_mesh", lambda devices=None: make_mesh(jax.devices()[:1])
  )


# Large networks, which compile for minutes: their shapes are checked below.
TRACED = (
  *("cifar10_amdim", "cifar10_crops", "cifar10_infomin"),
  *("div2k_patches", "photo_patches"),
  *("stl10_crops", "stl10_infomin", "stl10_views"),
)


# RandAugment alone compiles for a minute; tests of its own run it.
OPTIONS = {
  "imagenet_infomin": ["--config.views.name=B"],
  "own_images": ["--config.data.path={data}", "--config.data.image_size=32"],
}


def test_every_config_has_a_set():
  assert CONFIGS == sorted(FAKES)


# The quickest; `make check` trains the others.
QUICK = ("fashion_mnist_dim",)


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK))
    for name in FAKES
    if name not in TRACED
  ],
)
def test_tiny_trains_two_steps_and_is_evaluated(name, tmp_path, capsys):
  FAKES[name](tmp_path / "data")
  workdir = tmp_path / "run"
  cli.main(
    [
      "train",
      f"--config=configs/{name}.py:tiny",
      f"--config.data.data_dir={tmp_path / 'data'}",
      f"--workdir={workdir}",
      *(x.format(data=tmp_path / "data") for x in OPTIONS.get(name, [])),
    ]
  )
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  last = json.loads(lines[-1])
  assert last["step"] == 2
  assert np.isfinite([value for value in last.values()]).all()
  assert last["mi_bound"] <= last["mi_ceiling"] + 1e-5
  assert {"knn", "linear", "effective_rank", "feature_std"} <= set(last)
  capsys.readouterr()
  cli.main(["evaluate", f"--workdir={workdir}", "--json"])
  found = json.loads(capsys.readouterr().out)["rows"]
  assert found == json.loads((workdir / "evaluation.json").read_text())["rows"]
  keys = {"task", "protocol", "tap", "features", "metric", "value", "seed"}
  assert all(set(row) == keys for row in found)
  assert {row["features"] for row in found} == {
    "learned",
    "pixels",
    "untrained",
  }


VARIANTS = [("cifar10_dim", f"{row},") for row in deep_infomax.ROWS]
VARIANTS += [("cifar10_amdim", ""), ("cifar10_crops", "dim,")]
VARIANTS += [("cifar10_crops", "cpc,")]
VARIANTS += [("cifar10_infomin", "byol,"), ("stl10_infomin", "cmc,")]
VARIANTS += [("moving_digits", row) for row in ("supervised,", "position,")]
VARIANTS += [("div2k_patches", ""), ("photo_patches", "")]
VARIANTS += [("stl10_views", row) for row in ("lab,", "frequency,", "semi,")]
VARIANTS += [("imagenet_infomin", row) for row in ("pirl,large,", "cmc_v2,")]
VARIANTS += [("stl10_crops", row) for row in ("dim,", "multi,", "cpc,")]
VARIANTS += [(name, "") for name in FAKES if name not in (*QUICK, *TRACED)]


@pytest.mark.parametrize("name,row", VARIANTS)
def test_every_row_of_a_table_takes_a_step(name, row, tmp_path):
  FAKES[name](tmp_path)
  config = get_config(name, f"{row}tiny")
  config.data.data_dir = str(tmp_path)
  if name == "own_images":
    config.data.update(path=str(tmp_path), image_size=32)
  experiment = make_experiment(config)  # traces a step
  assert set(experiment.learner.terms) == set(config.objective)


def test_a_row_without_a_critic_trains_to_the_end(tmp_path, capsys):
  fake_cifar10(tmp_path / "data")
  workdir = tmp_path / "run"
  cli.main(
    [
      "train",
      "--config=configs/cifar10_dim.py:nat,tiny",
      f"--config.data.data_dir={tmp_path / 'data'}",
      f"--workdir={workdir}",
    ]
  )
  final = json.loads((workdir / "summary.json").read_text())["final"]
  assert "mi_bound" not in final and np.isfinite(final["nat_cosine"])
  assert "mi_bound" not in provenance.training(workdir)
  out = capsys.readouterr()
  assert "Trained 2 steps" in out.err + out.out


@pytest.mark.parametrize("config", ["cifar10_dim.py:vea", "stl10_crops.py:vea"])
def test_an_unknown_row_gets_one_line(config, capsys):
  with pytest.raises(SystemExit) as error:
    cli.main(["train", f"--config=configs/{config}", "--workdir=unused"])
  assert error.value.code == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line.startswith("infomin train: Unknown variant of --config 'vea'")


def get_config(name, variant):
  spec = importlib.util.spec_from_file_location(name, f"configs/{name}.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


def test_views_are_drawn(tmp_path, capsys):
  out = tmp_path / "views.png"
  cli.main(
    [
      "views",
      "--config=configs/colorful_digits.py:tiny",
      f"--out={out}",
      "--count=3",
    ]
  )
  assert out.read_bytes().startswith(b"\x89PNG")
  assert str(out) in capsys.readouterr().out


@pytest.mark.slow
def test_labels_missing_where_a_probe_needs_them(tmp_path, capsys):
  images = tmp_path / "images.npy"
  np.save(images, pixels(40, 32, 32, 3))
  config = tmp_path / "mine.py"
  text = pathlib.Path("configs/cifar10_dim.py").read_text()
  theirs = f'config.data.update(name="arrays", path="{images}")'
  config.write_text(text.replace('config.data.name = "cifar10"', theirs))
  cli.main(
    ["train", f"--config={config}:tiny", f"--workdir={tmp_path / 'run'}"]
  )
  capsys.readouterr()
  with pytest.raises(SystemExit) as error:
    cli.main(["evaluate", f"--workdir={tmp_path / 'run'}"])
  assert error.value.code == 2
  assert "has no labels" in capsys.readouterr().err
