"""`infomin evaluate`: probes of a run's encoder, beside pixels and no training.

A protocol is a function of features and labels; its name and settings stand
beside every number it gives.
"""

import itertools
from collections.abc import Callable

import jax
import numpy as np
import rich.console
import rich.table

from infomin_jax import data, evidence
from infomin_jax.errors import UserError, lookup
from infomin_jax.eval.embed import embed, held_out_batches, read_taps
from infomin_jax.eval.knn import knn_accuracy
from infomin_jax.eval.mi import effective_rank, held_out_bound
from infomin_jax.eval.probe import linear_accuracy
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState


def _knn(options) -> tuple[str, Callable]:
  name = f"knn (cosine, k={options.k}, t={options.temperature:g})"
  return name, lambda *split, classes, seed: knn_accuracy(
    *split, classes=classes, k=options.k, temperature=options.temperature
  )


def _linear(options) -> tuple[str, Callable]:
  name = f"linear (standardised, L-BFGS {options.iterations}, L2 selected)"
  return name, lambda *split, classes, seed: linear_accuracy(
    *split, iterations=options.iterations, seed=seed
  )


# name -> config.evaluate -> (name with settings, function).
PROTOCOLS = {"knn": _knn, "linear": _linear}


def encoder_variables(state: TrainState, weights: str) -> dict:
  """The parameters and batch statistics that evaluation uses.

  Args:
    state: of the run.
    weights: `online`, or `ema` for the momentum copy.
  """
  online = {
    "params": state.params,
    "batch_stats": state.stats.get("batch_stats", {}),
  }
  known = {"online": online}
  if "ema" in state.stats:
    known["ema"] = state.stats["ema"]
  return lookup("config.evaluate.weights", weights, known)


def evaluate(
  experiment: Experiment,
  state: TrainState,
  untrained: TrainState,
  say: Callable[[str], None] = lambda line: None,
) -> list[dict]:
  """Rows of `evaluation.json`: every task x protocol x features x tap.

  Args:
    experiment: encoder, data, and the settings in `config.evaluate`.
    state: the trained state.
    untrained: the state before the first step, for the same probes.
    say: gets a line as each set of features is done.

  Returns:
    Rows with `task`, `protocol`, `tap`, `features` (`learned`, `untrained` or
    `pixels`), `metric`, `value` (in [0, 1]) and `seed`.

  Raises:
    UserError: the data set has no labels to probe for.
  """
  config, options = experiment.config, experiment.config.evaluate
  check_probes(experiment)
  protocols = [PROTOCOLS[name](options) for name in options.protocols]
  train, test = probe_sources(experiment)
  trained = encoder_variables(state, options.weights)
  fresh = encoder_variables(untrained, "online")
  limits = ((train, options.train_examples), (test, options.test_examples))
  rows = []
  for features, variables, taps in (
    ("pixels", fresh, ("pixels",)),
    ("untrained", fresh, tuple(options.taps)),
    ("learned", trained, tuple(options.taps)),
  ):
    place = {"config": config, "mesh": experiment.mesh}
    (train_x, train_y), (test_x, test_y) = (
      embed(experiment.learner, variables, source, taps, limit=limit, **place)
      for source, limit in limits
    )
    for tap, (task, (field, classes)), (protocol, run) in itertools.product(
      taps, train.tasks.items(), protocols
    ):
      split = (train_x[tap], train_y[field], test_x[tap], test_y[field])
      value = run(*split, classes=classes, seed=config.seed)
      rows.append(
        {
          "task": task,
          "protocol": protocol,
          "tap": tap,
          "features": features,
          "metric": "accuracy",
          "value": round(value, 6),
          "seed": config.seed,
        }
      )
    say(f"{features}: done")
  return rows


