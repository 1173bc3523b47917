"""Probes a run's encoder and, for comparison, pixels and an untrained encoder.

All probes of an encoder read the same features, which are computed once.
"""

import pathlib
from collections.abc import Callable, Collection, Iterable, Mapping

import jax
import numpy as np

from infomin_jax import data
from infomin_jax.errors import UserError, lookup
from infomin_jax.eval.cases import cases, tap_shapes
from infomin_jax.eval.embed import (
  encoder_variables,
  places,
  small_images,
  small_masks,
  some_of,
)
from infomin_jax.eval.probes import PROTOCOLS
from infomin_jax.eval.probes.augmented import augmentation
from infomin_jax.eval.probes.protocol import Protocol, say_new
from infomin_jax.eval.probes.shares import Value
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState

FEATURES = ("pixels", "untrained", "learned")


def evaluate(
  experiment: Experiment,
  state: TrainState,
  untrained: TrainState,
  say: Callable[[str], None] = lambda line: None,
  *,
  folder: pathlib.Path = pathlib.Path(),
  features: Collection[str] = FEATURES,
) -> list[dict]:
  """Returns the rows of `evaluation.json`: task x protocol x features x tap.

  Args:
    experiment: encoder, data, and the settings in `config.evaluate`.
    state: the trained state.
    untrained: the state before the first step.
    say: called with a line when a protocol has finished with a tap.
    folder: folder for pictures.
    features: which of `FEATURES` to probe. Results of `pixels` depend on data
      and settings only, those of `untrained` also on the seed and the encoder,
      so several runs can share them.

  Returns:
    Rows with `task`, `protocol`, `tap`, `features` (`learned`, `untrained` or
    `pixels`), `metric`, `value` and `seed`. Accuracies and errors are in
    [0, 1]; other metrics include their unit. If a value cannot be computed, it
    is None, and a `note` gives the reason.

  Raises:
    UserError: the data set has no labels, or not what a protocol needs.
  """
  config, options = experiment.config, experiment.config.evaluate
  check_probes(experiment)
  protocols = [PROTOCOLS[name](options) for name in options.protocols]
  sources = probe_sources(experiment, protocols)
  extras = [_extras(protocols, *source, config) for source in sources]
  reads_train = any(protocol.views is None for protocol in protocols)
  fresh = encoder_variables(untrained, "online")
  learned = encoder_variables(state, options.weights)
  encoders = dict(zip(FEATURES, (fresh, fresh, learned), strict=True))
  rows, said = [], set[str]()
  for kind in features:
    taps = ("pixels",) if kind == "pixels" else tuple(options.taps)
    for tap, case in cases(
      experiment,
      kind,
      encoders[kind],
      taps,
      sources,
      extras,
      folder,
      reads_train,
    ):
      say_new(case.remarks(), said, say)
      tap_rows = []
      for protocol in protocols:
        about = {"protocol": protocol.name, "tap": tap, "features": kind}
        tap_rows += _rows(protocol.run(case), about, config.seed)
        say(f"{case.name}: {protocol.name}")
      order = [*case.classes, *(row["task"] for row in tap_rows)]
      rows += sorted(tap_rows, key=lambda row: order.index(row["task"]))
  return rows


def _extras(protocols, source, limit, config) -> dict[str, np.ndarray]:
  """Returns images, masks and places of a set, if a protocol needs them."""
  needs = _needs(protocols)
  readers = {"images": small_images, "masks": small_masks, "places": places}
  return {
    name: read(source, config, limit)
    for name, read in readers.items()
    if name in needs
  }


def _needs(protocols: Iterable[Protocol]) -> frozenset[str]:
  return frozenset().union(*(protocol.needs for protocol in protocols))


def _rows(values: Mapping, about: dict, seed: int) -> list[dict]:
  return [
    {
      "task": task,
      **about,
      "metric": metric,
      **_value(value),
      "seed": seed,
    }
    for task, metrics in values.items()
    for metric, value in metrics.items()
  ]


def _value(value: Value) -> dict:
  """Returns a row's `value`, or None and a `note` if there is no number."""
  if isinstance(value, str):
    return {"value": None, "note": value}
  if not np.isfinite(value):
    return {"value": None, "note": f"the result is {float(value)}"}
  return {"value": round(float(value), 6)}


def check_probes(experiment: Experiment) -> None:
  """Checks protocols, taps and numbers of `config.evaluate` before long work.

  Raises:
    UserError: one of them is unknown or out of range.
  """
  options = experiment.config.evaluate
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
      "above 0 and at most 1."
    )
  size = experiment.config.views.size
  if experiment.config.data.host_crops and not size <= options.resize:
    raise UserError(
      f"config.evaluate.resize is {options.resize}: the host cuts the middle "
      f"of whole images, so set it to the shorter side in pixels, {size} "
      "(views.size) or more."
    )
  shapes = _shapes(experiment)
  for tap in options.taps:
    lookup("tap of this encoder", tap, shapes)


def _shapes(experiment: Experiment) -> dict[str, tuple[int, ...]]:
  """Returns `tap_shapes` of the encoder to evaluate."""
  state = jax.eval_shape(experiment.init)
  weights = experiment.config.evaluate.weights
  return tap_shapes(experiment, encoder_variables(state, weights))


def probe_sources(experiment: Experiment, protocols: list[Protocol]):
  """Returns `(source, limit)` of the training and the test set of the probes.

  Raises:
    UserError: the sets lack what a protocol needs.
  """
  config, options = experiment.config.data, experiment.config.evaluate
  train = data.load(config, config.probe_split)
  needs = _needs(protocols)
  if "labels" in needs and not train.tasks:
    raise UserError(
      f"config.data.name {config.name!r} has no labels in split "
      f"{config.probe_split!r}, and probes need them. Sort the images into one "
      "folder per class, or choose a config.data.probe_split with labels."
    )
  counts = [task.classes for task in train.tasks.values()]
  if "binary" in needs and 2 not in counts:
    raise UserError(
      f"config.data.name {config.name!r} has no task of two classes, as the "
      f"protocol attributes needs; classes: {', '.join(map(str, counts))}."
    )
  if "masks" in needs:
    _check_masks(experiment, train)
  if "places" in needs and "place" not in train[0]:
    raise UserError(
      f"config.data.name {config.name!r} has no field 'place', as the protocol "
      "localisation needs: moving_digits, moving_mnist and colorful_digits do."
    )
  for protocol in protocols:
    if protocol.views is not None:
      some = some_of(train, options.train_examples)
      augmentation(experiment.config, some, protocol.views)
  test = data.load(config, config.test_split)
  return (train, options.train_examples), (test, options.test_examples)


def _check_masks(experiment, source) -> None:
  """Checks that records have a mask and that one of the taps is a map."""
  config = experiment.config
  if "mask" not in source[0]:
    raise UserError(
      f"config.data.name {config.data.name!r} has no classes of pixels, as the "
      "protocol segmentation needs. For a TFDS set, config.data.mask names the "
      "feature that holds them."
    )
  shapes = _shapes(experiment)
  if all(len(shapes[tap]) != 3 for tap in config.evaluate.taps):
    maps = [tap for tap, shape in shapes.items() if len(shape) == 3]
    raise UserError(
      f"config.evaluate.taps is {tuple(config.evaluate.taps)}: the protocol "
      f"segmentation reads maps, [h, w, c]. The maps of this encoder are: "
      f"{', '.join(maps)}."
    )
