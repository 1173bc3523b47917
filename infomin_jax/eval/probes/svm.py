"""Linear support vector machines on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from infomin_jax.eval.probes.shares import NoProbe

FITS = 5


def svm_accuracies(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  iterations: int,
  seed: int = 0,
) -> np.ndarray:
  """Returns the shares of labels `[m]` that `svm_guesses` gets right, `[5]`."""
  guessed = svm_guesses(
    train_features,
    train_labels,
    test_features,
    iterations=iterations,
    seed=seed,
  )
  return np.mean(guessed == np.asarray(test_labels)[None], axis=1)


def svm_guesses(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  *,
  iterations: int,
  seed: int = 0,
) -> np.ndarray:
  """Returns test classes by five linear SVMs, `[5, m]`.

  scikit-learn's LinearSVC with its defaults of 2018, on features as they are:
  one class against the rest, C = 1, squared hinge loss, solved in the dual. The
  five differ in the order in which the solver visits the rows, so they differ
  only as far as it is from converged.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    iterations: of the solver, at most (published: 1000).
    seed: of the orders.

  Raises:
    NoProbe: the training rows are of one class.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 4, which says "hinge loss"; the squared one is the default that its
    authors' older code uses.
  """
  if len(np.unique(train_labels)) < 2:
    raise NoProbe("a support vector machine needs 2 classes to fit")
  found = []
  for i in range(FITS):
    model = LinearSVC(
      dual=True,
      max_iter=iterations,
      random_state=np.random.RandomState([seed, i]),
    )
    with warnings.catch_warnings():
      # The number of iterations is part of the protocol.
      warnings.simplefilter("ignore", ConvergenceWarning)
      warnings.filterwarnings("ignore", "The number of unique classes")
      model.fit(train_features, train_labels)
    found.append(model.predict(test_features))
  return np.array(found)
