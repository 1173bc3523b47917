"""E6: bounds on two correlated numbers with dependent negatives."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.critics import Concatenated
from infomin_jax.estimators import infonce, nwj
from infomin_jax.studies.limits import measures
from infomin_jax.studies.limits.modules import count, glorot
from infomin_jax.studies.limits.problem import Problem, descend, start
from infomin_jax.studies.limits.runs import Variant

BOUNDS = {"infonce": infonce, "nwj": nwj}
SHARED = np.array([[1, -0.5], [-0.5, 1]])  # covariance of Z
OWN = np.array([[1, 0.9], [0.9, 1]])  # covariance of e_i
# I(X; Y) in nats. X and Y have variance 2 and covariance 0.4.
TRUE_MI = float(-0.5 * np.log(1 - 0.2**2))


def pairs(
  key: jax.Array, size: int, dependent: bool
) -> tuple[jax.Array, jax.Array]:
  """Draws a batch of pairs `(X_i, Y_i) = Z + e_i`, `[b, 1]` each.

  Args:
    key: key of the batch.
    size: batch size b.
    dependent: whether all pairs of the batch have the same Z. Otherwise each
      pair has its own Z. Every single pair has the same distribution in both
      cases.

  References:
    Tschannen et al., 2020, appendix E.
  """
  shared, own = jax.random.split(key)
  z = jax.random.normal(shared, (1 if dependent else size, 2))
  e = jax.random.normal(own, (size, 2))
  z = jnp.broadcast_to(z @ np.linalg.cholesky(SHARED).T, (size, 2))
  both = (z + e @ np.linalg.cholesky(OWN).T).astype(jnp.float32)
  return both[:, :1], both[:, 1:]


def make_problem(variant: Variant) -> Problem:
  """Returns a problem that trains a critic on raw numbers, without encoders.

  Every step draws a new batch.
  """
  options = variant.settings
  size, bound = options["batch_size"], BOUNDS[variant.objective]
  critic = Concatenated((10,) * 5, block=size)
  tx = optax.adam(options["lr"])

  def value(params, key):
    x, y = pairs(key, size, variant.dependent)
    scores: Any = critic.apply({"params": params}, x, y)
    return bound(scores)

  def loss(params, key):
    nats = value(params, key)
    return -nats, nats

  def init_params(seed):
    first, second = jax.random.split(jax.random.key(seed))
    one = jnp.zeros((2, 1))
    params = critic.init(first, one, one)["params"]
    return glorot(second, params, ("Dense_0", "Dense_1"))

  move = descend(loss, tx)

  def step(state, data, inputs):
    del data
    key = jax.random.fold_in(jax.random.key(inputs["seed"]), inputs["step"])
    return move(state, key)

  def inputs(seed, first, stop):
    return {
      "step": np.arange(first, stop, dtype=np.int32),
      "seed": np.full(stop - first, seed, np.int32),
    }

  mean_value = measures.mean_over(lambda params, data, key: value(params, key))

  def look(state, seed, step, values):
    metrics = {}
    if len(values):
      metrics["bound_train"] = float(np.mean(values))
    if step == options["steps"]:
      # New batches: the critic is not trained on any of them.
      key = jax.random.fold_in(jax.random.key(seed), 2**30)
      keys = jax.random.split(key, options["fresh_batches"])
      metrics["bound_test"] = float(mean_value(state.params, None, keys))
    return metrics

  params = jax.eval_shape(init_params, 0)
  return Problem(
    init=lambda seed: start(init_params(seed), tx),
    step=step,
    inputs=inputs,
    evaluate=look,
    about={"parameters": {"critic": count(params)}},
  )
