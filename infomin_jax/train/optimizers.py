"""Optimizers and schedules by name, and the parameters that decay."""

import functools
from collections.abc import Mapping

import jax
import optax

from infomin_jax.errors import UserError, build, lookup

DECAYED = {
  # Leaves out vectors: biases, and the scales of norm layers.
  "kernels": lambda params: jax.tree.map(lambda x: x.ndim > 1, params),
  "all": lambda params: jax.tree.map(lambda x: True, params),
}


def adam(learning_rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8):
  """Adam without weight decay."""
  return optax.adam(learning_rate, b1, b2, eps)


def adamw(
  learning_rate,
  weight_decay: float,
  decayed: str = "kernels",
  b1: float = 0.9,
  b2: float = 0.999,
):
  """Adam with decoupled weight decay on the parameters named by `decayed`."""
  mask = lookup("set of decayed parameters", decayed, DECAYED)
  return optax.adamw(
    learning_rate, b1, b2, weight_decay=weight_decay, mask=mask
  )


def sgd(
  learning_rate,
  weight_decay: float = 0.0,
  decayed: str = "all",
  momentum: float = 0.9,
  nesterov: bool = False,
):
  """SGD with momentum; the decay is added to the gradient, as PyTorch does."""
  mask = lookup("set of decayed parameters", decayed, DECAYED)
  return optax.chain(
    optax.add_decayed_weights(weight_decay, mask),
    optax.sgd(learning_rate, momentum, nesterov),
  )


def lars(
  learning_rate,
  weight_decay: float,
  decayed: str = "kernels",
  momentum: float = 0.9,
  trust_coefficient: float = 0.001,
):
  """LARS for large batches.

  With `decayed="kernels"`, vectors get neither weight decay nor a trust ratio.

  References:
    You et al., `Large Batch Training of Convolutional Networks
    <https://arxiv.org/abs/1708.03888>`_, 2017.
  """
  mask = lookup("set of decayed parameters", decayed, DECAYED)
  return optax.lars(
    learning_rate,
    weight_decay,
    weight_decay_mask=mask,
    trust_coefficient=trust_coefficient,
    trust_ratio_mask=mask,
    momentum=momentum,
  )


def none(learning_rate):
  """Updates nothing, for a generator that another run has trained."""
  del learning_rate
  return optax.set_to_zero()


def constant(steps: int, peak: float, warmup: int = 0):
  """`peak`, after a linear warm-up from 0 over `warmup` steps."""
  del steps
  return _warm(optax.constant_schedule(peak), peak, warmup)


def cosine(steps: int, peak: float, warmup: int = 0, floor: float = 0.0):
  """Half a cosine from `peak` to `floor * peak` at the last step."""
  decay = optax.cosine_decay_schedule(peak, max(steps - warmup, 1), floor)
  return _warm(decay, peak, warmup)


def step(
  steps: int,
  peak: float,
  at: tuple[float, ...],
  factor: float = 0.1,
  warmup: int = 0,
):
  """`peak`, multiplied by `factor` at each fraction of the run in `at`.

  It rises linearly from 0 over the first `warmup` steps.
  """
  # `join_schedules` restarts the count of steps after the warm-up.
  drops = {round(fraction * steps) - warmup: factor for fraction in at}
  return _warm(optax.piecewise_constant_schedule(peak, drops), peak, warmup)


def _warm(schedule, peak, warmup):
  if not warmup:
    return schedule
  rise = optax.linear_schedule(0.0, peak, warmup)
  return optax.join_schedules([rise, schedule], [warmup])


OPTIMIZERS = {
  "adam": adam,
  "adamw": adamw,
  "lars": lars,
  "none": none,
  "sgd": sgd,
}
SCHEDULES = {"constant": constant, "cosine": cosine, "step": step}


def make_optimizer(
  optimizer: Mapping,
  schedule: Mapping,
  steps: int,
  adversaries: Mapping[str, Mapping] | None = None,
):
  """Returns the gradient transformation, and the schedule `step -> rate`.

  Args:
    optimizer: `config.optimizer`, a name and arguments. Gradients are clipped
      to the global norm `clip` (0 for no clipping).
    schedule: `config.schedule`, a name and arguments.
    steps: length of the run.
    adversaries: options of a discriminator's optimizer by name of its term, or
      of the generator's optimizer under `encoder`. They are a name, arguments,
      `peak` (its constant learning rate) and `every` (default 1). With `every`
      k, one update is made every k steps, by the mean of their gradients.
  """
  rate = build("schedule", schedule, SCHEDULES, steps=steps)
  options = dict(optimizer)
  clip = options.pop("clip", 0.0)
  if clip < 0:
    raise UserError(
      f"config.optimizer.clip is {clip}: expected a norm, or 0 for no clipping."
    )
  tx = build("optimizer", options, OPTIMIZERS, learning_rate=rate)
  # The norm is that of the parameters that `tx` moves, without adversaries.
  if clip:
    tx = optax.chain(optax.clip_by_global_norm(clip), tx)
  if adversaries:
    others = {name: _adversary(name, o) for name, o in adversaries.items()}
    tx = optax.partition(
      {"": tx, **others}, functools.partial(_players, others)
    )
  return tx, rate


def _adversary(name: str, options: Mapping):
  """Returns the optimizer of a term's discriminator or a view generator."""
  options = dict(options)
  at = name if name == "encoder" else f"objective.{name}"
  if "peak" not in options:
    raise UserError(
      f"config.{at}.adversary.peak is missing: give the learning rate."
    )
  peak, every = options.pop("peak"), options.pop("every", 1)
  if every < 1:
    raise UserError(
      f"config.{at}.adversary.every is {every}: expected 1 or more."
    )
  tx = build(f"{at}.adversary", options, OPTIMIZERS, learning_rate=peak)
  if every == 1:
    return tx
  return optax.MultiSteps(tx, every).gradient_transformation()


def _players(names, params):
  """Labels each parameter with its adversary among `names`, or with ""."""

  def label(path, leaf):
    del leaf
    player, *inner = (part.key for part in path)
    player = player.removeprefix("terms_")
    plays = {"discriminator", "generator" if player == "encoder" else ""}
    return player if player in names and plays & set(inner) else ""

  return jax.tree_util.tree_map_with_path(label, params)
