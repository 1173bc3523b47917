"""Linear support vector machines on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

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
  """Test accuracies of five linear SVMs, `[5]` in [0, 1].

  scikit-learn's LinearSVC with its defaults of 2018, on features as they are:
  one class against the rest, C = 1, squared hinge loss, solved in the dual. The
  five differ in the order in which the solver visits the rows, so they differ
  only as far as it is from converged.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    iterations: of the solver, at the most (published: 1000).
    seed: of the orders.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 4, which says "hinge loss"; the squared one is the default that its
    authors' older code uses.
  """
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
      model.fit(train_features, train_labels)
    found.append(model.score(test_features, test_labels))
  return np.array(found)
