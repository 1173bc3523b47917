"""The files of examples/ and the examples in docstrings run as they say."""

import doctest
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

from infomin_jax import cli
from infomin_jax.estimators import ESTIMATORS


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
  del ESTIMATORS["decoupled"]
  assert (pathlib.Path(tmp_path) / "summary.json").exists()


EXAMPLES = [
  ".".join(path.with_suffix("").parts).removesuffix(".__init__")
  for path in sorted(pathlib.Path("infomin_jax").rglob("*.py"))
  if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings(name):
  failed, tried = doctest.testmod(importlib.import_module(name))
  assert tried and not failed
