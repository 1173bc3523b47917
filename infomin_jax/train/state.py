"""The state of training: everything that a checkpoint holds."""

import dataclasses

import jax
import jax.numpy as jnp
import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """The state of training after `step` steps.

  It holds no random key and no position in the data. The key of a step is
  `fold_in(key(seed), step)`, and its batch is a function of (seed, step).
  """

  step: jax.Array
  params: optax.Params  # what the optimizer moves
  stats: dict  # everything else: batch statistics, queue, EMA copy
  opt_state: optax.OptState


def init_state(params, stats, tx: optax.GradientTransformation, ema: float):
  """Returns the state before the first step.

  Args:
    params: initial parameters.
    stats: initial collections (`batch_stats`, `queue`).
    tx: the optimizer.
    ema: decay of the momentum copy in `stats["ema"]`; 0 for no copy.
  """
  if ema:
    copy = {"params": params, "batch_stats": stats.get("batch_stats", {})}
    # Copied: the train step donates the state, and one buffer cannot be
    # donated twice.
    stats = {**stats, "ema": jax.tree.map(jnp.copy, copy)}
  return TrainState(jnp.zeros((), jnp.int32), params, stats, tx.init(params))
