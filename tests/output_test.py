"""Numbers and JSON as commands write them."""

import json
import math
import os
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

import infomin_jax
from infomin_jax.errors import UserError
from infomin_jax.output import (
  duration,
  number,
  read_json,
  to_json,
  write_json,
)
from infomin_jax.train.config import _small


def strict(text):
  def forbid(word):
    raise AssertionError(word)

  return json.loads(text, parse_constant=forbid)


@pytest.mark.parametrize(
  "value, wanted",
  [
    (math.nan, None),
    (-math.inf, None),
    ([1.5, math.inf, {"a": (math.nan,)}], [1.5, None, {"a": [None]}]),
    (np.float64("nan"), None),
    (np.float32("inf"), None),
    (np.array([[1.0, np.nan]]), [[1.0, None]]),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (jnp.array([1.0, jnp.inf]), [1.0, None]),
    (pathlib.Path("a/b"), "a/b"),
    ({1: True, None: "NaN"}, {"1": True, "null": "NaN"}),
  ],
)
def test_json_is_strict(value, wanted):
  assert strict(to_json(value)) == wanted
  assert strict(to_json({"rows": [value]}, 2)) == {"rows": [wanted]}


def test_what_is_no_data_is_not_written():
  with pytest.raises(TypeError):
    to_json({"a": object()})


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
  path = tmp_path / "a.json"
  write_json(path, {"a": 1.0})
  (tmp_path / "link.json").symlink_to(path)

  def killed(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
      write_json(path, {"a": 2.0})
  assert read_json(path) == {"a": 1.0}
  write_json(tmp_path / "link.json", {"a": math.nan})
  assert (tmp_path / "link.json").is_symlink()
  assert path.read_text() == '{\n  "a": null\n}\n'
  path.write_text('{"a": ')
  with pytest.raises(UserError, match="not valid JSON"):
    read_json(path)


def test_nothing_else_writes_json():
  """Two compare texts in memory; `runtime` may import nothing of ours."""
  root = pathlib.Path(infomin_jax.__file__).parent
  found = {
    str(path.relative_to(root))
    for path in root.rglob("*.py")
    if "json.dump" in path.read_text()
  }
  allowed = {"runs/workdir.py", "cli/evaluate.py", "runtime.py"}
  assert found == allowed | {"output.py"}


@pytest.mark.parametrize(
  "value, wanted",
  [
    (14860496080.42, "1.49e+10"),
    (-14860496080.42, "-1.49e+10"),
    (0.5, "0.50"),
    (-0.001, "0.00"),
    (np.float32(-1.25), "-1.25"),
    (999_999.0, "999999.00"),
    (math.nan, "nan"),
    (math.inf, "inf"),
    (None, ""),
  ],
)
def test_numbers_of_sentences_are_short(value, wanted):
  assert number(value) == wanted


@pytest.mark.parametrize(
  "seconds, wanted",
  [
    (0.4, "00:00:00"),
    (3661, "01:01:01"),
    (86_399.7, "1 d 00:00:00"),
    (12 * 86_400 + 60, "12 d 00:01:00"),
    (-1, "00:00:00"),
    (math.inf, "unknown"),
  ],
)
def test_durations_of_days_say_so(seconds, wanted):
  assert duration(seconds) == wanted


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_config_has_no_number_that_json_has_not(value):
  with pytest.raises(UserError, match=r"config\.optimizer\.clip is .* finite"):
    _small("config", {"optimizer": {"clip": value}})
