"""Measures I(v1; v2) between two views and I(v; y) with the label.

All numbers are computed on held-out images, in nats, with 95 % intervals over
the images. They are lower bounds, because encoders lose information:
I(z1; z2) <= I(v1; v2) and I(z; y) <= I(v; y). They depend on the encoder and on
the number of candidates, so compare them only within one sweep.
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
CANDIDATES = 1024  # per positive pair; log(1024) is the ceiling of the bound


def information(experiment: Experiment, state: TrainState) -> list[dict]:
  """Returns rows in the form of `evaluate`.

  Args:
    experiment: the run. Its first term with a critic scores the views.
    state: the trained state.

  Returns:
    Rows of the metric `I(v1; v2)` and, for the first task, of `I(v1; y)` and
    `I(v2; y)`. Each is followed by rows of the ends of its interval, `low` and
    `high`.
  """
  config, options = experiment.config, experiment.config.evaluate
  variables = encoder_variables(state, options.weights)
  test = data.load(config.data, config.data.test_split)
  key = jax.random.key(config.seed)
  measure = _make_measure(experiment)
  test_parts = list(
    _batches(measure, variables, test, options.test_examples, key, config)
  )
  nats = np.concatenate([pairs for _, pairs, _ in test_parts])
  size = len(test_parts[0][1])
  rows = {"I(v1; v2)": _interval(nats)}
  if test.tasks:
    field, classes, _ = next(iter(test.tasks.values()))
    train = data.load(config.data, config.data.probe_split)
    key = jax.random.fold_in(key, 1)
    train_parts = list(
      _batches(measure, variables, train, options.train_examples, key, config)
    )
    for view in (0, 1):
      sides = [
        np.concatenate(column)
        for part in (train_parts, test_parts)
        for column in (
          [x[view] for x, _, _ in part],
          [batch[field] for _, _, batch in part],
        )
      ]
      label_nats = label_information(
        *sides,
        classes=classes,
        iterations=options.iterations,
        seed=config.seed,
      )
      rows[f"I(v{view + 1}; y)"] = label_nats[:3]
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


def _make_measure(experiment: Experiment) -> Callable:
  """Returns jitted `(variables, batch, key) -> (features, nats)`.

  The features are those of both views, `[b, d]` each. The nats are the terms of
  the bound, one per pair, `[b]`.
  """
  learner = experiment.learner

  @jax.jit
  def measure(variables, batch, key):
    views = experiment.views(key, batch)
    wanted = learner.read(len(views))
    features: Any = learner.apply(
      variables, views, wanted, False, method="encode_views"
    )
    scores: Any = learner.apply(variables, views, method="scores")
    first, second = list(features.values())[:2]
    return (first.global_, second.global_), pair_nats(scores)

  return measure


def _batches(measure, variables, source, limit, key, config) -> Iterator[tuple]:
  """Yields features of both views, nats of the pairs, and the batch itself.

  An incomplete last batch is dropped: fewer candidates have a lower ceiling.
  """
  size = min(CANDIDATES, limit or len(source), len(source))
  batches = held_out_batches(source, size, config, limit, crops=True)
  for i, batch in enumerate(batches):
    if len(batch["index"]) == size:
      x, nats = measure(variables, batch, jax.random.fold_in(key, i))
      yield jax.device_get(x), np.asarray(nats), batch


def _interval(each: np.ndarray) -> tuple[float, float, float]:
  """Returns the mean of `[n]` numbers and the ends of its 95 % interval."""
  half = float(1.96 * np.std(each, ddof=1) / np.sqrt(len(each)))
  mean = float(np.mean(each))
  return mean, mean - half, mean + half
