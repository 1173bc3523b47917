"""What one adds in a file of one's own is there in every verb."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from infomin_jax import cli
from infomin_jax.critics import CRITICS

MINE = """
from infomin_jax.critics import CRITICS


class Mine(CRITICS["separable"]):
  pass


CRITICS["mine"] = Mine
"""


@pytest.mark.slow
def test_a_run_with_a_critic_of_ones_own(tmp_path, capsys, monkeypatch):
  for i in range(96):
    pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), np.uint8)
    (tmp_path / "images").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
  mine, run = tmp_path / "mine.py", tmp_path / "run"
  mine.write_text(MINE)
  cli.main(
    [
      *("train", f"--with={mine}", "--config=configs/own_images.py:tiny"),
      f"--config.data.path={tmp_path / 'images'}",
      "--config.objective.contrastive.critic.name=mine",
      *("--config.batch_size=8", "--config.data.image_size=16"),
      *("--config.views.size=16", "--config.encoder.widths=(4, 4)"),
      *("--config.encoder.strides=(2, 2)", f"--workdir={run}"),
    ]
  )
  embed = [
    *("embed", f"--workdir={run}", f"--images={tmp_path / 'images'}"),
    f"--out={tmp_path / 'features.npz'}",
  ]
  monkeypatch.delitem(CRITICS, "mine")  # as in another process
  with pytest.raises(SystemExit):
    cli.main(embed)
  assert "critic 'mine'" in capsys.readouterr().err
  cli.main([*embed, "--with", str(mine)])
  assert len(np.load(tmp_path / "features.npz")["features"]) == 96
  cli.main(["report", f"--with={mine}", str(run)])
  page = pathlib.Path(run / "report.html").read_text()
  assert "Not shown" not in page and "Nearest neighbors" in page


@pytest.mark.parametrize("words", [["--with"], ["--with=none.py"]])
def test_a_file_that_is_not_there(words, capsys):
  with pytest.raises(SystemExit) as error:
    cli.main(["doctor", *words])
  assert error.value.code == 2
  assert "expected a Python file" in capsys.readouterr().err
