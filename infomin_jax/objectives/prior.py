"""Prior matching: features are to look like draws from a known distribution."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head, unit
from infomin_jax.errors import UserError, lookup
from infomin_jax.objectives.term import Outcome, Seen, Term

Array = jax.Array


def uniform(key, shape) -> Array:
  """Draws from the unit cube, `[b, d]`."""
  return jax.random.uniform(key, shape)


def gaussian(key, shape) -> Array:
  """Draws from N(0, I), `[b, d]`."""
  return jax.random.normal(key, shape)


def sphere(key, shape) -> Array:
  """Draws from the unit sphere's surface, `[b, d]`."""
  return unit(jax.random.normal(key, shape))


def ball(key, shape) -> Array:
  """Draws from the unit ball's inside, `[b, d]`."""
  direction, radius = jax.random.split(key)
  # The share of the volume within radius r is r^d.
  share = jax.random.uniform(radius, (shape[0], 1)) ** (1 / shape[1])
  return share * sphere(direction, shape)


# name -> (draws, what brings features into the prior's support).
PRIORS = {
  "uniform": (uniform, jax.nn.sigmoid),
  "gaussian": (gaussian, lambda y: y),
  "sphere": (sphere, unit),
  "ball": (ball, lambda y: unit(y) * jnp.tanh(_norm(y))),
}


class PriorMatching(Term):
  """Makes the features of images look like draws from a prior.

  A discriminator learns to tell draws v from features y; the encoder raises
  its score of y (the non-saturating GAN loss). Both move in one step, each by
  its own loss, from the same values: the discriminator sees y detached, the
  encoder the discriminator detached.

  Differs from the paper: the published code's penalty falls on the last
  example of a batch only (`published_penalty`); the full one is the default.

  Attributes:
    prior: a name in `PRIORS`; with `uniform` y goes through a sigmoid first.
    adversary: optimizer of the discriminator: `name` (`train.optimizers`),
      `peak` (its constant learning rate) and the optimizer's own options.
    penalty: weight of half the mean squared gradient of D at draws and at
      features.
    on: `both`, or `prior` for a penalty at draws alone (the paper's 2018 code).
    published_penalty: of the last example alone, divided by the batch.
    hidden: widths of the discriminator's hidden layers.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    eq. 7; Roth et al., `Stabilizing Training of Generative Adversarial
    Networks <https://arxiv.org/abs/1705.09367>`_, 2017, eq. 21.
  """

  adversary: Mapping = dataclasses.field()  # without a default
  prior: str = "uniform"
  penalty: float = 1.0
  on: str = "both"
  published_penalty: bool = False
  hidden: tuple[int, ...] = (1000, 200)

  def setup(self):
    self.discriminator = Head((*self.hidden, 1))

  def check(self, at: str) -> None:
    """Refuses options that do not go together; `at` names them in errors."""
    lookup(f"{at}.prior", self.prior, PRIORS)
    if self.on not in ("both", "prior"):
      raise UserError(f"{at}.on is {self.on!r}: expected both or prior.")

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """The encoder's loss, and the discriminator's."""
    del train
    draw, support = PRIORS[self.prior]
    y = support(seen.features[0].global_)
    v = draw(self.make_rng("dropout"), y.shape)
    moving, frozen = both_sides(self.discriminator, v)
    fake = jax.lax.stop_gradient(y)
    slope = squared_slope(moving, v)
    if self.on == "both":
      slope = slope + squared_slope(moving, fake)
    if self.published_penalty:
      share = jnp.zeros(len(y)).at[-1].set(1 / len(y))
    else:
      share = jnp.full(len(y), 1 / len(y))
    adversary = tell_apart(moving(v), moving(fake))
    return Outcome(
      jnp.mean(jax.nn.softplus(-frozen(y))),
      {"discriminator": adversary},
      adversary + self.penalty / 2 * jnp.sum(share * slope),
    )


def both_sides(discriminator: nn.Module, *example):
  """The discriminator as two functions: one that learns, one held fixed.

  Args:
    discriminator: a bound submodule without batch statistics.
    *example: inputs, which give it its parameters' shapes.

  Returns:
    `moving(*inputs)` and `frozen(*inputs)`, its scores.
  """
  discriminator(*example)  # makes the parameters while initializing
  # A function of its variables, so that one side can detach them.
  module, variables = discriminator.unbind()

  def score(variables, *inputs) -> Any:
    return module.apply(variables, *inputs)

  held = jax.lax.stop_gradient(variables)
  return partial(score, variables), partial(score, held)


def tell_apart(real: Array, fake: Array) -> Array:
  """Cross-entropy in nats of telling real from fake by their scores."""
  # softplus(-s) is -log sigmoid(s), finite for all scores.
  return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def squared_slope(function, x: Array) -> Array:
  """Squared norm of the gradient of the sum of `function(x)`, `[b]`."""
  # Where rows do not mix, one gradient of the sum holds that of each row.
  slope = jax.grad(lambda v: jnp.sum(function(v)))(x)
  return jnp.sum(slope.reshape(len(x), -1) ** 2, axis=1)


def _norm(y):
  return jnp.linalg.norm(y, axis=-1, keepdims=True)
