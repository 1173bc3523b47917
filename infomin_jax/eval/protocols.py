"""The protocols of `infomin evaluate`, by name.

Add one: write a function of arrays in a file here, and there or below one that
takes `config.evaluate` and gives a `Protocol`; enter it in `PROTOCOLS`.
"""

from collections.abc import Callable

import jax
import numpy as np

from infomin_jax.eval import dependence
from infomin_jax.eval.case import Case, Protocol
from infomin_jax.eval.channels import protocol as _channels
from infomin_jax.eval.finetune import finetuned_accuracy, labelled_part
from infomin_jax.eval.fit import ADAM, BATCH, RATE
from infomin_jax.eval.knn import knn_accuracy
from infomin_jax.eval.label_information import protocol as _label_information
from infomin_jax.eval.localisation import protocol as _localisation
from infomin_jax.eval.mlp_probe import (
  DROPOUT,
  UNITS,
  attribute_errors,
  mlp_accuracies,
)
from infomin_jax.eval.neighbours import (
  MAPPED,
  NEIGHBOURS,
  SAMPLES,
  draw_map,
  draw_neighbours,
  draw_samples,
  flatten,
  neighbour_rows,
)
from infomin_jax.eval.probe import linear_accuracy
from infomin_jax.eval.reconstruction import reconstruction_scores
from infomin_jax.eval.segmentation import protocol as _segmentation
from infomin_jax.eval.sgd_linear import PROTOCOLS as SGD_LINEAR
from infomin_jax.eval.svm import FITS, svm_accuracies

HEAD = f"{UNITS} units, dropout {DROPOUT:g}, batch {BATCH}, {ADAM}"
IMAGES = "images"  # the task of what needs no labels


def _knn(options) -> Protocol:
  def accuracy(*split, classes, seed):
    del seed
    found = knn_accuracy(
      *split, classes=classes, k=options.k, temperature=options.temperature
    )
    return {"accuracy": found}

  name = f"knn (cosine, k={options.k}, t={options.temperature:g})"
  return Protocol(name, _each_task(accuracy))


def _linear(options) -> Protocol:
  def accuracy(*split, classes, seed):
    del classes
    found = linear_accuracy(*split, iterations=options.iterations, seed=seed)
    return {"accuracy": found}

  name = f"linear (standardised, L-BFGS {options.iterations}, L2 selected)"
  return Protocol(name, _each_task(accuracy))


def _svm(options) -> Protocol:
  def accuracy(*split, classes, seed):
    del classes
    found = svm_accuracies(*split, iterations=options.iterations, seed=seed)
    return {
      "accuracy": found.mean(),
      f"accuracy, std of {FITS} fits": found.std(ddof=1),
    }

  name = (
    f"svm (LinearSVC, C=1, squared hinge, dual, {options.iterations} "
    f"iterations, mean of {FITS} fits)"
  )
  return Protocol(name, _each_task(accuracy))


def _mlp(options) -> Protocol:
  def run(case):
    found = mlp_accuracies(
      *case.train.stacked(case.classes),
      *case.test.stacked(case.classes),
      classes=list(case.classes.values()),
      epochs=options.epochs,
      seed=case.seed,
    )
    rows = zip(case.classes, found, strict=True)
    return {task: {"accuracy": value} for task, value in rows}

  return Protocol(f"mlp ({HEAD}, {options.epochs} epochs)", run)


def _attributes(options) -> Protocol:
  def run(case):
    binary = [task for task, count in case.classes.items() if count == 2]
    found = attribute_errors(
      *case.train.stacked(binary),
      *case.test.stacked(binary),
      epochs=options.epochs,
      seed=case.seed,
    )
    rows = dict(zip(binary, found, strict=True))
    rows[f"mean of {len(binary)} attributes"] = found.mean()
    return {task: {"balanced_error": value} for task, value in rows.items()}

  name = f"attributes ({HEAD}, classes balanced, {options.epochs} epochs)"
  return Protocol(name, run, frozenset({"labels", "binary"}))


def _finetune(options) -> Protocol:
  name = f"finetune (encoder and mlp: {HEAD}, {options.epochs} epochs)"
  return Protocol(
    name, _finetuned(options, 1.0), frozenset({"labels", "images"})
  )


def _semi_supervised(options) -> Protocol:
  """Differs from the paper: its code adds the loss of pretraining."""
  name = (
    f"semi_supervised ({options.label_share:.3g} of the labels; encoder and "
    f"mlp: {HEAD}, {options.epochs} epochs)"
  )
  run = _finetuned(options, options.label_share)
  return Protocol(name, run, frozenset({"labels", "images"}))


