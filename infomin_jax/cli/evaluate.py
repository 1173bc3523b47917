"""Probe what the encoder of a run has learned.

  infomin evaluate --workdir runs/fm
  infomin evaluate --workdir runs/fm_0,runs/fm_1,runs/fm_2 \\
      --evidence docs/evidence/fashion_mnist.json
  infomin evaluate --workdir runs/v --protocols segmentation --taps conv \\
      --data name=tfds,builder=cityscapes,mask=segmentation_label

Every probe also reads raw pixels and the untrained encoder. It writes
evaluation.json and the pictures of a protocol into each workdir, and prints a
table. For several runs (seeds) the table has mean and standard deviation.
Pixels do not depend on the seed of the encoder. So they are probed once for
runs with the same data and settings. With `--data` another data set is probed,
and evaluation_NAME.json is written instead.
"""

import ast
import dataclasses
import json
import pathlib
from typing import Any

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import read_json, to_json, write_json
from infomin_jax.runs.workdir import as_json, read_config


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin evaluate`."""
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
    "epochs of trained probes and decoders (default: the run's "
    "config.evaluate.epochs)",
    flag_values=values,
  )
  flags.DEFINE_float(
    "label_share",
    None,
    "share of the labels, for semi_supervised (default: the run's "
    "config.evaluate.label_share)",
    flag_values=values,
  )
  flags.DEFINE_boolean(
    "json",
    False,
    "print the rows as JSON instead of a table",
    flag_values=values,
  )
  paths.define("evidence", None, "also store the result as this file", values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Evaluates; see the docstring of the module."""
  if rest or not values.workdir:
    raise UserError("--workdir is missing: name the folder of a run.")
  from infomin_jax import provenance
  from infomin_jax.eval.result_table import show_table

  rows, configs, pixels = [], [], {}
  for workdir in map(pathlib.Path, values.workdir):
    config = read_config(workdir)
    for name in ("protocols", "taps"):
      if choice := values[name].value:
        config.evaluate[name] = tuple(choice)
    for name in ("epochs", "label_share"):
      if values[name].value is not None:
        config.evaluate[name] = values[name].value
    probed = config.copy_and_resolve_references()
    probed.data = probed.data.to_dict() | changed_data(values.data)
    same = decides_pixels(probed)
    new_rows = _evaluated(workdir, config, probed, pixels.get(same))
    pixels[same] = [row for row in new_rows if row["features"] == "pixels"]
    rows += new_rows
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
  """Returns changes of `config.data` from `key=value` words.

  A word without `=` continues the value before it, which contains a comma.

  Raises:
    UserError: no `=`, or a key that `config.data` cannot have.
  """
  from infomin_jax import data
  from infomin_jax.errors import lookup
  from infomin_jax.train.config import SECTIONS

  allowed = dict.fromkeys((*SECTIONS["data"], *sorted(data.option_names())))
  changes, whole = {}, list[str]()
  for word in words:
    if "=" in word or not whole:
      whole.append(word)
    else:
      whole[-1] += f",{word}"
  for word in whole:
    key, equals, value = word.partition("=")
    lookup("key of --data", key, allowed)
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
  """Returns the rows of one run, and writes them into its folder."""
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
  pixel_rows = pixels or []
  features = FEATURES[1:] if pixel_rows else FEATURES
  rows = pixel_rows + evaluate(
    experiment, state, untrained, say, folder=workdir, features=features
  )
  other = config.data.to_dict() != probed.data.to_dict()
  name = f"evaluation_{probed.data.name}.json" if other else "evaluation.json"
  about = {"step": int(state.step), "settings": _settings(probed)}
  kept = _others(workdir / name, rows, about)
  write_json(workdir / name, {**about, "rows": kept + rows})
  return rows


def _settings(config) -> dict:
  """Returns the settings of an evaluation that no row mentions."""
  settings = as_json(config)["evaluate"]
  return {k: v for k, v in settings.items() if k not in ("protocols", "taps")}


def _others(path: pathlib.Path, rows: list[dict], about: dict) -> list[dict]:
  """Returns the rows of an earlier evaluation that stay in the file.

  They stay if they are of the same step and settings, and were not measured
  again.
  """
  from infomin_jax.runs.progress import say

  if not path.exists():
    return []
  earlier = read_json(path)
  if any(earlier.get(key) != value for key, value in about.items()):
    say(f"{path} is replaced: it was of another step or of other settings.")
    return []
  names = ("task", "protocol", "tap", "features", "metric", "seed")
  new = {tuple(row[name] for name in names) for row in rows}
  return [r for r in earlier["rows"] if tuple(r[n] for n in names) not in new]


def decides_pixels(config) -> str:
  """Returns all that rows on raw pixels depend on, except the seed."""
  parts = config.to_dict()
  relevant = {name: parts[name] for name in ("data", "evaluate", "normalize")}
  return json.dumps([relevant, config.views.size], sort_keys=True)
