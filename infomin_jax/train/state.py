"""What a checkpoint holds: everything a run needs to go on, and no key."""

import dataclasses

import jax
import jax.numpy as jnp
import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """The state of training after `step` steps.

  The randomness of a step is `fold_in(key(seed), step)`, and the data of a
  step a function of (seed, step), so neither is here.
  """

  step: jax.Array
  params: optax.Params  # what the optimizer moves
  stats: dict  # everything else: batch statistics, queue, EMA copy
  opt_state: optax.OptState


def init_state(params, stats, tx: optax.GradientTransformation, ema: float):
  """The state before the first step.

  Args:
    params: initial parameters.
    stats: initial collections (`batch_stats`, `queue`).
    tx: the optimizer.
    ema: decay of the momentum copy in `stats["ema"]`; 0 for none.
  """
  if ema:
    copy = {"params": params, "batch_stats": stats.get("batch_stats", {})}
    # A copy: donated buffers must not be shared.
    stats = {**stats, "ema": jax.tree.map(jnp.copy, copy)}
  return TrainState(jnp.zeros((), jnp.int32), params, stats, tx.init(params))
