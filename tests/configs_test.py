"""Every config trains two steps and is evaluated, on records of its set."""

import json
import pathlib

import jax
import numpy as np
import pytest
from data_tfds_test import encoded, pixels, write_set

from infomin_jax import cli
from infomin_jax.train import mesh as meshes

CONFIGS = sorted(p.stem for p in pathlib.Path("configs").glob("*.py"))
COUNT = 80


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  """The programs of one device compile faster; others test more."""
  make_mesh = meshes.make_mesh
  monkeypatch.setattr(
    meshes, "make_mesh", lambda devices=None: make_mesh(jax.devices()[:1])
  )


def labelled(shape, kind=".png"):
  return [
    {"image": encoded(pixels(*shape, seed=i), kind), "label": i % 10}
    for i in range(COUNT)
  ]


def fake_cifar10(folder):
  rows = [row | {"id": "x"} for row in labelled((32, 32, 3))]
  write_set("cifar10", folder, {"train": rows, "test": rows})


def fake_stl10(folder):
  rows = labelled((96, 96, 3))
  rest = [row | {"label": -1} for row in rows[:16]]
  write_set("stl10", folder, {"train": rows, "test": rows, "unlabelled": rest})


def fake_imagenet2012(folder):
  rows = [
    {
      "image": encoded(pixels(40 + i % 3, 60, 3, seed=i), ".jpg"),
      "label": i % 10,
      "file_name": f"{i}.jpg",
    }
    for i in range(COUNT)
  ]
  write_set("imagenet2012", folder, {"train": rows, "validation": rows})


def fake_fashion_mnist(folder):
  rows = labelled((28, 28, 1))
  write_set("fashion_mnist", folder, {"train": rows, "test": rows})


FAKES = {
  "cifar10_dim": fake_cifar10,
  "cifar10_infomin": fake_cifar10,
  "colorful_digits": lambda folder: None,
  "fashion_mnist": fake_fashion_mnist,
  "imagenet_infomin": fake_imagenet2012,
  "stl10_dim": fake_stl10,
}


def test_every_config_has_a_set():
  assert CONFIGS == sorted(FAKES)


@pytest.mark.parametrize("name", FAKES)
def test_tiny_trains_two_steps_and_is_evaluated(name, tmp_path, capsys):
  FAKES[name](tmp_path / "data")
  workdir = tmp_path / "run"
  cli.main(
    [
      "train",
      f"--config=configs/{name}.py:tiny",
      f"--config.data.data_dir={tmp_path / 'data'}",
      f"--workdir={workdir}",
    ]
  )
  rows = (workdir / "metrics.jsonl").read_text().splitlines()
  last = json.loads(rows[-1])
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


def test_labels_missing_where_a_probe_needs_them(tmp_path, capsys):
  images = tmp_path / "images.npy"
  np.save(images, pixels(40, 32, 32, 3))
  config = tmp_path / "mine.py"
  text = pathlib.Path("configs/cifar10_dim.py").read_text()
  config.write_text(
    text.replace('name="cifar10"', f'name="arrays",\n    path="{images}"')
  )
  cli.main(
    ["train", f"--config={config}:tiny", f"--workdir={tmp_path / 'run'}"]
  )
  capsys.readouterr()
  with pytest.raises(SystemExit) as error:
    cli.main(["evaluate", f"--workdir={tmp_path / 'run'}"])
  assert error.value.code == 2
  assert "has no labels" in capsys.readouterr().err
