"""What docs/own_images.md says of folders and arrays that people have."""

import numpy as np
import pytest
from helpers import SMALL
from PIL import Image

from infomin_jax import cli

CROPS = ("--config.views.name=crop", "--config.views.grayscale=0.0")
ARRAYS = (
  "--config.data.name=arrays",
  "--config.data.image_size=0",
  "--config.data.channels=0",
)


def train(path, workdir, *words):
  cli.main(
    [
      "train",
      "--config=configs/own_images.py:tiny",
      f"--config.data.path={path}",
      f"--workdir={workdir}",
      *SMALL,
      *words,
    ]
  )


def files(folder, mode, count=80):
  rng = np.random.default_rng(0)
  (folder / "deep" / "er").mkdir(parents=True)
  for i in range(count):
    h, w = rng.integers(16, 40, 2)
    pixels = rng.integers(0, 256, (h, w, 4), np.uint8)
    image = Image.fromarray(pixels, "RGBA")
    if mode == "16":
      image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode != "mixed":
      image = image.convert(mode)
    elif i % 3:
      image = image.convert(("L", "RGB")[i % 3 - 1])
    image.save(folder / "deep" / "er" / f"{i}.png")
  return folder


@pytest.mark.parametrize(
  "mode,words",
  [
    ("L", ("--config.data.channels=1",)),
    ("16", ("--config.data.channels=1",)),
    ("RGBA", ("--config.data.channels=4", *CROPS)),
  ],
)
@pytest.mark.slow
def test_a_folder_trains_and_is_embedded(mode, words, tmp_path, capsys):
  folder = files(tmp_path / "images", mode)
  train(folder, tmp_path / "run", *words)
  # Without labels there is nothing to probe.
  assert f"Next: infomin report {tmp_path}" in capsys.readouterr().err
  out = tmp_path / "features.npz"
  places = (f"--workdir={tmp_path / 'run'}", f"--images={folder}")
  cli.main(["embed", *places, f"--out={out}"])
  assert np.isfinite(np.load(out)["features"]).all()
  assert len(np.load(out)["files"]) == 80


@pytest.mark.slow
def test_arrays_of_six_channels_train(tmp_path):
  images = np.random.default_rng(0).random((80, 16, 16, 6), np.float32)
  np.save(tmp_path / "x.npy", images)
  train(tmp_path / "x.npy", tmp_path / "run", *ARRAYS, *CROPS)
  assert (tmp_path / "run" / "summary.json").exists()


def test_a_broken_file_is_left_out_if_asked(tmp_path):
  folder = files(tmp_path / "images", "RGB")
  paths = sorted((folder / "deep" / "er").glob("*.png"))
  for path in (paths[0], paths[20], paths[29]):  # the last is held out
    path.write_bytes(b"none")
  with pytest.raises(SystemExit):
    train(folder, tmp_path / "stopped")
  train(folder, tmp_path / "run", "--config.data.broken=skip")
  assert (tmp_path / "run" / "summary.json").exists()


WHOLE = ("--config.data.image_size=0", "--config.data.host_crops=True")


@pytest.mark.parametrize(
  "words,line",
  [
    (("--config.data.channels=4",), "images of 1 or 3 channels, got 4"),
    (CROPS[:1], "config.views.grayscale is 0.2, but this recipe"),
    (WHOLE[:1], "The images vary in size"),
    (WHOLE, "config.evaluate.resize is 0"),
    (("--config.batch_size=80",), "has only 72 training images"),
  ],
)
def test_a_mistake_gets_the_line_of_the_page(words, line, tmp_path, capsys):
  folder = files(tmp_path / "images", "RGBA")
  with pytest.raises(SystemExit) as error:
    train(folder, tmp_path / "run", *words)
  assert error.value.code == 2
  assert line in capsys.readouterr().err


def test_whole_images_are_cropped_by_the_host(tmp_path):
  folder = files(tmp_path / "images", "mixed")
  train(folder, tmp_path / "run", *WHOLE, "--config.evaluate.resize=18")
  assert (tmp_path / "run" / "summary.json").exists()
