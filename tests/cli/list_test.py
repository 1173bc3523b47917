"""`infomin list`: every name, its options, and names of the user's own."""

import ast
import functools
import json

import pytest

from infomin_jax import cli
from infomin_jax.cli.list import TABLES
from infomin_jax.cli.main import own_files
from infomin_jax.errors import UserError
from infomin_jax.estimators import ESTIMATORS
from infomin_jax.objectives import build_terms
from infomin_jax.views import augment


def listed(capsys, *arguments):
  cli.main(["list", "--json", *arguments])
  return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_every_estimator_has_a_paper_and_its_options(capsys):
  rows = listed(capsys, "estimators")
  assert rows.keys() == ESTIMATORS.keys()
  assert rows["smile"]["options"] == ["tau=5.0"]
  assert "2020" in rows["smile"]["about"]
  assert rows["infonce"]["options"] == ["anchors='rows'"]


def test_the_options_listed_are_those_that_a_config_may_set(capsys):
  for name, row in listed(capsys, "estimators").items():
    options = dict(o.split("=") for o in row["options"])
    for key, value in options.items():
      entry = dict(name=name) | {key: ast.literal_eval(value)}
      critic = dict(name="separable", dim=8)
      term = dict(critic=critic, estimator=entry)
      terms, _ = build_terms({"contrastive": term})
      assert terms["contrastive"].estimator.keywords[key] == entry[key]


def test_all_lists_have_entries_and_a_sentence(capsys):
  cli.main(["list", "--json"])
  rows = json.loads(capsys.readouterr().out)
  assert {row["kind"] for row in rows} == TABLES.keys()
  assert not [row for row in rows if not row["about"]]


def test_the_text_names_the_key_and_the_options(capsys):
  cli.main(["list", "critics"])
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == "critics (config.objective.TERM.critic.name)"
  assert any(line.startswith("  separable(") for line in lines)


def test_own_names_are_listed(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(
    "infomin_jax.estimators.ESTIMATORS", dict(ESTIMATORS), raising=True
  )
  own = tmp_path / "own.py"
  own.write_text(
    "from infomin_jax import estimators\n"
    "estimators.ESTIMATORS['mine'] = estimators.Bound(\n"
    "  lambda scores, mask=None, a=1: 0.0, 'neither', None, 'me 2026')\n"
  )
  rows = listed(capsys, "estimators", f"--with={own}")
  assert rows["mine"]["options"] == ["a=1"]


def test_an_unknown_list_is_refused(capsys):
  with pytest.raises(SystemExit):
    cli.main(["list", "critic"])
  assert "did you mean critics" in capsys.readouterr().err


@pytest.mark.parametrize(
  "estimator, words",
  [
    (dict(name="smile", tu=2.0), "did you mean tau"),
    (dict(name="smiles"), "did you mean smile"),
    ("smiles", "did you mean smile"),
    (dict(name="smile", scores=1), "Unknown key"),
  ],
)
def test_wrong_options_of_an_estimator_are_refused(estimator, words):
  term = dict(critic=dict(name="separable", dim=8), estimator=estimator)
  with pytest.raises(UserError, match=words):
    build_terms({"contrastive": term})


def test_recipes_of_the_user_are_views(capsys, monkeypatch):
  step = functools.partial(lambda key, image: image)
  monkeypatch.setitem(augment.RECIPES, "plain", (step,))
  assert "plain" in listed(capsys, "views")


def test_the_command_keeps_the_users_files():
  command = "infomin train --with a.py --config=c.py --with=b.py --workdir d"
  assert own_files(command) == "--with a.py --with=b.py "
  assert own_files("infomin train --workdir d") == ""
