"""For scikit-learn: a transformer, and a score for feature selection."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from infomin_jax.mi import estimate
from infomin_jax.pretrained.load import load


class Embedder(TransformerMixin, BaseEstimator):
  """Features of images from the encoder of a run, `[n, h, w, c] -> [n, d]`.

  The parameters come from `infomin train`: `fit` reads them and trains nothing.

  Args:
    workdir: folder of the run.
    tap: which features (default: the first of the `config.evaluate.taps` of the
      run).
    batch_size: images that are encoded at a time.
    dtype: in which the encoder computes, `float32` or `bfloat16` (default: that
      of the run).
  """

  def __init__(
    self, workdir: str, tap: str = "", batch_size: int = 256, dtype: str = ""
  ):
    self.workdir = workdir
    self.tap = tap
    self.batch_size = batch_size
    self.dtype = dtype

  def fit(self, X: Any = None, y: Any = None) -> "Embedder":
    """Reads the run; the images and labels are ignored."""
    del X, y
    self.encode_ = load(self.workdir, self.tap, self.batch_size, self.dtype)
    return self

  def transform(self, X: Any) -> np.ndarray:
    """Returns features of uint8 or [0, 1] float images, float32 `[n, d]`."""
    check_is_fitted(self)
    return self.encode_(X)


def mutual_information(X: Any, y: Any, *, random_state: int = 0) -> np.ndarray:
  """Returns mutual information of each column with the target, in nats.

  It replaces `mutual_info_regression` and `mutual_info_classif` of
  scikit-learn, as in `SelectKBest(mutual_information)`.

  Args:
    X: `[n, d]`; integers of few values are classes.
    y: `[n]`, classes or numbers.
    random_state: seed of folds and fits.

  Returns:
    float64 `[d]`, each 0 or more.

  Example:
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(3, size=(300, 2))
    >>> nats = mutual_information(X, y=X[:, 1])
    >>> bool(nats[0] < 0.02), bool(abs(nats[1] - np.log(3)) < 0.02)
    (True, True)
  """
  X, y = np.asarray(X), np.asarray(y)
  if X.ndim == 1:
    X = X[:, None]
  values = [estimate(x, y, seed=random_state).nats for x in X.T]
  return np.maximum(np.array(values), 0.0)
