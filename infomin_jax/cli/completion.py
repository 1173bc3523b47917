"""Print a script for TAB completion of `infomin` in a shell.

  eval "$(infomin completion bash)"       # in ~/.bashrc
  eval "$(infomin completion zsh)"        # in ~/.zshrc, after compinit
  infomin completion fish > ~/.config/fish/completions/infomin.fish

The script completes the verbs, their flags, and the words, files and folders
that they take. It runs no Python at TAB, so print it again after an update.
Values are completed after a space (--config FILE), not after an equals sign.
"""

import argparse
from typing import Any

import shtab
from absl import flags

from infomin_jax import __version__
from infomin_jax.cli.main import VERBS, command
from infomin_jax.errors import UserError, lookup

SHELLS = ("bash", "zsh", "fish")

# Values of a flag, or of a verb without a flag. An enum flag has its own.
TAKES = {
  # zsh would read the single pattern of shtab, (*.py), as qualifiers of a name.
  "--config": shtab.glob("*.py") | {"zsh": "_files -g '*.py'"},
  "--data_dir": shtab.DIRECTORY,
  "--evidence": shtab.FILE,
  "--figure": shtab.FILE,
  "--from": shtab.FILE,
  "--manual_dir": shtab.DIRECTORY,
  "--out": shtab.FILE,
  "--workdir": shtab.DIRECTORY,
  "completion": SHELLS,
  "data": ("list", "prepare", "inspect"),
  "embed --images": shtab.DIRECTORY,
  "estimate": shtab.FILE,
  "estimate --critic": (
    *("auto", "copula", "mixture", "warped", "joined", "distances"),
  ),
  "estimate --estimators": ("best", "all"),
  "export --format": (
    *("detectron2", "safetensors", "stablehlo", "timm", "torchvision"),
  ),
  "list": (
    *("critics", "data", "encoders", "estimators", "optimizers", "protocols"),
    *("schedules", "terms", "views"),
  ),
  "report": shtab.DIRECTORY,
  "runs": shtab.DIRECTORY,
  "study": ("limits", "deep_infomax", "good_views"),
  "study --preset": ("smoke", "local", "paper"),
}


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """`infomin completion` has no flags."""
  del values, argv


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Prints the script; see the docstring of the module."""
  del values, command
  if len(rest) != 1:
    raise UserError(f"name one shell: {', '.join(SHELLS)}.")
  lookup("shell", rest[0], dict.fromkeys(SHELLS))
  print(shtab.complete(parser(), rest[0]))


def parser() -> argparse.ArgumentParser:
  """Returns the verbs and their flags for argparse, which shtab reads."""
  top = argparse.ArgumentParser("infomin")
  top.add_argument("--version", action="version", version=__version__)
  table = top.add_subparsers()
  for name in VERBS:
    module = command(name)
    about = str(module.__doc__).partition("\n")[0]
    verb = table.add_parser(name, help=about, description=about)
    values = flags.FlagValues()
    module.define(values, [f"infomin {name}"])
    for flag in sorted(values):
      _add_flag(verb, name, values[flag])
    if name in TAKES:
      _takes(verb.add_argument(name, nargs="*"), TAKES[name])
  return top


def _add_flag(
  verb: argparse.ArgumentParser, name: str, flag: flags.Flag
) -> None:
  about = " ".join(str(flag.help).split()).replace("%", "%%")
  if flag.boolean:
    names = f"--{flag.name}", f"--no{flag.name}"
    verb.add_argument(*names, action="store_true", help=about)
    return
  action = verb.add_argument(f"--{flag.name}", help=about)
  values = TAKES.get(f"{name} --{flag.name}", TAKES.get(f"--{flag.name}"))
  _takes(action, values or getattr(flag.parser, "enum_values", None))


def _takes(action: Any, taken) -> None:
  """Sets words as choices of the action, or files as its `complete`."""
  if isinstance(taken, dict):
    action.complete = taken
  else:
    action.choices = taken
