"""How many nats frozen features tell of a label: I(z; y), from below."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import entropy

from infomin_jax.eval.probes.linear import (
  L2,
  check_rows,
  fit_logistic,
  selection_split,
  standardized,
)
from infomin_jax.eval.probes.protocol import Case, Protocol, found_or_noted
from infomin_jax.eval.probes.shares import NoProbe

WEIGHTS = (*L2, 1e-1)  # few rows of many features need the last
DRAWS = 500
SHARPEST = 4.0  # what calibration may multiply the log ratio by


class LabelInformation(NamedTuple):
  """A lower bound on I(z; y), nats.

  Attributes:
    nats: the value; chance can bring it a little below 0.
    low: of its 95 % interval over test rows, the classifier held fixed.
    high: of the same; no limit to the information itself.
    ceiling: H(y) of the test labels, the most there is to know.
  """

  nats: float
  low: float
  high: float
  ceiling: float


def protocol(options) -> Protocol:
  """`label_information` of each task."""

  def run(case: Case) -> dict:
    def measure(task):
      rows, test_rows = case.rows(task)
      bound = label_information(
        case.train.x[rows],
        case.train.labels[task][rows],
        case.test.x[test_rows],
        case.test.labels[task][test_rows],
        classes=case.classes[task],
        iterations=options.iterations,
        seed=case.seed,
      )
      named = bound._asdict().items()
      return {f"I(z; y), {name}": value for name, value in named}

    found, notes = found_or_noted(case.classes, measure, "I(z; y), nats")
    return found | notes

  name = (
    f"label_information (H(y) less test cross-entropy of logistic regression, "
    f"L-BFGS {options.iterations}, L2 and calibration selected; 95 % bootstrap)"
  )
  return Protocol(name, run)


def label_information(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  classes: int,
  iterations: int,
  seed: int = 0,
) -> LabelInformation:
  """H(y) less the cross-entropy of a classifier on test rows.

  In expectation below I(z; y), by what the classifier's probabilities miss:
  `KL(p(y | z) | q(y | z))`, and because the entropy of test labels is below
  that of y. The classifier is multinomial logistic regression on standardized
  features. A tenth of the training rows select its L2 weight. How often each
  class is there, and one factor on its log ratios `log q(y | z) / p(y)`, are
  found on one half of the test rows for the other: so that it is not too sure
  and, where it has learned nothing that holds there, as good as knowing no
  features.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    classes: number of classes.
    iterations: of L-BFGS, full batch; it may stop earlier.
    seed: of the splits of training and of test rows, and of the bootstrap.

  Raises:
    NoProbe: fewer than 20 training rows, or those of training or of testing
      are all of one class.
  """
  check_rows(train_labels)
  x, test_x = standardized(train_features, test_features)
  y, test_y = np.asarray(train_labels), np.asarray(test_labels)
  if len(np.unique(test_y)) < 2:
    raise NoProbe("all test images are of one class: its entropy is 0 nats")
  classes = max(classes, 1 + int(y.max()), 1 + int(test_y.max()))
  rng = np.random.default_rng(seed)
  selecting, fitting = selection_split(y, rng)
  prior = _prior(y[fitting], classes)
  fitted = []
  for l2 in WEIGHTS:
    model = fit_logistic(x[fitting], y[fitting], l2, iterations)
    ratio = _log_ratios(model, x[selecting], prior)
    _, least = _calibrated(ratio, prior, y[selecting])
    fitted.append((least, model))
  _, model = min(fitted, key=lambda found: found[0])
  ratio = _log_ratios(model, test_x, prior)
  nats = np.empty(len(test_y))
  halves = np.array_split(rng.permutation(len(test_y)), 2)
  for rows, others in zip(halves, halves[::-1], strict=True):
    prior = _prior(test_y[others], classes)
    factor, _ = _calibrated(ratio[others], prior, test_y[others])
    nats[rows] = _nats(factor, ratio[rows], prior, test_y[rows])
  return _interval(nats, test_y, rng)


def _prior(labels, classes: int) -> np.ndarray:
  """`log p(y)`, `[classes]`: with one more of each, so that none is 0."""
  return log_softmax(np.log(np.bincount(labels, minlength=classes) + 1))


def _calibrated(ratio, prior, labels) -> tuple[float, float]:
  """The best factor on log ratios, and the cross-entropy that it gives."""
  best = minimize_scalar(
    lambda factor: _nats(factor, ratio, prior, labels).mean(),
    bounds=(0, SHARPEST),
    method="bounded",
  )
  return best.x, best.fun


def _log_ratios(model, x, prior) -> np.ndarray:
  """`log q(y | z) / p(y)` but for a term of z, `[m, classes]`.

  0 for classes that the model never saw.
  """
  logits = model.decision_function(x)
  if logits.ndim == 1:  # of two classes, only the second's
    logits = np.stack([np.zeros_like(logits), logits], axis=1)
  ratio = np.zeros((len(x), len(prior)))
  ratio[:, model.classes_] = log_softmax(logits, 1) - prior[model.classes_]
  return ratio


def _nats(factor, ratio, prior, labels) -> np.ndarray:
  """Cross-entropy of each row, `[m]`."""
  log_q = log_softmax(prior + factor * ratio, axis=1)
  return -log_q[np.arange(len(labels)), labels]


def _interval(nats, labels, rng) -> LabelInformation:
  """The bound and its bootstrap interval, from cross-entropies `[m]`."""
  ceiling = entropy(np.bincount(labels))
  value = ceiling - nats.mean()
  draws = []
  for _ in range(DRAWS):
    rows = rng.integers(len(nats), size=len(nats))
    draws.append(entropy(np.bincount(labels[rows])) - nats[rows].mean())
  # The entropy of a resample is biased downwards once more.
  draws = np.array(draws) + value - np.mean(draws)
  low, high = np.percentile(draws, (2.5, 97.5))
  return LabelInformation(*map(float, (value, low, high, ceiling)))
