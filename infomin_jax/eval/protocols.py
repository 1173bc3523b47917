"""`infomin evaluate`: probes of a run's encoder, beside pixels and no training.

A protocol is a function of features and labels; its name and settings stand
beside every number it gives.
"""

from collections.abc import Callable

import numpy as np

from infomin_jax import data
from infomin_jax.errors import UserError, lookup
from infomin_jax.eval.embed import embed
from infomin_jax.eval.knn import knn_accuracy
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
    *split, classes=classes, iterations=options.iterations, seed=seed
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
  protocols = [
    lookup("protocol", name, PROTOCOLS)(options) for name in options.protocols
  ]
  train, test = probe_sources(experiment)
  rows = []
  trained = encoder_variables(state, options.weights)
  fresh = encoder_variables(untrained, "online")
  for features, variables, taps in (
    ("pixels", fresh, ("pixels",)),
    ("untrained", fresh, tuple(options.taps)),
    ("learned", trained, tuple(options.taps)),
  ):
    size = dict(config=config, mesh=experiment.mesh)
    train_x, train_y = embed(
      experiment.learner,
      variables,
      train,
      taps,
      limit=options.train_examples,
      **size,
    )
    test_x, test_y = embed(
      experiment.learner,
      variables,
      test,
      taps,
      limit=options.test_examples,
      **size,
    )
    for tap in taps:
      for task, (field, classes) in train.tasks.items():
        for protocol, run in protocols:
          value = run(
            train_x[tap],
            train_y[field],
            test_x[tap],
            test_y[field],
            classes=classes,
            seed=config.seed,
          )
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
  from infomin_jax.eval.embed import held_out_batches
  from infomin_jax.eval.mi import effective_rank, held_out_bound

  config, options = experiment.config, experiment.config.evaluate
  test = data.load(config.data, config.data.test_split)
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
    test_x, test_y = embed(
      experiment.learner, variables, test, (tap,), **place
    )
    metrics["effective_rank"] = effective_rank(test_x[tap])
    if test.tasks:
      field, classes = next(iter(test.tasks.values()))
      train = data.load(config.data, config.data.probe_split)
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
  """Prints the rows, one line a task, protocol and tap, to standard output."""
  import rich.console
  import rich.table

  table = rich.table.Table(title="What was learned: accuracy on held-out data")
  columns = ("task", "protocol", "pixels", "untrained", "learned", "tap")
  for column in columns:
    numeric = column in columns[2:5]
    table.add_column(column, justify="right" if numeric else "left")
  value = {
    (r["task"], r["protocol"], r["tap"], r["features"]): r["value"]
    for r in rows
  }
  for task, protocol, tap, features in value:
    if features == "learned":
      key = (task, protocol)
      table.add_row(
        *key,
        f"{value[(*key, 'pixels', 'pixels')]:.1%}",
        f"{value[(*key, tap, 'untrained')]:.1%}",
        f"{value[(*key, tap, 'learned')]:.1%}",
        tap,
      )
  rich.console.Console().print(table)


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
  """95 % bootstrap interval of the mean of `values`."""
  draws = np.random.default_rng(seed).choice(values, (10_000, len(values)))
  low, high = np.quantile(draws.mean(axis=1), (0.025, 0.975))
  return float(low), float(high)


