"""A generator that is trained by prior matching alone."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head
from infomin_jax.errors import UserError
from infomin_jax.objectives.generative import Generator
from infomin_jax.objectives.prior import both_sides, squared_slope, tell_apart
from infomin_jax.objectives.term import Outcome, Seen, Term

Array = jax.Array


class PriorGenerator(Term):
  """Real images are encoded to N(0, 1), generated ones to N(offset, 1).

  The encoder maps images to one number. Two discriminators hold the codes of
  real and of generated images to their priors; the generator moves its mean
  code to that of real images.

  Differs from the paper: as in the authors' older code, the discriminators
  have one hidden layer of 64; the paper's networks are larger.

  Attributes:
    adversary: optimizer of the discriminators, as `prior`'s.
    noise: dimensions of the generator's N(0, I).
    offset: mean of the generated codes' prior.
    penalty: weight of half the discriminators' mean squared gradient.
    contraction: weight of half the encoder's mean squared gradient at images.
    width: of the generator, its channels next to the image.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    appendix; settings from the authors' older code, `nets/vral.py`.
  """

  adversary: Mapping = dataclasses.field()  # without a default
  noise: int = 64
  offset: float = 1.0
  penalty: float = 2.0
  contraction: float = 0.5
  width: int = 64

  def setup(self):
    self.discriminator = TwoHeads()
    self.generator = Generator(self.width)

  def sample(self, key, count: int, dim: int, image: tuple[int, ...]):
    """Images in the encoder's range from draws of N(0, I)."""
    del dim
    z = jax.random.normal(key, (count, self.noise))
    return self.generator(z, image, train=False)

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Losses of encoder and generator; `code_gap` is what the latter lowers."""
    encode: Any = seen.encode
    image, real = seen.images[0], seen.features[0].global_
    if real.shape[-1] != 1:
      raise UserError(
        f"config.objective: the generator needs codes of 1 number, got "
        f"{real.shape[-1]}: set config.encoder.dim to 1."
      )
    z_key, prior_key = jax.random.split(self.make_rng("dropout"))
    z = jax.random.normal(z_key, (len(image), self.noise))
    made = self.generator(z, image.shape[2:], train)
    # Detached: codes train the encoder, and only `gap` moves the generator.
    fake = encode(jax.lax.stop_gradient(made), False).global_
    codes = jnp.concatenate([real, fake], axis=-1)  # [b, 2]
    draws = jax.random.normal(prior_key, codes.shape)
    draws = draws + jnp.array([[0.0, self.offset]])
    moving, frozen = both_sides(self.discriminator, codes)
    detached = jax.lax.stop_gradient(codes)
    # A head sees one column, so the gradient at codes holds both heads' slopes.
    slope = sum(jnp.mean(squared_slope(moving, v)) for v in (draws, detached))
    adversary = tell_apart(moving(draws), moving(detached))
    steep = squared_slope(lambda x: encode(x, False).global_, image)
    # A fixed encoder and a detached real code: only the generator moves.
    gap = (
      jnp.mean(encode(made, True).global_)
      - jnp.mean(jax.lax.stop_gradient(real))
    ) ** 2
    loss = jnp.mean(jax.nn.softplus(-frozen(codes)))
    loss += self.contraction / 2 * jnp.mean(steep)
    return Outcome(
      loss + gap,
      {"discriminator": adversary, "code_gap": gap},
      adversary + self.penalty / 2 * slope,
    )


class TwoHeads(nn.Module):
  """A discriminator for each column of codes, `[b, 2] -> [b, 2]` scores."""

  @nn.compact
  def __call__(self, codes: Array) -> Array:
    heads = (Head((64, 1), name=name) for name in ("real", "generated"))
    scores = [head(codes[:, i : i + 1]) for i, head in enumerate(heads)]
    return jnp.concatenate(scores, axis=-1)
