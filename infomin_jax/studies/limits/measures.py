"""Measures of an encoder: accuracy, conditioning, invertibility."""

import functools
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


def linear_accuracy(train_x, train_y, test_x, test_y, seed: int) -> float:
  """Returns the test accuracy of the paper's linear classifier, in [0, 1].

  Features are scaled to [0, 1] by the minimum and the maximum of the training
  set. Multinomial logistic regression with C = 10 is fitted by SAGA. Its
  tolerance of 0.1 stops it long before convergence, as in the paper.

  Args:
    train_x: features `[n, d]`.
    train_y: labels `[n]`.
    test_x: features `[m, d]`.
    test_y: labels `[m]`.
    seed: seed of the order of SAGA (unseeded in the paper).

  Raises:
    ValueError: features are not finite.

  References:
    Tschannen et al., 2020, section 3, footnote 4.
  """
  low = train_x.min(axis=0)
  span = train_x.max(axis=0) - low
  span[span == 0] = 1  # constant features become 0, not 0 / 0
  model = LogisticRegression(
    C=10, solver="saga", tol=0.1, max_iter=100, random_state=seed
  )
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit((train_x - low) / span, train_y)
  return float(model.score((test_x - low) / span, test_y))


def make_probe(encode: Callable, images, options) -> Callable:
  """Returns `(params, key, seed) -> ` linear accuracy of the features.

  Args:
    encode: `(params, images uint8 [b, h, w, c], key) -> [b, d]`.
    images: `image_halves.Images`.
    options: settings with the numbers `train_examples` and `test_examples`.
  """
  encode = jax.jit(encode)
  n, m = options["train_examples"], options["test_examples"]
  labels = images.train_labels[:n], images.test_labels[:m]

  def probe(params, key, seed: int) -> float:
    features = functools.partial(encode, params)
    first, second = jax.random.split(key)
    train = in_batches(features, images.train[:n], first)
    test = in_batches(features, images.test[:m], second)
    return linear_accuracy(train, labels[0], test, labels[1], seed)

  return probe


def make_inverse_error(encoder, images) -> Callable:
  """Returns `params -> ` max |inverse(forward(x)) - x| over 256 test images."""
  batch = jnp.asarray(images.test[:256])

  @jax.jit
  def error(params):
    x, _ = images.split(batch)
    flat = x.reshape(len(x), -1)
    z, _ = encoder.apply({"params": params}, flat, method="forward")
    back = encoder.apply({"params": params}, z, method="inverse")
    return jnp.max(jnp.abs(back - flat))

  return lambda params: float(error(params))


def in_batches(
  function: Callable, x: np.ndarray, key: jax.Array, size: int = 500
) -> np.ndarray:
  """Applies `function(rows, key)` in batches: `[n, ...] -> [n, d]`.

  Every batch has its own key. The last one is padded with zeros, so that only
  one shape is compiled.
  """
  out = []
  starts = range(0, len(x), size)
  for first, batch_key in zip(
    starts, jax.random.split(key, len(starts)), strict=True
  ):
    rows = x[first : first + size]
    padded = np.zeros((size, *x.shape[1:]), x.dtype)
    padded[: len(rows)] = rows
    out.append(np.asarray(function(padded, batch_key))[: len(rows)])
  return np.concatenate(out)


def log_condition_numbers(jacobians: np.ndarray) -> np.ndarray:
  """Returns log(largest / smallest singular value), `[n, d, d] -> [n]`."""
  values = np.linalg.svd(np.asarray(jacobians), compute_uv=False)
  # A singular Jacobian has the logarithm of 0. Records have None for infinity.
  with np.errstate(divide="ignore"):
    return np.log(values[:, 0]) - np.log(values[:, -1])


def jacobians(encode: Callable, images: jax.Array) -> jax.Array:
  """Returns d features / d pixels, `[n, h, w, c] -> [n, d, h w c]`."""

  def one(image):
    flat = image.reshape(-1)
    return jax.jacrev(
      lambda x: encode(x.reshape(1, *image.shape))[0].reshape(-1)
    )(flat)

  return jax.lax.map(one, images)


def percentiles(values: np.ndarray) -> dict[str, float]:
  """Returns the percentiles of the paper: 0, 20, ..., 100 %.

  The p-th percentile is entry `int(p / 100 * (n - 1))` of the sorted values.
  """
  ordered = np.sort(values)
  return {
    f"p{p}": float(ordered[int(p / 100 * (len(ordered) - 1))])
    for p in range(0, 101, 20)
  }


def mean_over(function: Callable) -> Callable:
  """Returns jitted `(params, data, rows [count, b]) -> ` mean over batches."""

  @jax.jit
  def run(params, data, rows):
    values = jax.lax.map(lambda row: function(params, data, row), rows)
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), values)

  return run
