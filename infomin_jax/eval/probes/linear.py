"""A linear classifier on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from infomin_jax.eval.probes.protocol import Protocol, each_task
from infomin_jax.eval.probes.shares import NoProbe

# The L2 weights that the selection split chooses from.
L2 = (1e-4, 1e-3, 1e-2)


def linear_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  iterations: int,
  seed: int = 0,
) -> float:
  """Returns the share of test labels `[m]` that `linear_guesses` gets right."""
  guessed = linear_guesses(
    train_features,
    train_labels,
    test_features,
    iterations=iterations,
    seed=seed,
  )
  return float(np.mean(guessed == test_labels))


def linear_guesses(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  *,
  iterations: int,
  seed: int = 0,
) -> np.ndarray:
  """Returns test classes by multinomial logistic regression, `[m]`.

  Features are standardized with the training set's mean and std. The loss is
  mean cross-entropy + L2 / 2 |kernel|^2. A tenth of the training set selects
  the L2 weight from `L2`. The classifier is then fitted to the whole set.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    iterations: of L-BFGS, full batch; it may stop earlier.
    seed: of the split into fitted and selecting rows.

  Raises:
    NoProbe: fewer than 20 training rows, or all of one class.
  """
  check_rows(train_labels)
  x, test_x = standardized(train_features, test_features)
  y = np.asarray(train_labels)
  selecting, fitting = selection_split(y, np.random.default_rng(seed))
  scores = [
    fit_logistic(x[fitting], y[fitting], l2, iterations).score(
      x[selecting], y[selecting]
    )
    for l2 in L2
  ]
  model = fit_logistic(x, y, L2[int(np.argmax(scores))], iterations)
  return model.predict(test_x)


def selection_split(
  labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Returns a random tenth of the rows, for selection, and the rest, to fit.

  If all of the rest are of one class, rows of other classes in the tenth are
  added to it.

  Args:
    labels: `[n]`, of 2 classes or more.
    rng: draws the order of the rows.
  """
  order = rng.permutation(len(labels))
  selecting, fitting = order[: len(labels) // 10], order[len(labels) // 10 :]
  only = labels[fitting[0]]
  if (labels[fitting] == only).all():
    rare = selecting[labels[selecting] != only]
    fitting = np.concatenate([fitting, rare])
  return selecting, fitting


def standardized(
  train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Standardizes `[n, d]` and `[m, d]` by the training set's mean and std."""
  mean, std = train.mean(0), np.maximum(train.std(0), 1e-6)
  return (train - mean) / std, (test - mean) / std


def check_rows(labels: np.ndarray) -> None:
  """Checks that training labels `[n]` are enough to select a probe.

  Raises:
    NoProbe: there are fewer than 20 labels, or fewer than 2 classes.
  """
  if len(labels) < 20 or len(np.unique(labels)) < 2:
    raise NoProbe(
      "A linear probe needs at least 20 training images of at least 2 classes; "
      f"got {len(labels)} of {len(np.unique(labels))}."
    )


def fit_logistic(x, y, l2: float, iterations: int) -> LogisticRegression:
  """Fits multinomial logistic regression.

  The loss is mean cross-entropy + l2 / 2 |kernel|^2.

  Args:
    x: `[n, d]`.
    y: `[n]`.
    l2: weight of the penalty.
    iterations: of L-BFGS, at most.
  """
  # scikit-learn weights the sum of cross-entropies by C, hence 1 / (l2 n).
  model = LogisticRegression(C=1 / (l2 * len(x)), max_iter=iterations)
  with warnings.catch_warnings():
    # The number of iterations is part of the protocol, so stopping early is
    # not a fault.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "The number of unique classes")
    return model.fit(x, y)


def protocol(options) -> Protocol:
  """Returns the probe of logistic regression."""

  def measure(*split, classes, seed):
    del classes
    return [linear_guesses(*split, iterations=options.iterations, seed=seed)]

  name = f"linear (standardised, L-BFGS {options.iterations}, L2 selected)"
  return Protocol(name, each_task(measure))
