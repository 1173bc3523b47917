"""Reports on export and push: kind 20."""

import os
import pathlib
import subprocess
import sys

import numpy as np
from checkpoints import config_of, run_of
from report import Report, Said, infomin, one_line


def exported(place, form: str, out: pathlib.Path) -> Said:
  return infomin(
    "export", f"--workdir={place}", f"--format={form}", f"--out={out}"
  )


def computes(name: str, side: int = 8, channels: int = 3, **options):
  """Returns a check that the StableHLO of an encoder has its features."""

  def check(folder: pathlib.Path) -> None:
    import jax
    import jax.export

    import infomin_jax

    config = config_of(name, side, **options)
    config.evaluate.taps = ("global",)
    workdir = run_of(folder / "run", config, channels=channels)
    said = exported(workdir, "stablehlo", folder / "x")
    assert said.status == 0, said.err
    call = jax.export.deserialize(bytearray((folder / "x").read_bytes())).call
    shape = (3, side, side, channels)
    images = np.random.default_rng(1).random(shape, np.float32)
    expected = infomin_jax.load(workdir)(images)
    actual = np.asarray(call(images)["global"]).reshape(3, -1)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

  return check


def written(form: str, *words: str, conv1: tuple = (), **options):
  """Returns a check that a ResNet is written, with a hint how to load it."""

  def check(folder: pathlib.Path) -> None:
    from safetensors.numpy import load_file

    workdir = run_of(folder / "run", config_of("resnet18", 32, **options))
    out = folder / "x.safetensors"
    said = exported(workdir, form, out)
    assert said.status == 0, said.err
    one_line(said.err, *words)
    assert load_file(out)["conv1.weight"].shape == conv1

  return check


def not_written(form: str, *words: str, name="resnet18", out="x", **options):
  """Returns a check that an encoder is refused for a format, in one line."""

  def check(folder: pathlib.Path) -> None:
    workdir = run_of(folder / "run", config_of(name, 32, **options))
    said = exported(workdir, form, folder / out)
    assert said.status == 2, said
    one_line(said.err, *words)
    assert not (folder / out).exists()

  return check


def a_folder(folder: pathlib.Path) -> None:
  workdir = run_of(folder / "run", config_of())
  (folder / "out").mkdir()
  said = exported(workdir, "stablehlo", folder / "out")
  assert said.status == 2
  one_line(said.err, "is a folder")


def broken_library(folder: pathlib.Path) -> None:
  """Refuses to push if huggingface_hub lacks a library that it needs."""
  workdir = run_of(folder / "run", config_of())
  package = folder / "site" / "huggingface_hub"
  package.mkdir(parents=True)
  (package / "__init__.py").write_text("import httpx_of_nobody\n")
  path = os.pathsep.join([str(folder / "site"), *filter(None, sys.path)])
  words = "push", f"--workdir={workdir}", "--repo=a/b"
  done = subprocess.run(
    [sys.executable, "-m", "infomin_jax.cli", *words],
    env=os.environ | {"PYTHONPATH": path},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2, done.stderr
  one_line(done.stderr, "huggingface_hub is installed", "httpx_of_nobody")


_LOADS = "a file that loads, and what to change before"
REPORTS: tuple[Report, ...] = (
  Report(20, "a convnet to StableHLO", "its features", computes("convnet")),
  Report(
    20,
    "basic32x32 of narrow layers to StableHLO",
    "its features",
    computes("basic32x32", 32, width=4),
  ),
  Report(
    20,
    "an MLP on gray images to StableHLO",
    "its features",
    computes("mlp", channels=1, hidden=(4,)),
  ),
  Report(
    20,
    "a RealNVP to StableHLO",
    "its features",
    computes("realnvp", 4, size=48, width=4, couplings=2),
  ),
  Report(
    20,
    "a convnet in bfloat16 to StableHLO",
    "its features",
    computes("convnet", widths=(4,), strides=(2,), dtype="bfloat16"),
  ),
  Report(
    20,
    "a ResNet with the small stem to torchvision",
    _LOADS,
    written(
      "torchvision",
      "model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)",
      "model.maxpool = torch.nn.Identity()",
      conv1=(64, 3, 3, 3),
      stem="small",
    ),
  ),
  Report(
    20,
    "a usual ResNet to timm",
    _LOADS,
    written("timm", "model.fc = torch.nn.Identity()", conv1=(64, 3, 7, 7)),
  ),
  Report(
    20,
    "a narrow ResNet to torchvision",
    "one line",
    not_written(
      "torchvision", "width is 8", "stablehlo", width=8, out="x.safetensors"
    ),
  ),
  Report(
    20,
    "a ResNet with the small stem to Detectron2",
    "one line",
    not_written("detectron2", "stem is small", stem="small", out="x.pkl"),
  ),
  Report(
    20,
    "an MLP to timm",
    "one line",
    not_written("timm", "is for ResNets", name="mlp", out="x.safetensors"),
  ),
  Report(20, "--out names a folder", "one line", a_folder),
  Report(
    20,
    "push, where huggingface_hub lacks a library",
    "one line that names both",
    broken_library,
  ),
)
