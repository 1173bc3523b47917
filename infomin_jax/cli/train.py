"""Pretrain an encoder; run the same command again to resume.

  infomin train --config configs/fashion_mnist.py --workdir runs/fm
  infomin train --config configs/fashion_mnist.py:tiny --workdir runs/t \\
      --config.batch_size=64
  infomin train --config configs/fashion_mnist.py --show

--show prints all settings and trains nothing; docs/config.md explains them. A
larger --config.steps trains longer if the schedule allows it.
--config.init_from=RUN starts from the weights of that run with a new schedule.

It writes config.json, metrics.jsonl, summary.json, checkpoints/ and TensorBoard
events into the workdir. The exit status is 0 when done, 2 for a mistake, and 75
if one of several processes was lost. It is 143 or 130 after SIGTERM or SIGINT:
the state is saved, and the same command resumes. Under SLURM, Open MPI and on
TPU slices, start the same command on every machine; it is one run. To start
processes by hand, set JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and
JAX_PROCESS_ID.
"""

import os
import pathlib
import shlex

from absl import flags
from ml_collections import ConfigDict, config_flags

from infomin_jax import config_files, paths
from infomin_jax.cli.main import own_files
from infomin_jax.errors import UserError
from infomin_jax.output import number


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin train`."""
  define_config(values, argv)
  paths.define("workdir", None, "folder of the run", values)
  flags.DEFINE_bool(
    "show", False, "print all settings and exit", flag_values=values
  )
  flags.DEFINE_integer(
    "patience",
    300,
    "seconds after which a process that does not answer counts as lost",
    lower_bound=1,
    flag_values=values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Trains; see the docstring of the module."""
  config, workdir = required_config(values, rest), values.workdir
  if values.show:
    from infomin_jax.train.config import check_keys

    check_keys(config)
    print(shown(config))
    return
  if not workdir:
    raise UserError("--workdir is missing: name the folder of the run.")
  from infomin_jax.eval.monitor import make_monitor
  from infomin_jax.runs.progress import say
  from infomin_jax.train import processes
  from infomin_jax.train.experiment import make_experiment
  from infomin_jax.train.loop import train

  processes.join(os.environ, values.patience)
  with processes.together():
    experiment = make_experiment(config)
    say(
      f"{len(experiment.source):,} images of {config.data.name}, "
      f"{config.steps:,} steps of {config.batch_size:,}. The first is compiled."
    )
    summary = train(experiment, workdir, make_monitor(experiment), command)
  final = summary["final"]
  bound = ""
  if "mi_bound" in final:  # a term has a critic
    bound = (
      f", held-out MI at least {number(final['mi_bound'])} nats (this estimate "
      f"cannot exceed {number(final['mi_ceiling'])})"
    )
  labelled, place = "knn" in final, shlex.quote(workdir)
  verb = "evaluate" if labelled else "report"
  flag = "--workdir " if labelled else ""
  say(
    f"Trained {summary['steps']} steps: loss {number(final['loss'], 4)}{bound}."
    f" Next: infomin {verb} {own_files(command)}{flag}{place}"
  )


def shown(config) -> str:
  """Returns one line per setting, in the form of flags of `infomin train`."""
  lines = []

  def add(prefix, section):
    for key, value in section.items():
      if isinstance(value, ConfigDict) and value:
        add(f"{prefix}.{key}", value)
      elif value is None:  # no flag can set it
        lines.append(f"# {prefix}.{key}=None")
      else:
        lines.append(f"--{prefix}.{key}={_word(value)}")

  add("config", config)
  return "\n".join(lines)


def _word(value) -> str:
  """Returns a value as a shell and a flag take it."""
  text = str(value)
  # Names in a tuple are already quoted.
  named = isinstance(value, tuple) and not set('$`\\"!') & set(text)
  return f'"{text}"' if named else shlex.quote(text)


def define_config(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flag --config and, with it, --config.KEY for keys of the file.

  A file that does not exist is searched among those of the package.
  """
  for i, word in enumerate(argv):
    flag, _, path = word.partition("=")
    if flag in ("--config", "-config") and path:
      argv[i] = f"--config={_present(path)}"
    elif flag in ("--config", "-config") and i + 1 < len(argv):
      argv[i + 1] = _present(argv[i + 1])
  config_flags.DEFINE_config_file(
    "config",
    None,
    "configuration file, FILE or FILE:VARIANT",
    flag_values=values,
    sys_argv=argv,
  )


def _present(config: str) -> str:
  """Returns the named or packaged file; raises a UserError if absent."""
  path = config_files.find(config)
  if not pathlib.Path(path.partition(":")[0]).is_file():
    raise UserError(f"--config {config}: there is no such file.")
  return path


def required_config(values: flags.FlagValues, rest: list[str]):
  """Returns the parsed --config; raises a UserError if it is missing."""
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  if values.config is None:
    raise UserError(
      "--config is missing: name a file, such as configs/fashion_mnist.py."
    )
  return values.config
