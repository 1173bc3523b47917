"""What scikit-learn users expect: a transformer, and a score of features."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from infomin_jax.mi import estimate
from infomin_jax.pretrained.load import load


class Embedder(TransformerMixin, BaseEstimator):
  """Features of images by a run's encoder, `[n, h, w, c] -> [n, d]`.

  Its parameters come from `infomin train`: `fit` learns nothing and reads them.

  Args:
    workdir: of the run.
    tap: which features (default: the first of the run's
      `config.evaluate.taps`).
    batch_size: images that are encoded at once.
  """

  def __init__(self, workdir: str, tap: str = "", batch_size: int = 256):
    self.workdir = workdir
    self.tap = tap
    self.batch_size = batch_size

  def fit(self, X: Any = None, y: Any = None) -> "Embedder":
    """Reads the run; the images and labels are not looked at."""
    del X, y
    self.encode_ = load(self.workdir, self.tap, self.batch_size)
    return self

  def transform(self, X: Any) -> np.ndarray:
    """Features of uint8 images or floats in [0, 1], float32 `[n, d]`."""
    check_is_fitted(self)
    return self.encode_(X)


def mutual_information(X: Any, y: Any, *, random_state: int = 0) -> np.ndarray:
  """Mutual information of each column with the target, in nats.

  Takes the place of scikit-learn's `mutual_info_regression` and
  `mutual_info_classif`, such as in `SelectKBest(mutual_information)`.

  Args:
    X: `[n, d]`; integers of few values are classes.
    y: `[n]`, classes or numbers.
    random_state: of folds and fits.

  Returns:
    float64 `[d]`, none below 0.
  """
  X, y = np.asarray(X), np.asarray(y)
  if X.ndim == 1:
    X = X[:, None]
  found = [estimate(x, y, seed=random_state).nats for x in X.T]
  return np.maximum(np.array(found), 0.0)
