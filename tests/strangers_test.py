"""Whatever a stranger gives ends in success or in one clear line."""

import contextlib
import io
import pathlib
import runpy
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from infomin_jax import cli, data
from infomin_jax.cli import train
from infomin_jax.errors import UserError
from infomin_jax.mi.inputs.samples import read_paired
from infomin_jax.train.experiment import make_experiment

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"
NAMES = ("fashion_mnist", "colorful_digits_dim", "tinted_fashion_views")
FEW = pytest.mark.parametrize(
  "examples", [25, pytest.param(1500, marks=pytest.mark.long)]
)
SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)


def leaves(config, above=""):
  for key, value in config.items():
    if hasattr(value, "items"):
      yield from leaves(value, f"{above}{key}.")
    else:
      yield above + key


OVERRIDES = {
  name: sorted(leaves(runpy.run_path(f"{CONFIGS / name}.py")["get_config"]()))
  for name in NAMES
}
VALUES = st.one_of(
  st.integers().map(str),
  st.floats().map(str),
  st.text(max_size=6),
  st.lists(st.integers(-2, 70), max_size=4).map(lambda x: str(tuple(x))),
  st.lists(st.floats(), max_size=3).map(lambda x: str(tuple(x))),
  st.lists(st.sampled_from(["y", "conv", "", "digit"]), max_size=3).map(
    lambda x: str(tuple(x))
  ),
  st.sampled_from(
    ["None", "True", "False", "{}", "auto", "resnet18", "simclr"]
  ),
)


def one_line(error):
  text = str(error)
  assert len(text) > 20 and len(text.splitlines()) == 1, text


@FEW
def test_any_override_of_a_config_is_taken_or_refused(
  examples, monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)  # a data_dir is made where one is missing
  with contextlib.suppress(UserError):  # prepared once, which says a line
    data.load({"name": "fashion_mnist", "data_dir": ""}, "train")

  def build(values, rest, command):
    del command
    make_experiment(train.required_config(values, rest))

  monkeypatch.setattr(train, "run", build)

  @settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)
  @given(st.sampled_from(NAMES), st.integers(0, 200), VALUES)
  def check(name, key, value):
    keys = OVERRIDES[name]
    flag = f"--config.{keys[key % len(keys)]}={value}"
    said = io.StringIO()
    try:
      with contextlib.redirect_stderr(said):
        cli.main(["train", f"--config={CONFIGS / name}.py:tiny", flag])
    except SystemExit as end:
      assert end.code == 2
      one_line(said.getvalue())

  check()


ARRAYS = npst.arrays(
  dtype=st.one_of(
    npst.integer_dtypes(),
    npst.unsigned_integer_dtypes(),
    npst.floating_dtypes(),
    npst.boolean_dtypes(),
    npst.unicode_string_dtypes(max_len=3),
    npst.complex_number_dtypes(),
    npst.datetime64_dtypes(),
  ),
  shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12),
)
FIELDS = st.dictionaries(
  st.sampled_from(["x", "y", "images", "labels", "x_test", "y_test", "a b"]),
  ARRAYS,
  max_size=3,
)


def file_of(fields, suffix, cut):
  """An archive or its first array, of which the end may be missing."""
  made = io.BytesIO()
  if suffix == ".npz":
    np.savez(made, **fields)
  elif fields:
    np.save(made, next(iter(fields.values())))
  content = made.getvalue()
  return content[: round(cut * len(content))]


@FEW
def test_any_file_of_arrays_is_read_or_refused(examples, tmp_path):
  cuts = st.one_of(st.just(1.0), st.floats(0, 1))

  @settings(max_examples=5 * examples, deadline=None)
  @given(FIELDS, st.sampled_from([".npz", ".npy"]), cuts)
  def check(fields, suffix, cut):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(file_of(fields, suffix, cut))
    try:
      source = data.load({"name": "arrays", "path": str(path)}, "train")
      for i in range(len(source)):
        assert source[i]["image"].dtype == np.uint8
    except UserError as error:
      one_line(error)
    try:
      read_paired(str(path), "" if suffix == ".npz" else str(path))
    except UserError as error:
      one_line(error)

  check()


class Planted:
  """Runs a command where a file of it is unpickled."""

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self._path,)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_no_file_of_arrays_runs_code(suffix, tmp_path):
  planted = np.array([Planted(tmp_path / "ran")] * 12, object)
  path = tmp_path / f"file{suffix}"
  path.write_bytes(file_of({"x": planted, "y": planted}, suffix, 1.0))
  with pytest.raises(UserError):
    data.load({"name": "arrays", "path": str(path)}, "train")
  with pytest.raises(UserError):
    read_paired(str(path), str(path))
  assert not (tmp_path / "ran").exists()


def test_an_archive_writes_nothing_outside_its_folder(tmp_path):
  archive = tmp_path / "in" / "tiny-imagenet-200.zip"
  archive.parent.mkdir()
  with zipfile.ZipFile(archive, "w") as made:
    made.writestr("../../escaped.txt", "x")
    made.writestr("tiny-imagenet-200/wnids.txt", "n1\n")
  with pytest.raises(UserError) as caught:
    data.prepare("tiny_imagenet", str(tmp_path / "out"), str(archive.parent))
  one_line(caught.value)
  assert not list(tmp_path.rglob("escaped.txt"))
