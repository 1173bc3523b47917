"""`infomin import`: what it refuses in one line, and what it says first."""

import importlib
import json
import pickle
import runpy
import types

import ml_collections
import numpy as np
import pytest

from infomin_jax import cli
from infomin_jax.pretrained.read import Checkpoint

torch_file = types.SimpleNamespace(
  **runpy.run_path("benchmarks/reports/torch_file.py")
)
verb = importlib.import_module("infomin_jax.cli.import_")

FIRST = torch_file.resnet18(4)
CONFIG = """
import runpy

def get_config(variant="full"):
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder = dict(name="resnet18", stem="small", width=4)
  return config
"""


def refusal(tmp_path, capsys, path, **more):
  """The line of `infomin import` of a file, which must make nothing."""
  (tmp_path / "config.py").write_text(CONFIG)
  given = {"from": path, "config": tmp_path / "config.py", **more}
  given.setdefault("workdir", tmp_path / "run")
  with pytest.raises(SystemExit) as error:
    cli.main(["import", *(f"--{key}={x}" for key, x in given.items())])
  assert error.value.code == 2
  assert not (tmp_path / "run").exists()
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line.startswith("infomin import: ")
  return line


def test_a_model_that_was_pickled_whole_is_refused(tmp_path, capsys):
  conv = torch_file.module("torch.nn.Conv2d", _parameters={"weight": None})
  model = torch_file.module("mine.ResNet", _modules={"conv1": conv})
  path = torch_file.save(tmp_path / "x.pth", {"epoch": 1, "net": model})
  line = refusal(tmp_path, capsys, path)
  assert "whole pickled model (mine.ResNet)" in line
  assert "model['net'].state_dict()" in line


def test_another_encoder_is_refused_before_long_work(tmp_path, capsys):
  path = torch_file.save(tmp_path / "x.pth", torch_file.resnet18(16))
  line = refusal(tmp_path, capsys, path)
  assert (
    "width 16, but the encoder of the config has width 4: set config" in line
  )
  few = {name: x for name, x in FIRST.items() if "bn1.running" not in name}
  line = refusal(tmp_path, capsys, torch_file.save(tmp_path / "few", few))
  assert "has no bn1.running_mean" in line
  line = refusal(tmp_path, capsys, path, **{"config.encoder.name": "convnet"})
  assert "config.encoder is convnet: only ResNets" in line
  assert "name the file in it" in refusal(tmp_path, capsys, tmp_path)
  (tmp_path / "old" / "checkpoints" / "3").mkdir(parents=True)
  line = refusal(tmp_path, capsys, path, workdir=tmp_path / "old")
  assert "has checkpoints: name a new folder" in line


@pytest.mark.parametrize("inside", [True, False])
def test_a_pickle_that_runs_code_is_refused(inside, tmp_path, capsys):
  class Harmful:
    def __reduce__(self):
      return (open, (str(tmp_path / "touched"), "w"))

  path = tmp_path / "bad.pth"
  found = {"state_dict": Harmful()} if inside else Harmful()
  path.write_bytes(pickle.dumps(found))
  line = refusal(tmp_path, capsys, path)
  assert "cannot be read as tensors alone" in line
  assert "Nothing in it was run" in line
  assert not (tmp_path / "touched").exists()


IMAGENET = "mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)"
MEAN_IMAGES = {
  "m.mean": np.array([0.1, 0.2, 0.3]),
  "m.std": np.array([0.2, 0.2, 0.3]),
}


@pytest.mark.parametrize(
  "mean,std,arrays,metadata,wanted",
  [
    (
      *((0.5,), (0.5,), {}, {}),
      f"differs: config.normalize is mean (0.5,), std (0.5,), but the usual "
      f"value of ImageNet is {IMAGENET}.",
    ),
    (
      *((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), {}, {}),
      f"Normalization: {IMAGENET}, the usual",
    ),
    (
      *((0.5,), (0.5,), MEAN_IMAGES, {}),
      "the value of the file is mean (0.1, 0.2, 0.3), std (0.2, 0.2, 0.3).",
    ),
    (
      *((0.5,) * 3, (0.25,), {}),
      {"normalize": json.dumps({"mean": [0.5], "std": [0.25]})},
      "Normalization: mean (0.5, 0.5, 0.5), std (0.25,), the value of the file",
    ),
    (
      *((0.5,), (0.5,), {"a.mean": np.ones(1)}, {"normalize": "what"}),
      "differs",
    ),
    (
      *((0.5,), (0.5,)),
      {"m.pixel_mean": np.full(3, 127.5), "m.pixel_std": np.full(3, 127.5)},
      {},
      "Normalization: mean (0.5,), std (0.5,), the value of the file.",
    ),
  ],
)
def test_normalization_is_compared(mean, std, arrays, metadata, wanted):
  options = ml_collections.ConfigDict(dict(mean=mean, std=std))
  found = Checkpoint(arrays, metadata, {})
  line = verb.normalization(options, found, "imagenet")
  assert wanted in line and len(line.splitlines()) == 1
  assert ("--config.normalize.mean='(" in line) == ("differs" in line)
