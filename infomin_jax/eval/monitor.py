"""Measurements during training: held-out MI, collapse and two quick probes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from infomin_jax import data
from infomin_jax.data import near_copies
from infomin_jax.errors import UserError
from infomin_jax.eval.cases import labels_of
from infomin_jax.eval.embed import (
  embed,
  encoder_variables,
  held_out_batches,
  make_features,
)
from infomin_jax.eval.evaluate import check_probes
from infomin_jax.eval.held_out import effective_rank, make_held_out_bound
from infomin_jax.eval.probes import PROTOCOLS
from infomin_jax.eval.probes.protocol import Case, Part, say_new
from infomin_jax.eval.probes.shares import known
from infomin_jax.runs.progress import say
from infomin_jax.train.experiment import Experiment
from infomin_jax.train.state import TrainState

PROBES = ("knn", "linear")


def make_monitor(experiment: Experiment) -> Callable[[TrainState], dict]:
  """Returns a function `state -> metrics` to call during training.

  If a term has a critic, metrics have the held-out MI bound and its ceiling, in
  nats. They also have the effective rank of held-out features, the number of
  these images (at most `config.run.monitor_examples`) and the share of copies.

  If there are labels, the first task adds the share of pairs of one class and
  the accuracies of a kNN and a linear probe. If its classes are not balanced,
  as defined by `shares`, there are also `knn_balanced`, `linear_balanced` and
  `largest_class`. A probe that cannot be fitted is left out, and a line gives
  the reason.
  """
  config, options = experiment.config, experiment.config.evaluate
  learner = experiment.learner
  check_probes(experiment)
  test = data.load(config.data, config.data.test_split)
  train = (
    data.load(config.data, config.data.probe_split) if test.tasks else None
  )
  _say_what_is_held_out(experiment, test)
  count = min(config.run.monitor_examples, len(test))
  tap = options.taps[0]
  pairs = _pairs(experiment, test, count)
  copied = copies([batch["image"] for batch in pairs])
  # Built once: a new jitted function would be compiled at every evaluation.
  held_out_bound = make_held_out_bound(
    learner, experiment.views, pairs, config.seed
  )
  features = make_features(learner, (tap,), config, experiment.mesh)
  said: set[str] = set()

  def monitor(state: TrainState) -> dict[str, float]:
    variables = encoder_variables(state, options.weights)
    metrics = {"held_out_images": float(count)}
    if learner.has_scores:
      metrics |= held_out_bound(variables)
    place: dict[str, Any] = dict(
      config=config, mesh=experiment.mesh, features=features, limit=count
    )
    test_x, test_y = embed(learner, variables, test, (tap,), **place)
    metrics["effective_rank"] = effective_rank(test_x[tap])
    metrics["copies"] = copied
    if train is not None:
      task, about = next(iter(test.tasks.items()))
      place["limit"] = config.run.monitor_examples
      train_x, train_y = embed(learner, variables, train, (tap,), **place)
      case = Case(
        Part(
          train_x[tap],
          {task: labels_of(train_y, about.field, len(train_x[tap]))},
        ),
        Part(test_x[tap], {task: labels_of(test_y, about.field, count)}),
        {task: about.classes},
        config.seed,
      )
      metrics |= _probed(case, task, options, said)
    return metrics

  return monitor


def _say_what_is_held_out(experiment: Experiment, test) -> None:
  """Prints what makes held-out numbers too high, or impossible."""
  options = experiment.config.data
  # Splits of published data sets are used as they are.
  if options.name in ("folder", "arrays"):
    if leak := near_copies.line(experiment.source, test):
      say(leak)
  if experiment.source.tasks and not test.tasks:
    say(
      f"config.data.test_split {options.test_split!r} has no known labels: no "
      "probes while training."
    )


def _probed(case: Case, task: str, options, said: set[str]) -> dict:
  """Returns the metrics of quick probes; prints each failure only once."""
  metrics: dict[str, float] = {}
  lines = [*case.remarks()]
  y = case.test.labels[task]
  if (y >= 0).any():
    metrics["same_class"] = same_class(y[known(y)])
  for name in PROBES:
    scores = PROTOCOLS[name](options).run(case)[task]
    for kind, key in (
      ("accuracy", name),
      ("balanced_accuracy", f"{name}_balanced"),
      ("largest_class", "largest_class"),
    ):
      if isinstance(value := scores.get(kind, ""), float):
        metrics[key] = value
    if isinstance(why := scores["accuracy"], str):
      lines.append(f"No {name} probe of {task} while training: {why}.")
  if largest := metrics.get("largest_class"):
    advice = "knn_balanced and linear_balanced weight all classes equally"
    if largest == 1:
      advice = "accuracies mean nothing; hold out images of other classes too"
    lines.append(
      f"{largest:.1%} of the held-out images are of one class of {task}, so a "
      f"constant guess has that accuracy: {advice}."
    )
  say_new(lines, said, say)
  return metrics


def copies(batches: list[np.ndarray]) -> float:
  """Returns the share of images that are exact copies of earlier ones."""
  images = [image.tobytes() for batch in batches for image in batch]
  return 1 - len(set(images)) / max(len(images), 1)


def same_class(labels: np.ndarray) -> float:
  """Returns the chance that two images, drawn independently, share a class."""
  _, counts = np.unique(labels, return_counts=True)
  return float(np.sum((counts / len(labels)) ** 2))


def _pairs(experiment, test, count: int) -> list[dict]:
  """Returns batches of one size, from which held-out views are made."""
  config = experiment.config
  size = min(config.batch_size, count)
  size -= size % experiment.mesh.size
  if not size:
    raise UserError(
      f"{count} held-out images are too few for {experiment.mesh.size} "
      "devices: hold out more, or use fewer devices."
    )
  # All of one size, since the ceiling of a bound is the log of that size.
  return [
    batch
    for batch in held_out_batches(test, size, config, count, crops=True)
    if len(batch["index"]) == size
  ]