def _reconstruction(options) -> Protocol:
  def run(case):
    found = reconstruction_scores(
      *_with_images(case),
      epochs=options.epochs,
      seed=case.seed,
      width=options.decoder_width,
    )
    return {IMAGES: found}

  name = (
    f"reconstruction (decoder of width {options.decoder_width}, squared error, "
    f"batch {BATCH}, {ADAM}, {options.epochs} epochs)"
  )
  return Protocol(name, run, frozenset({"images"}))


def _mine(options) -> Protocol:
  def run(case):
    found = dependence.image_information(
      *_with_images(case), epochs=options.epochs, seed=case.seed
    )
    return {IMAGES: {"I(X; Y), nats": found}}

  name = (
    f"mine (batch {BATCH}, {ADAM}, best of {options.epochs} epochs by "
    "training images left out)"
  )
  return Protocol(name, run, frozenset({"images"}))


def _ndm(options) -> Protocol:
  def run(case):
    found = dependence.ndm(
      case.train.x, case.test.x, epochs=options.epochs, seed=case.seed
    )
    return {IMAGES: {"NDM, nats": found}}

  drops = " and ".join(map(str, dependence.NDM_DROPS))
  name = (
    f"ndm (1000-200-1, batch {dependence.NDM_BATCH}, Adam {RATE:g}, x0.1 at "
    f"{drops}, {options.epochs} epochs)"
  )
  return Protocol(name, run, frozenset())


def _neighbours(options) -> Protocol:
  del options
  name = f"neighbours (one test image a class, {NEIGHBOURS} nearest, L1)"

  def run(case):
    labels = next(iter(case.test.labels.values()))
    rows = neighbour_rows(case.train.x, case.test.x, labels, seed=case.seed)
    draw_neighbours(
      case.train.images,
      case.test.images,
      *rows,
      case.picture("neighbours"),
      f"{case.name}: {name}",
    )
    return {}

  return Protocol(name, run, frozenset({"labels", "images"}))


def _samples(options) -> Protocol:
  del options
  name = f"samples ({SAMPLES} images of noise)"

  def run(case):
    if case.encoder is not None and case.encoder.sample is not None:
      key = jax.random.key(case.seed)
      images = case.encoder.sample(case.encoder.variables, key, SAMPLES)
      draw_samples(images, case.picture("samples"), f"{case.name}: {name}")
    return {}

  return Protocol(name, run, frozenset())


def _map(method) -> Callable[..., Protocol]:
  def protocol(options):
    del options
    name = f"{method} (at most {MAPPED} test images)"

    def run(case):
      count = min(MAPPED, len(case.test.x))
      some = np.linspace(0, len(case.test.x) - 1, count).astype(int)
      draw_map(
        flatten(case.test.x[some], method, case.seed),
        {task: y[some] for task, y in case.test.labels.items()},
        case.picture(method),
        f"{case.name}: {name}",
      )
      return {}

    return Protocol(name, run)

  return protocol


PROTOCOLS: dict[str, Callable[..., Protocol]] = {
  "attributes": _attributes,
  "channels": _channels,
  "finetune": _finetune,
  "knn": _knn,
  "label_information": _label_information,
  "linear": _linear,
  "localisation": _localisation,
  "mine": _mine,
  "mlp": _mlp,
  "ndm": _ndm,
  "neighbours": _neighbours,
  "pca": _map("pca"),
  "reconstruction": _reconstruction,
  "samples": _samples,
  "segmentation": _segmentation,
  "semi_supervised": _semi_supervised,
  "svm": _svm,
  "tsne": _map("tsne"),
  **SGD_LINEAR,
}


def _each_task(measure) -> Callable[[Case], dict]:
  """A protocol's `run` from a function of one task's features and labels."""

  def run(case):
    return {
      task: measure(
        case.train.x,
        case.train.labels[task],
        case.test.x,
        case.test.labels[task],
        classes=count,
        seed=case.seed,
      )
      for task, count in case.classes.items()
    }

  return run


def _finetuned(options, share: float) -> Callable[[Case], dict]:
  """A `run` that trains the encoder too, from its start for every task."""

  def run(case):
    rows = {}
    for task, count in case.classes.items() if case.encoder else ():
      y = case.train.labels[task]
      kept = labelled_part(y, share, case.seed)
      value = finetuned_accuracy(
        case.encoder.apply,
        case.encoder.variables,
        case.train.images[kept],
        y[kept],
        case.test.images,
        case.test.labels[task],
        classes=count,
        epochs=options.epochs,
        seed=case.seed,
        mesh=case.encoder.mesh,
      )
      rows[task] = {"accuracy": value}
    return rows

  return run


def _with_images(case: Case) -> tuple:
  return case.train.x, case.train.images, case.test.x, case.test.images
