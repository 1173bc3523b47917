"""What two views share, and what each tells of the label: one protocol.

All numbers are of held-out images, in nats, with 95 % intervals over images.
They are lower bounds by what the trained encoders keep: I(z1; z2) <= I(v1; v2)
and I(z; y) <= I(v; y). Only those of one sweep compare: they depend on the
encoder and on the number of candidates.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from infomin_jax import data
from infomin_jax.eval.embed import encoder_variables, held_out_batches
from infomin_jax.eval.held_out import pair_nats
from infomin_jax.eval.probes.label_information import label_information
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState

PROTOCOL = "information"
CANDIDATES = 1024  # of each positive; the ceiling is the log of it


def information(experiment: Experiment, state: TrainState) -> list[dict]:
  """Rows as `evaluate` gives them.

  Args:
    experiment: of the run; its first term with a critic scores the views.
    state: the trained state.

  Returns:
    Rows of the metrics `I(v1; v2)`, and, of each view and the first task,
    `I(v1; y)` and `I(v2; y)`, each with `low` and `high` after it.
  """
  config, options = experiment.config, experiment.config.evaluate
  variables = encoder_variables(state, options.weights)
  test = data.load(config.data, config.data.test_split)
  key = jax.random.key(config.seed)
  look = _look(experiment)
  found = list(
    _batches(look, variables, test, options.test_examples, key, config)
  )
  nats = np.concatenate([pairs for _, pairs, _ in found])
  size = len(found[0][1])
  rows = {"I(v1; v2)": _interval(nats)}
  if test.tasks:
    field, classes = next(iter(test.tasks.values()))
    train = data.load(config.data, config.data.probe_split)
    key = jax.random.fold_in(key, 1)
    seen = list(
      _batches(look, variables, train, options.train_examples, key, config)
    )
    for view in (0, 1):
      sides = [
        np.concatenate(column)
        for part in (seen, found)
        for column in (
          [x[view] for x, _, _ in part],
          [batch[field] for _, _, batch in part],
        )
      ]
      told = label_information(
        *sides,
        classes=classes,
        iterations=options.iterations,
        seed=config.seed,
      )
      rows[f"I(v{view + 1}; y)"] = told[:3]
  return [
    {
      "task": "views",
      "protocol": f"{PROTOCOL} ({size} candidates)",
      "tap": "views",
      "features": "learned",
      "metric": f"{name}{end}, nats",
      "value": round(float(value), 6),
      "seed": config.seed,
    }
    for name, values in rows.items()
    for end, value in zip(("", ", low", ", high"), values, strict=True)
  ]


def _look(experiment: Experiment) -> Callable:
  """Jitted `(variables, batch, key) -> features of two views, pairs' nats`."""
  learner = experiment.learner

  @jax.jit
  def look(variables, batch, key):
    views = experiment.views(key, batch)
    wanted = learner.seen(len(views))
    features: Any = learner.apply(
      variables, views, wanted, False, method="encode_views"
    )
    scores: Any = learner.apply(variables, views, method="scores")
    first, second = list(features.values())[:2]
    return (first.global_, second.global_), pair_nats(scores)

  return look


def _batches(look, variables, source, limit, key, config) -> Iterator[tuple]:
  """Features of both views, nats of pairs and the records, by batch."""
  size = min(CANDIDATES, limit or len(source), len(source))
  batches = held_out_batches(source, size, config, limit, crops=True)
  for i, batch in enumerate(batches):
    if len(batch["index"]) == size:
      x, nats = look(variables, batch, jax.random.fold_in(key, i))
      yield jax.device_get(x), np.asarray(nats), batch


def _interval(each: np.ndarray) -> tuple[float, float, float]:
  """Mean of `[n]` numbers with its 95 % interval."""
  half = float(1.96 * np.std(each, ddof=1) / np.sqrt(len(each)))
  mean = float(np.mean(each))
  return mean, mean - half, mean + half
