"""A lower bound on I(z; y), the information of features on a label, in nats."""

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

WEIGHTS = (*L2, 1e-1)  # the last is for few rows with many features
DRAWS = 500  # of the bootstrap
SHARPEST = 4.0  # the largest factor that calibration may choose


class LabelInformation(NamedTuple):
  """A lower bound on I(z; y), in nats.

  Attributes:
    nats: the value; it can be slightly below 0 by chance.
    low: lower end of the bound's 95 % interval over test rows, with the
      classifier fixed.
    high: upper end of that interval; not an upper bound on I(z; y).
    ceiling: H(y) of the test labels, the largest possible value.
  """

  nats: float
  low: float
  high: float
  ceiling: float


def protocol(options) -> Protocol:
  """Returns the protocol that computes `label_information` of each task."""

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

    bounds, notes = found_or_noted(case.classes, measure, "I(z; y), nats")
    return bounds | notes

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
  """Returns H(y) minus a classifier's cross-entropy on test rows, in nats.

  In expectation this is below I(z; y). One gap is `KL(p(y | z) | q(y | z))`, by
  which the classifier's probabilities are wrong. The other is that the
  empirical entropy of test labels is biased downward.

  The classifier is multinomial logistic regression on standardized features. A
  tenth of the training rows selects its L2 weight. One half of the test rows
  gives the class frequencies and one factor on the log ratios
  `log q(y | z) / p(y)` for the other half. This calibration corrects
  overconfidence. If the classifier learned nothing that holds on test rows, the
  factor 0 removes its influence.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    classes: number of classes.
    iterations: of L-BFGS, full batch; it may stop earlier.
    seed: of the splits of training and of test rows, and of the bootstrap.

  Raises:
    NoProbe: there are fewer than 20 training rows, or all training rows or all
      test rows are of one class.
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
  _, model = min(fitted, key=lambda pair: pair[0])
  ratio = _log_ratios(model, test_x, prior)
  nats = np.empty(len(test_y))
  halves = np.array_split(rng.permutation(len(test_y)), 2)
  for rows, others in zip(halves, halves[::-1], strict=True):
    prior = _prior(test_y[others], classes)
    factor, _ = _calibrated(ratio[others], prior, test_y[others])
    nats[rows] = _nats(factor, ratio[rows], prior, test_y[rows])
  return _interval(nats, test_y, rng)


def _prior(labels, classes: int) -> np.ndarray:
  """Returns `log p(y)`, `[classes]`, with one added to each count."""
  # The added one keeps log p finite for a class that does not occur.
  return log_softmax(np.log(np.bincount(labels, minlength=classes) + 1))


def _calibrated(ratio, prior, labels) -> tuple[float, float]:
  """Returns the best factor on log ratios, and its mean cross-entropy."""
  best = minimize_scalar(
    lambda factor: _nats(factor, ratio, prior, labels).mean(),
    bounds=(0, SHARPEST),
    method="bounded",
  )
  return best.x, best.fun


def _log_ratios(model, x, prior) -> np.ndarray:
  """Returns `log q(y | z) / p(y)` up to a function of z, `[m, classes]`.

  It is 0 for classes without a training row.
  """
  logits = model.decision_function(x)
  if logits.ndim == 1:  # for two classes, scikit-learn gives one column
    logits = np.stack([np.zeros_like(logits), logits], axis=1)
  ratio = np.zeros((len(x), len(prior)))
  ratio[:, model.classes_] = log_softmax(logits, 1) - prior[model.classes_]
  return ratio


def _nats(factor, ratio, prior, labels) -> np.ndarray:
  """Returns the cross-entropy of each row, `[m]`."""
  log_q = log_softmax(prior + factor * ratio, axis=1)
  return -log_q[np.arange(len(labels)), labels]


def _interval(nats, labels, rng) -> LabelInformation:
  """Returns the bound and its bootstrap interval, from entropies `[m]`."""
  ceiling = entropy(np.bincount(labels))
  value = ceiling - nats.mean()
  draws = []
  for _ in range(DRAWS):
    rows = rng.integers(len(nats), size=len(nats))
    draws.append(entropy(np.bincount(labels[rows])) - nats[rows].mean())
  # Resampling adds another downward bias of the entropy, so the draws are
  # centered on the value.
  draws = np.array(draws) + value - np.mean(draws)
  low, high = np.percentile(draws, (2.5, 97.5))
  return LabelInformation(*map(float, (value, low, high, ceiling)))
