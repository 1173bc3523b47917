"""A linear classifier on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from infomin_jax.errors import UserError

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
  """Test accuracy of multinomial logistic regression, in [0, 1].

  Features are standardised with the training set's mean and std. The loss is
  mean cross-entropy + L2 / 2 |kernel|^2; the L2 weight is the best of `L2` on
  a tenth of the training set, and the classifier is then fitted to all of it.
  The test set is looked at once.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    iterations: of L-BFGS, full batch; it may stop earlier.
    seed: of the split into fitted and selecting rows.

  Raises:
    UserError: fewer than 20 training rows, or all of one class.
  """
  check_rows(train_labels)
  x, test_x = standardised(train_features, test_features)
  y = np.asarray(train_labels)
  order = np.random.default_rng(seed).permutation(len(x))
  selecting, fitting = order[: len(x) // 10], order[len(x) // 10 :]
  scores = [
    fit_logistic(x[fitting], y[fitting], l2, iterations).score(
      x[selecting], y[selecting]
    )
    for l2 in L2
  ]
  model = fit_logistic(x, y, L2[int(np.argmax(scores))], iterations)
  return float(model.score(test_x, test_labels))


def standardised(
  train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Both by the mean and std of the training features, `[n, d]`, `[m, d]`."""
  mean, std = train.mean(0), np.maximum(train.std(0), 1e-6)
  return (train - mean) / std, (test - mean) / std


def check_rows(labels: np.ndarray) -> None:
  """UserError if training labels `[n]` are too few to select a probe by."""
  if len(labels) < 20 or len(np.unique(labels)) < 2:
    raise UserError(
      "A linear probe needs at least 20 training images of at least 2 classes; "
      f"got {len(labels)} of {len(np.unique(labels))}."
    )


def fit_logistic(x, y, l2: float, iterations: int) -> LogisticRegression:
  """Multinomial logistic regression; mean cross-entropy + l2 / 2 |kernel|^2.

  Args:
    x: `[n, d]`.
    y: `[n]`.
    l2: the weight.
    iterations: of L-BFGS, at most.
  """
  model = LogisticRegression(C=1 / (l2 * len(x)), max_iter=iterations)
  with warnings.catch_warnings():
    # The number of iterations is part of the protocol.
    warnings.simplefilter("ignore", ConvergenceWarning)
    return model.fit(x, y)
