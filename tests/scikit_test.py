"""The forms that scikit-learn users expect."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks

import infomin_jax
from infomin_jax import cli, data
from infomin_jax.errors import UserError
from infomin_jax.scikit import Embedder, mutual_information


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("scikit") / "run"
  cli.main(
    [
      "train",
      "--config=configs/colorful_digits.py:tiny",
      f"--workdir={workdir}",
    ]
  )
  return str(workdir)


@pytest.fixture(scope="module")
def images():
  source = data.load({"name": "colorful_digits"}, "test")
  records = [source[i] for i in range(40)]
  return (
    np.stack([r["image"] for r in records]),
    np.array([r["label"] for r in records])
    if "label" in records[0]
    else np.arange(40) % 2,
  )


def test_a_run_is_a_function_of_images(run, images):
  encode = infomin_jax.load(run, batch_size=16)
  features = encode(images[0])
  assert features.shape[0] == 40 and features.dtype == np.float32
  # Neither the batch nor floats in place of bytes change them.
  alone = encode(images[0][17:18])
  np.testing.assert_allclose(alone, features[17:18], rtol=1e-4, atol=1e-5)
  floats = encode(images[0] / 255)
  np.testing.assert_allclose(floats, features, rtol=1e-3, atol=1e-4)
  larger = encode(images[0].repeat(2, axis=1).repeat(2, axis=2))
  assert larger.shape == features.shape
  for wrong in (images[0][0], images[0].astype(float), images[0][:0]):
    with pytest.raises(UserError, match="expected"):
      encode(wrong)
  with pytest.raises(UserError, match="does not take images of 1 ch"):
    encode(images[0][..., :1])


def test_the_embedder_stands_in_a_pipeline(run, images):
  x, y = images
  made = make_pipeline(Embedder(run), LogisticRegression(max_iter=20))
  assert made.fit(x, y).predict(x).shape == y.shape
  other = clone(made[0])
  assert other.get_params() == made[0].get_params()
  with pytest.raises(NotFittedError):
    other.transform(x)


@pytest.mark.parametrize(
  "check",
  [
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_parameters_default_constructible,
    checks.check_no_attributes_set_in_init,
    checks.check_estimator_repr,
    checks.check_estimator_cloneable,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
  ],
  ids=lambda check: check.__name__,
)
def test_scikit_learns_own_checks_that_need_no_table(check, run):
  # The others give tables of numbers, where this takes images.
  assert check("Embedder", Embedder(run)) is None


def test_columns_are_scored_by_their_information():
  rng = np.random.default_rng(0)
  y = rng.integers(0, 3, 300)
  noise, near = rng.integers(0, 3, (2, 300))
  x = np.stack([noise, np.where(near == 0, noise, y)], axis=1)
  nats = mutual_information(x, y)
  # Classes are counted, as scikit-learn counts them, less the bias of that.
  counted = [mutual_info_score(column, y) for column in x.T]
  np.testing.assert_allclose(nats, counted, atol=0.02)
  chosen = SelectKBest(mutual_information, k=1).fit(x, y)
  assert chosen.get_support().tolist() == [False, True]


def test_python_and_the_command_have_one_setting():
  """Another rounding of a product may change an estimate."""
  code = "import infomin_jax, os; {}; print(os.environ['XLA_FLAGS'])"
  doors = ("infomin_jax.estimate", "infomin_jax.runtime.configure()")
  environ = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
  first, second = (
    subprocess.check_output(
      [sys.executable, "-c", code.format(door)], env=environ, text=True
    )
    for door in doors
  )
  assert first == second and "xla_cpu" in first
