"""`infomin evaluate`: probes of a run's encoder, beside pixels and no training.

All probes of an encoder read the same features, which are computed once.
"""

import functools
import pathlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import numpy as np

from infomin_jax import data
from infomin_jax.errors import UserError, lookup
from infomin_jax.eval.augmented import augmentation, augmented_features
from infomin_jax.eval.case import Case, Encoder, Part, Protocol
from infomin_jax.eval.embed import (
  embed,
  make_tap,
  read_taps,
  small_images,
  some_of,
)
from infomin_jax.eval.protocols import PROTOCOLS
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState

FEATURES = ("pixels", "untrained", "learned")


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
  *,
  folder: pathlib.Path = pathlib.Path(),
  features: Collection[str] = FEATURES,
) -> list[dict]:
  """Rows of `evaluation.json`: every task x protocol x features x tap.

  Args:
    experiment: encoder, data, and the settings in `config.evaluate`.
    state: the trained state.
    untrained: the state before the first step, for the same probes.
    say: gets a line as each protocol is done with a tap.
    folder: where pictures go.
    features: which of `FEATURES` to probe; `pixels` need no second look at the
      same data and settings, nor `untrained` at the same seed's encoder.

  Returns:
    Rows with `task`, `protocol`, `tap`, `features` (`learned`, `untrained` or
    `pixels`), `metric`, `value` and `seed`. Accuracies and errors are in
    [0, 1]; other metrics name their unit.

  Raises:
    UserError: the data set has no labels, or none of the kind to probe for.
  """
  config, options = experiment.config, experiment.config.evaluate
  check_probes(experiment)
  protocols = [PROTOCOLS[name](options) for name in options.protocols]
  sources = probe_sources(experiment, protocols)
  images = None
  if any("images" in protocol.needs for protocol in protocols):
    images = [small_images(s, config, limit) for s, limit in sources]
  reads_train = any(protocol.views is None for protocol in protocols)
  fresh = encoder_variables(untrained, "online")
  learned = encoder_variables(state, options.weights)
  encoders = dict(zip(FEATURES, (fresh, fresh, learned), strict=True))
  rows = []
  for kind in features:
    taps = ("pixels",) if kind == "pixels" else tuple(options.taps)
    for tap, case in cases(
      experiment,
      kind,
      encoders[kind],
      taps,
      sources,
      images,
      folder,
      reads_train,
    ):
      found = []
      for protocol in protocols:
        about = {"protocol": protocol.name, "tap": tap, "features": kind}
        found += _rows(protocol.run(case), about, config.seed)
        say(f"{case.name}: {protocol.name}")
      order = [*case.classes, *(row["task"] for row in found)]
      rows += sorted(found, key=lambda row: order.index(row["task"]))
  return rows


def _rows(values: dict, about: dict, seed: int) -> list[dict]:
  return [
    {
      "task": task,
      **about,
      "metric": metric,
      "value": round(float(value), 6),
      "seed": seed,
    }
    for task, metrics in values.items()
    for metric, value in metrics.items()
  ]


def cases(
  experiment: Experiment,
  features: str,
  variables: dict,
  taps: tuple[str, ...],
  sources,
  images=None,
  folder: pathlib.Path = pathlib.Path(),
  reads_train: bool = True,
) -> Iterator[tuple[str, Case]]:
  """Embeds both sets once and yields `(tap, what protocols see of it)`.

  Args:
    experiment: encoder, data and settings.
    features: `pixels`, `untrained` or `learned`.
    variables: the encoder's parameters and statistics.
    taps: to read.
    sources: `(source, how many)` of training and test set.
    images: of both, where a protocol needs them.
    folder: where pictures go.
    reads_train: whether a protocol reads `Case.train`.
  """
  config = experiment.config
  embedded = _embedded(experiment, variables, taps, sources, reads_train)
  source, limit = sources[0]
  for tap in taps:
    train, test = (
      Part(
        x[tap],
        {task: y[field] for task, (field, _) in source.tasks.items()},
        of,
      )
      for (x, y), of in zip(embedded, images or (None, None), strict=True)
    )
    own: dict[str, Any] = {}
    if tap != "pixels":
      own["encoder"] = Encoder(
        make_tap(experiment.learner, tap),
        variables,
        experiment.mesh,
        _sample(experiment),
      )
      own["augmented"] = augmented_features(
        experiment, variables, some_of(source, limit), tap
      )
    classes = {task: count for task, (_, count) in source.tasks.items()}
    name = "pixels" if features == "pixels" else f"{features}, tap {tap}"
    yield (
      tap,
      Case(train, test, classes, config.seed, name=name, folder=folder, **own),
    )


def _embedded(experiment, variables, taps, sources, reads_train) -> list[tuple]:
  """`embed` of training and test set; no rows of one that nobody reads."""
  train, test = (
    functools.partial(
      embed,
      experiment.learner,
      variables,
      source,
      taps,
      config=experiment.config,
      mesh=experiment.mesh,
      limit=limit,
    )
    for source, limit in sources
  )
  found = test()
  return [train() if reads_train else jax.tree.map(_none, found), found]


def _none(x: np.ndarray) -> np.ndarray:
  return x[:0]


def _sample(experiment: Experiment) -> Callable | None:
  """How a run's generator makes images, if it has one."""
  learner, shape = experiment.learner, experiment.source.image_shape
  if not learner.makes_images:
    return None
  image = (experiment.config.views.size, 3 if shape is None else shape[-1])

  def sample(variables, key, count):
    return learner.apply(variables, key, count, image, method="sample")

  return sample


def check_probes(experiment: Experiment) -> None:
  """Refuses unknown protocols and taps, and bad numbers, before long work."""
  config, options = experiment.config, experiment.config.evaluate
  for name in options.protocols:
    lookup("protocol", name, PROTOCOLS)
  if options.batch_size < 1 or options.batch_size % experiment.mesh.size:
    raise UserError(
      f"config.evaluate.batch_size is {options.batch_size}: expected a "
      f"multiple of the {experiment.mesh.size} devices."
    )
  if options.epochs < 1:
    raise UserError(
      f"config.evaluate.epochs is {options.epochs}: expected at least 1."
    )
  if not 0 < options.label_share <= 1:
    raise UserError(
      f"config.evaluate.label_share is {options.label_share}: expected a share "
      "above 0, at most 1."
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


def probe_sources(experiment: Experiment, protocols: list[Protocol]):
  """`(source, how many)` of the train and the test set that probes use."""
  config, options = experiment.config.data, experiment.config.evaluate
  train = data.load(config, config.probe_split)
  needs = frozenset().union(*(protocol.needs for protocol in protocols))
  if "labels" in needs and not train.tasks:
    raise UserError(
      f"config.data.name {config.name!r} has no labels in split "
      f"{config.probe_split!r}: probes need some. Sort the images into one "
      "folder a class, or choose a labelled config.data.probe_split."
    )
  counts = [task.classes for task in train.tasks.values()]
  if "binary" in needs and 2 not in counts:
    raise UserError(
      f"config.data.name {config.name!r} has no task of two classes, as the "
      f"protocol attributes needs; classes: {', '.join(map(str, counts))}."
    )
  for protocol in protocols:
    if protocol.views is not None:
      some = some_of(train, options.train_examples)
      augmentation(experiment.config, some, protocol.views)
  test = data.load(config, config.test_split)
  return (train, options.train_examples), (test, options.test_examples)
