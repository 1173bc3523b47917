"""Training a critic on pairs until held-out pairs stop gaining."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from infomin_jax.estimators import dv
from infomin_jax.estimators.scores import log_mean_exp


class Fit(NamedTuple):
  """A trained critic.

  Attributes:
    params: of the critic.
    nats: its Donsker-Varadhan value on the held-out pairs.
    curve: that value after every `EVERY` steps.
  """

  params: dict
  nats: float
  curve: list[float]


EVERY = 50
# Scores of a network end at this percentile of the fitted pairs' scores: beyond
# it extrapolates, and one huge negative would spoil the partition.
HIGHEST = 99.95
_PATIENCE = 4
_SOME = 4096  # fitted pairs that give this percentile while training


def fit_critic(
  critic,
  fitted,
  held,
  *,
  steps: int,
  batch: int,
  rate: float,
  negatives: int,
  seed: int,
) -> Fit:
  """Maximises the Donsker-Varadhan bound; keeps the best moving average.

  The maximiser of this bound is the maximum-likelihood density ratio. What is
  tested on `held` and returned is the exponential moving average of the
  parameters, which varies less.

  Args:
    critic: of `networks`, with parameters.
    fitted: `(x, y)` sides to train on.
    held: `(x, y)` sides that tell when to stop.
    steps: at the most.
    batch: pairs a step; its other combinations are the negatives.
    rate: the highest learning rate; it ends at zero.
    negatives: how many held-out pairs are combined with each other.
    seed: of the initial parameters and the batches.
  """
  init_key, key = jax.random.split(jax.random.key(seed))
  few = jax.tree.map(lambda a: a[:2], fitted)
  params = critic.init(init_key, *few)
  tx = _optimizer(steps, rate)
  state = (params, tx.init(params), params)
  some = jax.tree.map(lambda a: a[:_SOME], fitted)
  value = functools.partial(
    _value, critic, held=held, some=some, negatives=negatives
  )
  best, bad = Fit(params, float(value(params)), []), 0
  curve = [best.nats]
  for i in range(steps // EVERY):
    step_key = jax.random.fold_in(key, i)
    state = _train(critic, steps, rate, batch, state, fitted, step_key)
    curve.append(float(value(state[2])))
    # Also false for nan.
    if curve[-1] > best.nats:
      best, bad = Fit(state[2], curve[-1], []), 0
    else:
      bad += 1
    if bad >= _PATIENCE:
      break
  return best._replace(curve=curve)


@functools.partial(jax.jit, static_argnums=0, static_argnames="negatives")
def _value(critic, params, held, some, negatives):
  known = critic.apply(params, *some, method="pairs")
  highest = jnp.percentile(known, HIGHEST)
  pairs = critic.apply(params, *held, method="pairs")
  matrix = critic.apply(params, *jax.tree.map(lambda a: a[:negatives], held))
  pairs, matrix = (jnp.minimum(a, highest) for a in (pairs, matrix))
  return jnp.mean(pairs) - log_mean_exp(matrix)


def _optimizer(steps, rate):
  schedule = optax.warmup_cosine_decay_schedule(0.0, rate, EVERY, steps)
  return optax.chain(
    optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-2)
  )


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _train(critic, steps, rate, batch, state, fitted, key):
  tx = _optimizer(steps, rate)
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

  return jax.lax.scan(step, state, jax.random.split(key, EVERY))[0]
