"""What a release says of itself: one version, and types that users' tools see.

`.ci/release` builds the wheel and tries it.
"""

import pathlib
import re
import subprocess
import sys

import yaml

import infomin_jax

PACKAGE = pathlib.Path(infomin_jax.__file__).parent
USER = """
import infomin_jax

infomin_jax.estimate([1.0], [2.0], seed=3).nats.is_integer()
infomin_jax.estimate([1.0], [2.0], sead=3)
infomin_jax.load("runs/a", tab="pool")
infomin_jax.Embedder("runs/a", tab="pool")
"""


def test_there_is_one_version():
  version = infomin_jax.__version__
  citation = yaml.safe_load(pathlib.Path("CITATION.cff").read_text())
  assert citation["version"] == version
  (heading, *_) = re.findall(
    "^## (.*)$", pathlib.Path("CHANGELOG.md").read_text(), re.M
  )
  assert version in heading


def test_a_users_type_checker_sees_our_types(tmp_path):
  assert (PACKAGE / "py.typed").exists()
  (tmp_path / "user.py").write_text(USER)
  pyrefly = pathlib.Path(sys.executable).parent / "pyrefly"
  done = subprocess.run(
    [
      *(pyrefly, "check", "--output-format=min-text", "user.py"),
      f"--search-path={PACKAGE.parent}",  # an editable one is found by code
    ],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    check=False,
  )
  errors = [x for x in done.stdout.splitlines() if "ERROR" in x]
  assert [re.findall("`(sead|tab)`", x) for x in errors] == [
    ["sead"],
    ["tab"],
    ["tab"],
  ]
