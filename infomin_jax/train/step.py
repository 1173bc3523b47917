"""The training step: one jitted function on global arrays."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.objectives.encoding import parts_of
from infomin_jax.train.state import TrainState


def make_train_step(
  objective: Callable,
  tx: optax.GradientTransformation,
  *,
  seed: int,
  ema: float = 0.0,
  accumulate: int = 1,
) -> Callable:
  """Returns jitted `(state, batch, resident) -> (state, metrics)`.

  `batch` is global: its arrays are sharded over the mesh's data axis, so
  negatives and batch statistics come from all devices and `objective` needs no
  collectives. A batch that has only an `index` is looked up in `resident`, a
  data set kept on the device (an empty dict otherwise). `state` is donated.

  A step whose loss or gradient is not finite changes nothing but the sign of
  `state.step`: that step, counted from 1, is `-state.step`, and all that follow
  leave the state as it was before it.

  Args:
    objective: `(params, stats, batch, key) -> (loss, (stats, metrics))`.
    tx: the optimizer.
    seed: the run's seed; step s uses `fold_in(key(seed), s)`.
    ema: decay of the momentum copy, updated after the optimizer; 0 for none.
    accumulate: parts into which the batch is cut, one after another, gradients
      averaged. Negatives and batch statistics are those of a part.
  """

  # The seed is an argument, so that seeds share one compiled program.
  @functools.partial(jax.jit, donate_argnames="state")
  def train_step(state: TrainState, batch, resident, seed):
    batch = take(resident, batch)
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    if accumulate == 1:
      grads, stats, metrics = gradients(
        objective, state.params, state.stats, batch, key
      )
    else:
      grads, stats, metrics = _accumulated(
        objective, state.params, state.stats, batch, key, accumulate
      )
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    if ema:
      fresh = {"params": params, "batch_stats": stats.get("batch_stats", {})}
      stats = stats | {
        "ema": optax.incremental_update(fresh, stats["ema"], 1 - ema)
      }
    metrics = metrics | {"grad_norm": optax.tree.norm(grads)}
    new = TrainState(state.step + 1, params, stats, opt_state)
    return _unless_broken(new, state, metrics), metrics

  return functools.partial(train_step, seed=np.uint32(seed))


def _unless_broken(new: TrainState, old: TrainState, metrics) -> TrainState:
  """The new state; or the old one, held, if this step broke or one before."""
  finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["grad_norm"])
  held = dataclasses.replace(old, step=jnp.minimum(old.step, -old.step - 1))
  keep = finite & (old.step >= 0)
  return jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, held)


def take(resident: dict, batch: dict) -> dict:
  """The batch itself, or the rows of `resident` that its `index` names."""
  if not resident:
    return batch
  return {name: x[batch["index"]] for name, x in resident.items()}


def gradients(objective, params, stats, batch, key):
  """Returns `(gradients, new stats, metrics)` of one batch."""
  grads, (stats, metrics) = jax.grad(objective, has_aux=True)(
    params, stats, batch, key
  )
  return grads, stats, metrics


def _accumulated(objective, params, stats, batch, key, parts):
  """Mean gradients and metrics over `parts` slices of the batch."""

  def body(carry, part):
    total, stats = carry
    i, piece = part
    grads, stats, metrics = gradients(
      objective, params, stats, piece, jax.random.fold_in(key, i)
    )
    return (jax.tree.map(jnp.add, total, grads), stats), metrics

  zeros = jax.tree.map(jnp.zeros_like, params)
  (total, stats), metrics = jax.lax.scan(
    body, (zeros, stats), (jnp.arange(parts), parts_of(batch, parts))
  )
  mean = jax.tree.map(lambda x: x / parts, total)
  return mean, stats, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)
