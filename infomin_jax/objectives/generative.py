"""Encoders trained by generating: autoencoders, VAE, BiGAN.

The summary y of the encoder is the code; a decoder of the encoder's own size
makes images of it, in the encoder's range. With `prior` beside it `autoencoder`
is the adversarial autoencoder.
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import Head
from infomin_jax.encoders.decoder import Decoder
from infomin_jax.objectives.deep_infomax import read
from infomin_jax.objectives.prior import both_sides, squared_slope, tell_apart
from infomin_jax.objectives.term import Outcome, Seen, Term

Array = jax.Array


class Autoencoder(Term):
  """Lowers the squared error of the image decoded from y.

  Attributes:
    width: of the decoder, its channels next to the image.
  """

  width: int = 64

  @nn.compact
  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Mean over images of the sum of squares over pixels."""
    image = seen.images[0]
    y = seen.features[0].global_
    made = Generator(self.width)(y, image.shape[2:], train)
    loss = squared_error(made, image)
    return Outcome(loss, {"squared_error": loss})


class VAE(Term):
  """Variational autoencoder: y is the mean of the code's Gaussian.

  Attributes:
    beta: weight of the KL divergence from N(0, I); beta-VAE if not 1.
    spread: the tap that a linear layer reads the log deviation from.
    width: of the decoder, its channels next to the image.

  References:
    Kingma, Welling, `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, 2014, eq. 10; Higgins et al.,
    beta-VAE, 2017, eq. 4.
  """

  beta: float = 1.0
  spread: str = "fc"
  width: int = 64

  def setup(self):
    self.generator = Generator(self.width)
    self.log_std = Linear()

  def sample(self, key, count: int, dim: int, image: tuple[int, ...]):
    """Images in the encoder's range from draws of N(0, I), `[count, dim]`."""
    z = jax.random.normal(key, (count, dim))
    return self.generator(z, image, train=False)

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Squared error and KL, means over images; `kl` is in nats."""
    image, features = seen.images[0], seen.features[0]
    mean = features.global_
    tap = read(features, self.spread)
    log_std = self.log_std(tap.reshape(len(tap), -1), mean.shape[-1])
    noise = jax.random.normal(self.make_rng("dropout"), mean.shape)
    code = mean + jnp.exp(log_std) * noise
    made = self.generator(code, image.shape[2:], train)
    error = squared_error(made, image)
    square = mean**2 + jnp.exp(2 * log_std)
    kl = jnp.mean(jnp.sum((square - 1) / 2 - log_std, axis=-1))
    return Outcome(error + self.beta * kl, {"squared_error": error, "kl": kl})


class BiGAN(Term):
  """A discriminator tells (x, E(x)) from (G(z), z); both sides deceive it.

  Attributes:
    adversary: optimizer of the discriminator, as `prior`'s.
    penalty: weight of half the mean squared gradient of D at real images.
    width: of both sides, their channels next to the image.

  References:
    Donahue et al., `Adversarial Feature Learning
    <https://arxiv.org/abs/1605.09782>`_, 2017, eq. 3.
  """

  adversary: Mapping = dataclasses.field()  # without a default
  penalty: float = 0.5
  width: int = 64

  def setup(self):
    self.discriminator = PairDiscriminator(self.width)
    self.generator = Generator(self.width)

  def sample(self, key, count: int, dim: int, image: tuple[int, ...]):
    """Images in the encoder's range from draws of N(0, I), `[count, dim]`."""
    z = jax.random.normal(key, (count, dim))
    return self.generator(z, image, train=False)

  def __call__(self, seen: Seen, train: bool) -> Outcome:
    """Encoder and generator raise the other side's score."""
    image, y = seen.images[0], seen.features[0].global_
    z = jax.random.normal(self.make_rng("dropout"), y.shape)
    made = self.generator(z, image.shape[2:], train)
    moving, frozen = both_sides(self.discriminator, image, y)
    detached_y, detached = map(jax.lax.stop_gradient, (y, made))
    slope = squared_slope(lambda x: moving(x, detached_y), image)
    adversary = tell_apart(moving(image, detached_y), moving(detached, z))
    return Outcome(
      tell_apart(frozen(made, z), frozen(image, y)),
      {"discriminator": adversary},
      adversary + self.penalty / 2 * jnp.mean(slope),
    )


class Generator(nn.Module):
  """`Decoder` whose images' size is known when it is called."""

  width: int = 64

  @nn.compact
  def __call__(self, z: Array, image: tuple[int, ...], train: bool) -> Array:
    """Images `[b, size, size, c]` in [-1, 1] of codes `[b, d]`.

    Args:
      z: the codes.
      image: `(size, c)`.
      train: with the batch's statistics.
    """
    size, channels = image
    decoder = Decoder(size, channels, self.width, name="decoder")
    return decoder(z, train)


class Linear(nn.Module):
  """A matmul whose width is known when it is called, `[b, d] -> [b, dim]`."""

  @nn.compact
  def __call__(self, x: Array, dim: int) -> Array:
    return nn.Dense(dim)(x)


class PairDiscriminator(nn.Module):
  """Scores pairs of image and code, `[b, 1]`; no batch norm.

  Convolutions 64, 128, 256, a layer of 256 beside the code, then 512, 128, 1;
  in proportion for another width than 64.
  """

  width: int = 64

  @nn.compact
  def __call__(self, image: Array, code: Array) -> Array:
    x = image
    w = self.width
    for width in (w, 2 * w, 4 * w):
      x = nn.relu(nn.Conv(width, (4, 4), 2, padding=1)(x))
    x = nn.relu(nn.Dense(4 * w)(x.reshape(len(x), -1)))
    return Head((8 * w, 2 * w, 1))(jnp.concatenate([x, code], axis=-1))


def squared_error(made: Array, image: Array) -> Array:
  """Mean over images `[b, h, w, c]` of the sum of squared differences."""
  return jnp.mean(jnp.sum((made - image) ** 2, axis=(1, 2, 3)))
