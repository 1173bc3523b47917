"""Linear support vector machines on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from infomin_jax.eval.probes.protocol import Protocol, each_task
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

  The model is scikit-learn's LinearSVC with its defaults of 2018: one class
  against the rest, C = 1, squared hinge loss, solved in the dual. Features are
  not scaled. The five fits differ in the order in which the solver visits the
  rows, so they agree if the solver has converged.

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
    table 4. The paper says "hinge loss"; the authors' older code uses
    LinearSVC's default, the squared one.
  """
  if len(np.unique(train_labels)) < 2:
    raise NoProbe("a support vector machine needs 2 classes to fit")
  predictions = []
  for i in range(FITS):
    model = LinearSVC(
      dual=True,
      max_iter=iterations,
      random_state=np.random.RandomState([seed, i]),
    )
    with warnings.catch_warnings():
      # The number of iterations is part of the protocol, so stopping early is
      # not a fault.
      warnings.simplefilter("ignore", ConvergenceWarning)
      warnings.filterwarnings("ignore", "The number of unique classes")
      model.fit(train_features, train_labels)
    predictions.append(model.predict(test_features))
  return np.array(predictions)


def protocol(options) -> Protocol:
  """Returns the probe of linear support vector machines."""

  def measure(*split, classes, seed):
    del classes
    return svm_guesses(*split, iterations=options.iterations, seed=seed)

  name = (
    f"svm (LinearSVC, C=1, squared hinge, dual, {options.iterations} "
    f"iterations, mean of {FITS} fits)"
  )
  return Protocol(name, each_task(measure))
