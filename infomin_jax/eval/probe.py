"""A linear classifier on frozen features."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

# The L2 weights that the selection split chooses from.
L2 = (1e-5, 1e-4, 1e-3, 1e-2)


def linear_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  classes: int,
  iterations: int,
  seed: int = 0,
) -> float:
  """Test accuracy of multinomial logistic regression, in [0, 1].

  Features are standardised with the training set's mean and std. The L2 weight
  is the best of `L2` on a tenth of the training set; the classifier is then
  fitted to all of it. The test set is looked at once.

  Args:
    train_features: `[n, d]`.
    train_labels: `[n]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    classes: number of classes.
    iterations: of L-BFGS, full batch.
    seed: of the split into fitted and selecting rows.
  """
  mean, std = train_features.mean(0), train_features.std(0)
  scale = lambda x: jnp.asarray((x - mean) / np.maximum(std, 1e-6))
  x, y = scale(train_features), jnp.asarray(train_labels)
  order = np.random.default_rng(seed).permutation(len(x))
  selecting, fitting = order[: len(x) // 10], order[len(x) // 10 :]
  best = max(
    L2,
    key=lambda l2: _accuracy(
      _fit(x[fitting], y[fitting], l2, classes, iterations),
      x[selecting],
      y[selecting],
    ),
  )
  weights = _fit(x, y, best, classes, iterations)
  return _accuracy(weights, scale(test_features), jnp.asarray(test_labels))


def _accuracy(weights, x, y) -> float:
  return float(jnp.mean(jnp.argmax(_logits(weights, x), axis=1) == y))


def _logits(weights, x):
  return x @ weights["kernel"] + weights["bias"][None]


@functools.partial(jax.jit, static_argnames=("classes", "iterations"))
def _fit(x, y, l2, classes, iterations):
  """Minimises mean cross-entropy + l2 / 2 |kernel|^2."""

  def loss(weights):
    entropy = optax.softmax_cross_entropy_with_integer_labels(
      _logits(weights, x), y
    )
    return jnp.mean(entropy) + l2 / 2 * jnp.sum(weights["kernel"] ** 2)

  solver = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss)

  def body(_, carry):
    weights, state = carry
    value, grad = value_and_grad(weights, state=state)
    updates, state = solver.update(
      grad, state, weights, value=value, grad=grad, value_fn=loss
    )
    return optax.apply_updates(weights, updates), state

  zero = {
    "kernel": jnp.zeros((x.shape[1], classes)),
    "bias": jnp.zeros(classes),
  }
  weights, _ = jax.lax.fori_loop(
    0, iterations, body, (zero, solver.init(zero))
  )
  return weights
