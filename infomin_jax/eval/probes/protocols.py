"""The protocols of `infomin evaluate`, by name.

Add one: write a function of arrays in a file here, and there or below one that
takes `config.evaluate` and gives a `Protocol`; enter it in `PROTOCOLS`.
"""

from collections.abc import Callable

import jax
import numpy as np

from infomin_jax.eval.probes import dependence
from infomin_jax.eval.probes.channels import protocol as _channels
from infomin_jax.eval.probes.finetune import finetuned_shares, labeled_part
from infomin_jax.eval.probes.fit import ADAM, BATCH, RATE
from infomin_jax.eval.probes.knn import knn_guesses
from infomin_jax.eval.probes.label_information import (
  protocol as _label_information,
)
from infomin_jax.eval.probes.linear import linear_guesses
from infomin_jax.eval.probes.localization import protocol as _localization
from infomin_jax.eval.probes.mlp import (
  DROPOUT,
  UNITS,
  attribute_errors,
  mlp_shares,
)
from infomin_jax.eval.probes.neighbors import (
  MAPPED,
  NEIGHBOURS,
  SAMPLES,
  draw_map,
  draw_neighbors,
  draw_samples,
  flatten,
  neighbor_rows,
)
from infomin_jax.eval.probes.protocol import Case, Protocol, found_or_noted
from infomin_jax.eval.probes.reconstruction import reconstruction_scores
from infomin_jax.eval.probes.segmentation import protocol as _segmentation
from infomin_jax.eval.probes.sgd_linear import PROTOCOLS as SGD_LINEAR
from infomin_jax.eval.probes.shares import known, mean_shares, shares
from infomin_jax.eval.probes.svm import FITS, svm_guesses

HEAD = f"{UNITS} units, dropout {DROPOUT:g}, batch {BATCH}, {ADAM}"
IMAGES = "images"  # the task of what needs no labels


def _knn(options) -> Protocol:
  def measure(*split, classes, seed):
    del seed
    voting = dict(k=options.k, temperature=options.temperature)
    return [knn_guesses(*split, classes=classes, **voting)]

  name = f"knn (cosine, k={options.k}, t={options.temperature:g})"
  return Protocol(name, _each_task(measure))


def _linear(options) -> Protocol:
  def measure(*split, classes, seed):
    del classes
    return [linear_guesses(*split, iterations=options.iterations, seed=seed)]

  name = f"linear (standardised, L-BFGS {options.iterations}, L2 selected)"
  return Protocol(name, _each_task(measure))


def _svm(options) -> Protocol:
  def measure(*split, classes, seed):
    del classes
    return svm_guesses(*split, iterations=options.iterations, seed=seed)

  name = (
    f"svm (LinearSVC, C=1, squared hinge, dual, {options.iterations} "
    f"iterations, mean of {FITS} fits)"
  )
  return Protocol(name, _each_task(measure))


def _mlp(options) -> Protocol:
  def run(case):
    ready, notes = case.possible(case.classes)
    if not ready:
      return notes
    found = mlp_shares(
      *case.train.stacked(ready),
      *case.test.stacked(ready),
      classes=[case.classes[task] for task in ready],
      epochs=options.epochs,
      seed=case.seed,
    )
    return dict(zip(ready, found, strict=True)) | notes

  return Protocol(f"mlp ({HEAD}, {options.epochs} epochs)", run)


def _attributes(options) -> Protocol:
  def run(case):
    binary = [task for task, count in case.classes.items() if count == 2]
    ready, notes = case.possible(binary, metric="balanced_error")
    for task, (_, test) in list(ready.items()):
      present = np.unique(case.test.labels[task][test])
      if len(present) < 2:
        why = f"all test images are of class {present[0]}"
        notes[task] = {"balanced_error": why}
        del ready[task]
    if not ready:
      return notes
    found = attribute_errors(
      *case.train.stacked(ready),
      *case.test.stacked(ready),
      epochs=options.epochs,
      seed=case.seed,
    )
    rows = dict(zip(ready, found, strict=True))
    rows[f"mean of {len(ready)} attributes"] = found.mean()
    return {task: {"balanced_error": x} for task, x in rows.items()} | notes

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


def _neighbors(options) -> Protocol:
  del options
  name = f"neighbours (one test image a class, {NEIGHBOURS} nearest, L1)"

  def run(case):
    labels = next(iter(case.test.labels.values()))
    some = known(labels) if (labels >= 0).any() else slice(None)
    rows = neighbor_rows(
      case.train.x, case.test.x[some], labels[some], seed=case.seed
    )
    draw_neighbors(
      case.train.images,
      case.test.images[some],
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
  "localisation": _localization,
  "mine": _mine,
  "mlp": _mlp,
  "ndm": _ndm,
  "neighbours": _neighbors,
  "pca": _map("pca"),
  "reconstruction": _reconstruction,
  "samples": _samples,
  "segmentation": _segmentation,
  "semi_supervised": _semi_supervised,
  "svm": _svm,
  "tsne": _map("tsne"),
  **SGD_LINEAR,
}


def _each_task(guesses) -> Callable[[Case], dict]:
  """Returns a protocol's `run` from guesses of one task's test labels.

  Args:
    guesses: of features, training labels and test features of the rows whose
      label is known: one guess of the test labels a fit, `[fits, m]`.
  """

  def run(case):
    def measure(task):
      rows, test_rows = case.rows(task)
      y, test_y = (
        case.train.labels[task][rows],
        case.test.labels[task][test_rows],
      )
      split = case.train.x[rows], y, case.test.x[test_rows]
      fits = guesses(*split, classes=case.classes[task], seed=case.seed)
      each = [shares(test_y, guessed, y) for guessed in fits]
      found = mean_shares(each)
      if len(each) > 1:
        spread = np.std(np.array([x["accuracy"] for x in each], float), ddof=1)
        found[f"accuracy, std of {len(each)} fits"] = float(spread)
      return found

    found, notes = found_or_noted(case.classes, measure, "accuracy")
    return found | notes

  return run


def _finetuned(options, share: float) -> Callable[[Case], dict]:
  """A `run` that trains the encoder too, from its start for every task."""

  def run(case):
    def measure(task):
      rows, test_rows = case.rows(task)
      y = case.train.labels[task][rows]
      kept = labeled_part(y, share, case.seed)
      return finetuned_shares(
        case.encoder.apply,
        case.encoder.variables,
        case.train.images[rows][kept],
        y[kept],
        case.test.images[test_rows],
        case.test.labels[task][test_rows],
        classes=case.classes[task],
        epochs=options.epochs,
        seed=case.seed,
        mesh=case.encoder.mesh,
      )

    if case.encoder is None:
      return {}
    found, notes = found_or_noted(case.classes, measure, "accuracy")
    return found | notes

  return run


def _with_images(case: Case) -> tuple:
  return case.train.x, case.train.images, case.test.x, case.test.images