def check_probes(experiment: Experiment) -> None:
  """Refuses unknown protocols and taps, before any long work."""
  config, options = experiment.config, experiment.config.evaluate
  for name in options.protocols:
    lookup("protocol", name, PROTOCOLS)
  if options.batch_size < 1 or options.batch_size % experiment.mesh.size:
    raise UserError(
      f"config.evaluate.batch_size is {options.batch_size}: expected a "
      f"multiple of the {experiment.mesh.size} devices."
    )
  size = config.views.size
  shape = experiment.source.image_shape
  channels = 3 if shape is None else shape[-1]
  images = jax.ShapeDtypeStruct((2, size, size, channels), np.float32)
  state = jax.eval_shape(experiment.init)
  jax.eval_shape(
    lambda v, x: read_taps(experiment.learner, v, x, tuple(options.taps)),
    encoder_variables(state, options.weights),
    images,
  )


def probe_sources(experiment: Experiment):
  """The labelled train and test sources that probes use."""
  options = experiment.config.data
  train = data.load(options, options.probe_split)
  if not train.tasks:
    raise UserError(
      f"config.data.name {options.name!r} has no labels in split "
      f"{options.probe_split!r}: probes need some. Sort the images into one "
      "folder a class, or choose a labelled config.data.probe_split."
    )
  return train, data.load(options, options.test_split)


def make_monitor(experiment: Experiment) -> Callable[[TrainState], dict]:
  """A `state -> metrics` for use while training.

  Metrics: the held-out MI bound with its ceiling (nats), the effective rank of
  held-out features and, of the first task if there are labels, kNN and linear
  probe accuracy on `config.run.monitor_examples` images.
  """
  config, options = experiment.config, experiment.config.evaluate
  check_probes(experiment)
  test = data.load(config.data, config.data.test_split)
  train = (
    data.load(config.data, config.data.probe_split) if test.tasks else None
  )
  count = min(config.run.monitor_examples, len(test))
  size = min(config.batch_size, count)
  size -= size % experiment.mesh.size
  pairs = [
    batch
    for batch in held_out_batches(test, size, config, count, crops=True)
    if len(batch["index"]) == size
  ]
  tap = options.taps[0]

  def monitor(state: TrainState) -> dict[str, float]:
    variables = encoder_variables(state, options.weights)
    metrics = held_out_bound(
      experiment.learner, variables, experiment.views, pairs, config.seed
    )
    place = dict(config=config, mesh=experiment.mesh, limit=count)
    test_x, test_y = embed(experiment.learner, variables, test, (tap,), **place)
    metrics["effective_rank"] = effective_rank(test_x[tap])
    if train is not None:
      field, classes = next(iter(test.tasks.values()))
      train_x, train_y = embed(
        experiment.learner, variables, train, (tap,), **place
      )
      split = (train_x[tap], train_y[field], test_x[tap], test_y[field])
      for name in ("knn", "linear"):
        _, run = PROTOCOLS[name](options)
        metrics[name] = run(*split, classes=classes, seed=config.seed)
    return metrics

  return monitor


def show_table(rows: list[dict]) -> None:
  """Prints the rows to standard output, one line a task, protocol and tap.

  Rows that differ only in the seed become mean +- sample standard deviation.
  """
  groups = {
    (row["task"], row["protocol"], row["tap"], row["features"]): row
    for row in evidence.over_seeds(rows)
  }

  def cell(key):
    row = groups[key]
    spread = "" if row["std"] is None else f" ± {row['std']:.1%}"
    return f"{row['mean']:.1%}{spread}"

  protocols = list(dict.fromkeys(row["protocol"] for row in rows))
  table = rich.table.Table(
    title="What was learned: accuracy on held-out data",
    caption="\n".join(protocols),
  )
  for column in ("task", "protocol", "pixels", "untrained", "learned", "tap"):
    numeric = column in ("pixels", "untrained", "learned")
    table.add_column(column, justify="right" if numeric else "left")
  for task, protocol, tap, features in groups:
    if features == "learned":
      table.add_row(
        task,
        protocol.split(" ")[0],
        cell((task, protocol, "pixels", "pixels")),
        cell((task, protocol, tap, "untrained")),
        cell((task, protocol, tap, "learned")),
        tap,
      )
  rich.console.Console().print(table)
