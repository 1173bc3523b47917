"""Trains critics on pairs until held-out pairs stop gaining."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from infomin_jax.estimators import dv
from infomin_jax.estimators.scores import log_mean_exp


class Fit(NamedTuple):
  """Trained critics of one kind, whose mean is the critic.

  Attributes:
    params: parameters of all members, stacked along the first axis.
    nats: Donsker-Varadhan value of their mean on the held-out pairs.
    curve: that value after every `EVERY` steps.
  """

  params: dict
  nats: float
  curve: list[float]


EVERY = 50
# Scores of a network are clipped at this percentile of the scores of fitted
# pairs. Beyond it the network extrapolates, and one huge negative would spoil
# the partition.
HIGHEST = 99.95
_PATIENCE = 4
_SOME = 4096  # fitted pairs that give this percentile during training


def fit_critic(
  critic,
  fitted,
  held,
  *,
  steps: int,
  batch: int,
  rate: float,
  negatives: int,
  members: int,
  decay: float = 1e-2,
  seed: int,
) -> Fit:
  """Maximizes the Donsker-Varadhan bound, and returns the best moving average.

  The maximizer of this bound is the maximum-likelihood density ratio. Several
  critics are trained from different parameters with different batches. Their
  mean is nearer to that ratio than each of them. The parameters that are tested
  on `held` and returned are an exponential moving average, which varies less.

  Args:
    critic: a module of `networks` with parameters.
    fitted: `(x, y)` sides to train on.
    held: `(x, y)` sides that decide when to stop.
    steps: largest number of steps.
    batch: pairs per step; their other combinations are the negatives.
    rate: highest learning rate; the schedule ends at zero.
    negatives: how many held-out pairs are combined with each other.
    members: number of critics.
    decay: weight decay; each step takes a share `rate * decay` of the weights.
    seed: of the initial parameters and the batches.
  """
  init_key, key = jax.random.split(jax.random.key(seed))
  few = jax.tree.map(lambda a: a[:2], fitted)
  init_keys = jax.random.split(init_key, members)
  params = jax.vmap(lambda key: critic.init(key, *few))(init_keys)
  tx = _optimizer(steps, rate, decay)
  state = (params, jax.vmap(tx.init)(params), params)
  some = jax.tree.map(lambda a: a[:_SOME], fitted)
  value = functools.partial(
    _value, critic, held=held, some=some, negatives=negatives
  )
  best, bad = Fit(params, float(value(params)), []), 0
  curve = [best.nats]
  for i in range(steps // EVERY):
    keys = jax.random.split(jax.random.fold_in(key, i), (EVERY, members))
    state = _train(critic, steps, rate, decay, batch, state, fitted, keys)
    curve.append(float(value(state[2])))
    # This is false for NaN too.
    if curve[-1] > best.nats:
      best, bad = Fit(state[2], curve[-1], []), 0
    else:
      bad += 1
    if bad >= _PATIENCE:
      break
  return best._replace(curve=curve)


@functools.partial(jax.jit, static_argnums=(0, 1))
def scores(critic, method: str, params, sides) -> jax.Array:
  """Returns mean scores of all members: `pairs` `[b]`, `__call__` `[b, n]`."""
  each = jax.vmap(lambda p: critic.apply(p, *sides, method=method))(params)
  return jnp.mean(each, axis=0)


@functools.partial(jax.jit, static_argnums=0, static_argnames="negatives")
def _value(critic, params, held, some, negatives):
  highest = jnp.percentile(scores(critic, "pairs", params, some), HIGHEST)
  first = jax.tree.map(lambda a: a[:negatives], held)
  pairs = jnp.minimum(scores(critic, "pairs", params, held), highest)
  matrix = jnp.minimum(scores(critic, "__call__", params, first), highest)
  return jnp.mean(pairs) - log_mean_exp(matrix)


def _optimizer(steps, rate, decay):
  schedule = optax.warmup_cosine_decay_schedule(0.0, rate, EVERY, steps)
  return optax.chain(
    optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=decay)
  )


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _train(critic, steps, rate, decay, batch, state, fitted, keys):
  # Made from numbers: an optimizer as a static argument would be a new one at
  # each fit, and compile again.
  tx = _optimizer(steps, rate, decay)
  count = len(jax.tree.leaves(fitted)[0])

  def loss(params, some):
    return -dv(critic.apply(params, *some))

  def step(state, key):
    params, opt_state, average = state
    rows = jax.random.randint(key, (batch,), 0, count)
    some = jax.tree.map(lambda a: a[rows], fitted)
    grads = jax.grad(loss)(params, some)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    average = optax.incremental_update(params, average, 0.02)
    return (params, opt_state, average), None

  return jax.lax.scan(
    lambda state, some: (jax.vmap(lambda *a: step(*a)[0])(state, some), None),
    state,
    keys,
  )[0]
