"""`infomin completion`: a real bash completes verbs, flags, words and files."""

import importlib
import shlex
import subprocess

import pytest

from infomin_jax import cli
from infomin_jax.cli import completion, data, export
from infomin_jax.cli.main import command
from infomin_jax.mi.cross_fit import CRITICS
from infomin_jax.studies import STUDIES


@pytest.fixture
def complete(tmp_path, capsys):
  """A line -> what bash offers for its last word, in an empty folder."""
  cli.main(["completion", "bash"])
  (tmp_path / "infomin.bash").write_text(capsys.readouterr().out)

  def offered(line, cwd=tmp_path):
    words = line.split(" ")
    asked = f"""
      source {shlex.quote(str(tmp_path / "infomin.bash"))}
      COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
      function=$(complete -p infomin | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
      $function
      printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    command = ["bash", "--norc", "-u", "-c", asked]
    done = subprocess.run(
      command, cwd=cwd, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())

  return offered


def test_verbs_flags_and_words(complete):
  assert complete("infomin ") == set(cli.VERBS)
  assert complete("infomin re") == {"replay", "report"}
  flags = {"--config", "--workdir", "--patience", "--show", "--noshow"}
  flags |= {"-h", "--help"}
  assert complete("infomin train -") == flags
  assert complete("infomin evaluate --workdir runs/a --js") == {"--json"}
  assert complete("infomin report --plane ") == {"pca", "tsne"}
  assert complete("infomin report --plane t") == {"tsne"}
  assert complete("infomin study ") == set(STUDIES)
  assert complete("infomin study limits --preset s") == {"smoke"}
  assert complete("infomin completion ") == {"bash", "zsh", "fish"}


def test_files_and_folders(complete, tmp_path):
  here = tmp_path / "here"
  (here / "runs/a").mkdir(parents=True)
  for name in ("one.py", "X.npy"):
    (here / name).touch()
  assert complete("infomin train --config ", here) == {"one.py", "runs"}
  assert complete("infomin train --workdir ", here) == {"runs"}
  assert complete("infomin report runs/", here) == {"runs/a"}
  assert complete("infomin estimate X", here) == {"X.npy"}


def test_all_of_a_verb_is_offered():
  for shell in completion.SHELLS:
    script = completion.shtab.complete(completion.parser(), shell)
    assert all(verb in script for verb in cli.VERBS)
    assert "noquick" in script and "label_share" in script


def test_the_words_are_those_that_the_verbs_know():
  known = {
    "data": data.ACTIONS,
    "estimate --critic": CRITICS,
    "export --format": export.FORMATS,
    "list": command("list").TABLES,
    "study": STUDIES,
  }
  for key, words in known.items():
    assert set(completion.TAKES[key]) == set(words), key
  presets = set(completion.TAKES["study --preset"])
  for name in STUDIES:
    settings = importlib.import_module(f"infomin_jax.studies.{name}.settings")
    assert set(settings.CHANGES) == presets


@pytest.mark.parametrize("arguments", [[], ["bsh"], ["bash", "zsh"]])
def test_a_wrong_shell_gets_one_line(arguments, capsys):
  with pytest.raises(SystemExit) as error:
    cli.main(["completion", *arguments])
  assert error.value.code == 2
  said = capsys.readouterr().err
  assert said.count("\n") == 1 and "fish" in said
