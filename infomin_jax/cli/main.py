"""The command `infomin VERB`: the table of verbs, and how errors are printed.

No large library is imported before the flags of a verb are parsed. So `--help`
and a mistyped verb answer at once.
"""

import difflib
import errno
import importlib.util
import os
import runpy
import shlex
import sys
from typing import Any, NoReturn

from absl import flags

from infomin_jax import __version__, config_files, paths, runtime
from infomin_jax.errors import UserError, nearest

# verb -> what it does; its module is `command(VERB)`
VERBS = {
  "train": "pretrain an encoder; the same command continues the run",
  "evaluate": "probe a run's encoder, raw pixels and an untrained encoder",
  "embed": "write features of a folder's images to an .npz file",
  "export": "write a run's encoder for other libraries",
  "push": "share a run's encoder on the hub, with a model card",
  "pull": "make a run from an encoder on the hub",
  "import": "make a run from a ResNet that was trained elsewhere",
  "study": "repeat a paper's experiments and check its claims",
  "estimate": "estimate mutual information of two arrays, with an interval",
  "replay": "repeat the step at which a run's loss was not finite",
  "plan": "compute what a run needs on TPUs, without TPUs",
  "report": "make an HTML page of a run, of several runs, or of a study",
  "runs": "list the runs of a folder, find the best, compare two",
  "doctor": "check this machine, and print what to do next",
  "views": "draw the views of a config",
  "data": "list the data sets, prepare one, or inspect one",
  "list": "the names that a config can use, with their options",
  "completion": "print a script for TAB completion in your shell",
}


_WITH = """  --with: a Python file that runs first and adds to our tables
    (docs: Add your own)"""


def main(argv: list[str] | None = None) -> None:
  """Runs `infomin VERB ...`; exits with 0, or with 2 and one line of reason."""
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
  except BrokenPipeError:  # as in `infomin ... | head`
    # The rest of the buffer has no reader.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise
    _refuse(verb, f"{error}: free some space, then run the same command again.")


def command(verb: str) -> Any:
  """Returns the module of a verb."""
  # `import` is a Python keyword.
  name = "import_" if verb == "import" else verb
  return importlib.import_module(f"infomin_jax.cli.{name}")


def _refuse(verb: str, why: str) -> NoReturn:
  print(f"infomin {verb}: {' '.join(why.split())}", file=sys.stderr)
  sys.exit(2)


def _run(verb: str, arguments: list[str]) -> None:
  if verb not in VERBS:
    raise UserError(f"no such verb. {nearest(verb, VERBS)}")
  typed, arguments = arguments, _without_own(arguments)
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
      hint = ". Set a key of the config with --config.KEY=VALUE."
    text = _unknown_key(arguments) or _said(error)
    raise UserError(text + hint) from error
  except KeyError as error:
    # ml_collections adds the nearest key; an unknown variant fails in
    # `get_config`.
    text = str(error.args[0])
    if "Did you mean" not in text:
      text = f"--config: there is no variant {text!r}; try full or tiny."
    raise UserError(text) from error
  # Worker processes of Grain read the global flags of absl.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  module.run(values, rest, shlex.join(["infomin", verb, *typed]))


def own_files(command: str) -> str:
  """Returns the words `--with FILE` of a command, with a space at the end."""
  own, _ = _split_own(shlex.split(command))
  return "".join(f"{shlex.join(words)} " for words in own)


def _split_own(arguments: list[str]) -> tuple[list[list[str]], list[str]]:
  """Returns the words of each `--with FILE`, and all other words."""
  own, others, words = [], [], iter(arguments)
  for word in words:
    if word == "--with":
      own.append([word, next(words, "")])
    elif word.startswith("--with="):
      own.append([word])
    else:
      others.append(word)
  return own, others


def _without_own(arguments: list[str]) -> list[str]:
  """Runs the Python files of `--with FILE`, and returns the other arguments.

  They add critics, views and other entries to our tables. A run that names such
  an entry needs the file with every verb.
  """
  own, others = _split_own(arguments)
  for words in own:
    path = words[-1].removeprefix("--with=")
    file = paths.local("--with", path)
    if not file.is_file():
      raise UserError(f"--with {path}: expected a Python file.")
    runtime.configure()  # before the file imports JAX
    name = f"infomin_own_{file.stem}"
    spec: Any = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
  return others


def _unknown_key(arguments: list[str]) -> str:
  """Names a flag of a key that the config does not have; or nothing."""
  given = dict(_flag(arguments, i) for i in range(len(arguments)))
  if "--config" not in given:
    return ""
  file, colon, variant = config_files.find(given["--config"]).partition(":")
  try:
    get_config = runpy.run_path(file)["get_config"]
    config = get_config(variant) if colon else get_config()
  except Exception:  # the caller reports what is wrong with the file
    return ""
  keys = list(_paths(config.to_dict()))
  for flag in given:
    key = flag.removeprefix("--config.")
    if key != flag and key not in keys:
      close = difflib.get_close_matches(key, keys, n=1, cutoff=0.7)
      hint = f"did you mean --config.{close[0]}? " if close else ""
      return (
        f"{flag}: the config has no such key; {hint}`infomin train --show` "
        "prints all keys. A flag cannot add one: write it into the config file"
      )
  return ""


def _flag(arguments: list[str], i: int) -> tuple[str, str]:
  """Returns a word of a command as a flag, and its value."""
  flag, equals, value = arguments[i].partition("=")
  return flag, value if equals else "".join(arguments[i + 1 : i + 2])


def _paths(tree: dict, prefix: str = ""):
  """Yields the dotted keys of a nested dictionary, with those of sections."""
  for name, value in tree.items():
    yield f"{prefix}{name}"
    if isinstance(value, dict):
      yield from _paths(value, f"{prefix}{name}.")


def _said(error: BaseException) -> str:
  """Returns the message of an error, or of the UserError of a config file.

  ml_collections and absl wrap that error in a traceback and in other errors.
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
    f"\n`infomin VERB --help` lists its flags. A flag of every verb:\n{_WITH}"
  )
