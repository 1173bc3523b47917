"""The training step: one jitted function of global arrays."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.objectives.encoding import slices_of
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
  collectives. If the data set is `resident`, a dict of arrays on the device,
  the batch holds only the `index` of its rows. `state` is donated.

  A step whose loss or gradient is not finite leaves the state unchanged, except
  that `state.step` becomes minus the number of that step, counted from 1. All
  later steps also leave the state unchanged.

  Args:
    objective: `(params, stats, batch, key) -> (loss, (stats, metrics))`.
    tx: the optimizer.
    seed: the run's seed; step s uses `fold_in(key(seed), s)`.
    ema: decay of the momentum copy, updated after the optimizer; 0 for none.
    accumulate: number of slices of the batch, processed one after another;
      their gradients are averaged. Negatives and batch statistics come from one
      slice only.
  """

  # The seed is a traced argument, so that runs of several seeds share one
  # compiled program.
  @functools.partial(jax.jit, donate_argnames="state")
  def train_step(state: TrainState, batch, resident, seed):
    batch = take(resident, batch)
    # A function of (seed, step) alone: a resumed run draws the same numbers
    # without a key in its checkpoint.
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
  """Returns the new state, or the old one if this or an earlier step broke."""
  # On the device: metrics are read only at log lines, so when the host sees
  # the NaN, the state before it would be lost. The norm is not finite if any
  # element of the gradient is not.
  finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["grad_norm"])
  # Step s >= 0 becomes -(s + 1); a negative step stays as it is.
  held = dataclasses.replace(old, step=jnp.minimum(old.step, -old.step - 1))
  keep = finite & (old.step >= 0)
  return jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, held)


def take(resident: dict, batch: dict) -> dict:
  """Returns the batch, or the rows of `resident` given by its `index`."""
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
  """Returns mean gradients and metrics over `parts` slices of the batch."""

  # A scan, so that only one slice's activations are in memory at a time. The
  # statistics are carried: each slice updates those of the slice before it.
  def body(carry, part):
    total, stats = carry
    i, piece = part
    grads, stats, metrics = gradients(
      objective, params, stats, piece, jax.random.fold_in(key, i)
    )
    return (jax.tree.map(jnp.add, total, grads), stats), metrics

  zeros = jax.tree.map(jnp.zeros_like, params)
  (total, stats), metrics = jax.lax.scan(
    body, (zeros, stats), (jnp.arange(parts), slices_of(batch, parts))
  )
  mean = jax.tree.map(lambda x: x / parts, total)
  return mean, stats, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)
