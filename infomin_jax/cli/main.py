"""The command `infomin VERB`: one table of verbs, and how errors look.

Nothing heavy is imported before a verb's flags are parsed, so `--help` and a
mistyped verb answer at once.
"""

import errno
import importlib.util
import os
import shlex
import sys
from typing import Any, NoReturn

from absl import flags

from infomin_jax import __version__, paths, runtime
from infomin_jax.errors import UserError, nearest

# verb -> what it does; its module is `command(VERB)`.
VERBS = {
  "train": "pretrain an encoder; the same command continues the run",
  "evaluate": "probe a run's encoder, beside pixels and no training",
  "embed": "features of a folder's images, as .npz",
  "export": "a run's encoder for other libraries",
  "push": "share a run's encoder on the hub, with a model card",
  "pull": "a run of an encoder that somebody has pushed",
  "import": "a run of a ResNet that was trained elsewhere",
  "study": "run a paper's experiments again and check its claims",
  "estimate": "mutual information of two arrays, with an interval",
  "replay": "the step at which a run's loss was not finite, once more",
  "plan": "what a run needs on TPUs that are not here",
  "report": "one HTML page of a run, of several, or of a study",
  "runs": "list the runs of a folder, find the best, compare two",
  "doctor": "look at this machine: what is here and what to do next",
  "views": "draw what the views of a config look like",
  "data": "list the data sets, prepare one, look into one",
  "completion": "a script that completes all this at TAB in your shell",
}


_WITH = """  --with: a Python file of yours, run first, that adds to our tables
    (docs: Add your own)"""


def main(argv: list[str] | None = None) -> None:
  """Runs `infomin VERB ...`; exits with 0, or with 2 and one line on why."""
  argv = sys.argv[1:] if argv is None else argv
  if not argv or argv[0] in ("-h", "--help", "help"):
    print(_usage())
    sys.exit(0 if argv else 2)
  if argv[0] == "--version":
    print(__version__)
    return
  verb, arguments = argv[0], argv[1:]
  try:
    _run(verb, arguments)
    sys.stdout.flush()
  except UserError as error:
    _refuse(verb, str(error))
  except BrokenPipeError:  # of `infomin ... | head`
    # What is still in the buffer has nowhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise
    _refuse(verb, f"{error}: make room, then the same command again.")


def command(verb: str) -> Any:
  """Returns the module of a verb."""
  name = "import_" if verb == "import" else verb  # a word of Python
  return importlib.import_module(f"infomin_jax.cli.{name}")


def _refuse(verb: str, why: str) -> NoReturn:
  print(f"infomin {verb}: {' '.join(why.split())}", file=sys.stderr)
  sys.exit(2)


def _run(verb: str, arguments: list[str]) -> None:
  if verb not in VERBS:
    raise UserError(f"no such verb. {nearest(verb, VERBS)}")
  arguments = _without_own(arguments)
  module = command(verb)
  values = flags.FlagValues()
  argv = [f"infomin {verb}", *arguments]
  module.define(values, argv)
  if {"-h", "--help"} & set(arguments):
    own = values.main_module_help() or values.get_help()
    print(f"{str(module.__doc__).strip()}\n\nFlags:\n{own.strip()}\n{_WITH}")
    return
  runtime.configure()  # before a config file imports JAX
  try:
    rest = values(argv)[1:]
  except (flags.Error, AttributeError, TypeError, ValueError) as error:
    hint = ""
    if isinstance(error, flags.UnrecognizedFlagError) and "config" in values:
      hint = ". A key of the config is set by --config.KEY=VALUE."
    raise UserError(_said(error) + hint) from error
  except KeyError as error:
    # ml_collections adds the nearest key; a variant fails in `get_config`.
    text = str(error.args[0])
    if "Did you mean" not in text:
      text = f"--config: there is no variant {text!r}; try full or tiny."
    raise UserError(text) from error
  # Grain's worker processes read absl's global flags.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  module.run(values, rest, shlex.join(["infomin", verb, *arguments]))


def _without_own(arguments: list[str]) -> list[str]:
  """Runs the Python files of `--with FILE`; returns the other arguments.

  They add critics, views and so on to our tables, which a run that names these
  needs in every verb.
  """
  left, words = [], iter(arguments)
  for word in words:
    flag, equals, path = word.partition("=")
    if flag != "--with":
      left.append(word)
      continue
    path = path if equals else next(words, "")
    file = paths.local("--with", path)
    if not file.is_file():
      raise UserError(f"--with {path}: expected a Python file.")
    runtime.configure()  # before the file imports JAX
    name = f"infomin_own_{file.stem}"
    spec: Any = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
  return left


def _said(error: BaseException) -> str:
  """Returns the message of an error, or of the UserError of a config file.

  ml_collections and absl wrap it in a traceback and in one another's errors.
  """
  text, cause = str(error), error.__context__
  while cause is not None:
    if isinstance(cause, UserError):
      text = str(cause)
    elif isinstance(cause, KeyError) and "--config: no key" not in text:
      text = f"--config: no key {' '.join(str(cause.args[0]).split())}"
    cause = cause.__context__
  return text


def _usage() -> str:
  rows = "\n".join(f"  {verb:12s}{text}" for verb, text in VERBS.items())
  return (
    "Usage: infomin VERB [--flags]\n\n"
    f"{rows}\n\n"
    "Example: infomin train --config configs/fashion_mnist.py --workdir runs/fm"
    f"\n`infomin VERB --help` tells a verb's flags. Of every verb:\n{_WITH}"
  )
