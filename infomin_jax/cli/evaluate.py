"""Probe what a run's encoder has learned.

  infomin evaluate --workdir runs/fm
  infomin evaluate --workdir runs/fm_0,runs/fm_1,runs/fm_2 \\
      --evidence docs/evidence/fashion_mnist.json
  infomin evaluate --workdir runs/v --protocols segmentation --taps conv \\
      --data name=tfds,builder=cityscapes,mask=segmentation_label

Every probe also reads raw pixels and the untrained encoder. Writes
evaluation.json and the pictures that a protocol draws into each workdir and
prints a table; of several runs (seeds) the table gives mean and standard
deviation. Pixels do not change with the encoder's seed, so they are probed for
the first of the runs whose data and settings are the same. With `--data` the
probes are of another data set, and evaluation_NAME.json is written instead.
"""

import ast
import dataclasses
import json
import pathlib
from typing import Any

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import to_json, write_json
from infomin_jax.runs.workdir import as_json, read_config


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin evaluate`."""
  del argv
  paths.define_list("workdir", "folder(s) of runs, separated by commas", values)
  flags.DEFINE_list(
    "protocols",
    [],
    "probes to run (default: those of the run's config.evaluate.protocols)",
    flag_values=values,
  )
  flags.DEFINE_list(
    "taps",
    [],
    "features to probe (default: those of the run's config.evaluate.taps)",
    flag_values=values,
  )
  flags.DEFINE_list(
    "data",
    [],
    "probe on another data set: changes of config.data, such as "
    "name=stl10,probe_split=train",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "epochs",
    None,
    "of the probes and decoders that are trained (default: the run's "
    "config.evaluate.epochs)",
    flag_values=values,
  )
  flags.DEFINE_float(
    "label_share",
    None,
    "of the labels, for semi_supervised (default: the run's "
    "config.evaluate.label_share)",
    flag_values=values,
  )
  flags.DEFINE_boolean(
    "json", False, "print the rows as JSON, not a table", flag_values=values
  )
  paths.define("evidence", None, "also store the result as this file", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Evaluates; see the module's text."""
  if rest or not values.workdir:
    raise UserError("--workdir is missing: name the folder of a run.")
  from infomin_jax import provenance
  from infomin_jax.eval.table import show_table

  rows, configs, pixels = [], [], {}
  for workdir in map(pathlib.Path, values.workdir):
    config = read_config(workdir)
    for name in ("protocols", "taps"):
      if chosen := values[name].value:
        config.evaluate[name] = tuple(chosen)
    for name in ("epochs", "label_share"):
      if values[name].value is not None:
        config.evaluate[name] = values[name].value
    probed = config.copy_and_resolve_references()
    probed.data = probed.data.to_dict() | changed_data(values.data)
    same = decides_pixels(probed)
    found = _evaluated(workdir, config, probed, pixels.get(same))
    pixels[same] = [row for row in found if row["features"] == "pixels"]
    rows += found
    configs.append(probed)
  if values.json:
    print(to_json({"rows": rows}, 2))
  else:
    show_table(rows)
  if values.evidence:
    provenance.write(
      values.evidence,
      commands=[
        *(provenance.training(w)["command"] for w in values.workdir),
        command,
      ],
      config=as_json(configs[0]),
      seeds=[config.seed for config in configs],
      values=provenance.over_seeds(rows),
      extra={"training": [provenance.training(w) for w in values.workdir]},
    )


def changed_data(words: list[str]) -> dict[str, Any]:
  """Changes of `config.data` from `key=value` words.

  A word without `=` belongs to the value before it, which has a comma.

  Raises:
    UserError: no `=`, or a key that `config.data` cannot have.
  """
  from infomin_jax import data
  from infomin_jax.errors import lookup
  from infomin_jax.train.config import SECTIONS

  known = dict.fromkeys((*SECTIONS["data"], *sorted(data.option_names())))
  changes, whole = {}, list[str]()
  for word in words:
    if "=" in word or not whole:
      whole.append(word)
    else:
      whole[-1] += f",{word}"
  for word in whole:
    key, equals, value = word.partition("=")
    lookup("key of --data", key, known)
    if not equals:
      raise UserError(f"--data has {word!r}: give {key}=VALUE.")
    try:
      changes[key] = ast.literal_eval(value)
    except (SyntaxError, ValueError):
      changes[key] = value  # a name or a path
  return changes


def _evaluated(
  workdir: pathlib.Path, config, probed, pixels: list[dict] | None
):
  """The rows of one run, which are also written into its folder."""
  from infomin_jax.eval.evaluate import FEATURES, evaluate
  from infomin_jax.runs.progress import say
  from infomin_jax.train.checkpoint import newest
  from infomin_jax.train.experiment import make_experiment

  experiment = make_experiment(config)
  experiment = dataclasses.replace(experiment, config=probed)
  untrained = experiment.init()
  state = newest(workdir, untrained)
  if int(state.step) < config.steps:
    say(f"{workdir} is at step {int(state.step)} of {config.steps}.")
  known = pixels or []
  features = FEATURES[1:] if known else FEATURES
  found = known + evaluate(
    experiment, state, untrained, say, folder=workdir, features=features
  )
  other = config.data.to_dict() != probed.data.to_dict()
  name = f"evaluation_{probed.data.name}.json" if other else "evaluation.json"
  write_json(workdir / name, {"rows": found})
  return found


def decides_pixels(config) -> str:
  """All that rows on raw pixels depend on, but for the seed."""
  parts = config.to_dict()
  kept = {name: parts[name] for name in ("data", "evaluate", "normalize")}
  return json.dumps([kept, config.views.size], sort_keys=True)
