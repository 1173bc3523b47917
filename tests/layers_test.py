"""The layers import only from those before them, read from the files."""

import ast
import pathlib

import pytest

import infomin_jax

ROOT = pathlib.Path(infomin_jax.__file__).parent
ORDER = [
  "data",
  "views",
  "encoders",
  "critics",
  "estimators",
  "objectives",
  "recipes",
  "runs",
  "train",
  "plan",
  "eval",
  "pretrained",
  "mi",
  "scikit",
  "studies",
  "report",
  "cli",
]
# Belong to no layer: importable by all, importing none.
BELOW = {"config_files", "errors", "output", "paths", "provenance", "runtime"}


def imported(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: relative import"
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
      continue
    for name in names:
      parts = name.split(".")
      if parts[0] == "infomin_jax" and len(parts) > 1:
        yield parts[1]


def layer(path):
  return path.relative_to(ROOT).parts[0].removesuffix(".py")


def violations(path):
  own = layer(path)
  allowed = BELOW | {"__version__"}
  if own in ORDER:
    allowed |= set(ORDER[: ORDER.index(own) + 1])
  elif own == "__init__":  # for type checkers only
    allowed |= set(ORDER)
  return sorted(set(imported(path)) - allowed)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize(
  "path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES]
)
def test_imports_point_down(path):
  assert layer(path) in {*ORDER, *BELOW, "__init__"}
  assert violations(path) == []


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
  monkeypatch.setitem(globals(), "ROOT", tmp_path)
  path = tmp_path / "views" / "bad.py"
  path.parent.mkdir()
  path.write_text("def f():\n  from infomin_jax import train\n")
  assert violations(path) == ["train"]


QUESTIONS = ("How", "Of", "What", "Where", "Whether", "Which", "Who")


def test_docstrings_of_functions_are_no_questions():
  kinds = ast.FunctionDef | ast.AsyncFunctionDef
  found = [
    f"{path.relative_to(ROOT)}: {node.name}"
    for path in FILES
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, kinds)
    and (ast.get_docstring(node) or ".").split()[0] in QUESTIONS
  ]
  assert not found
