"""The files of examples/ run, and print what they say."""

import pathlib
import re
import subprocess
import sys

import pytest

from infomin_jax import cli
from infomin_jax.estimators import ESTIMATORS, PROPERTIES


def run(*arguments):
  done = subprocess.run(
    [sys.executable, *arguments], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.slow
def test_simclr_learns():
  out = run("examples/simclr.py", "--steps=30", "--batch=32")
  nats = [float(x) for x in re.findall(r": (-?[\d.]+) nats", out)]
  assert len(nats) == 3 and nats[-1] > nats[0]


@pytest.mark.slow
def test_estimate_holds_the_truth():
  out = run("examples/estimate.py")
  low, high = map(float, re.findall(r"in ([\d.]+) to ([\d.]+);", out)[0])
  assert low < 0.6931 < high


@pytest.mark.slow
def test_an_own_estimator_trains(tmp_path):
  cli.main(
    [
      *("train", "--with=examples/own_estimator.py"),
      "--config=configs/colorful_digits.py:tiny",
      "--config.objective.contrastive.estimator=decoupled",
      f"--workdir={tmp_path}",
    ]
  )
  del ESTIMATORS["decoupled"], PROPERTIES["decoupled"]
  assert (pathlib.Path(tmp_path) / "summary.json").exists()
