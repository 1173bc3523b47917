"""RealNVP: an invertible encoder, with its inverse and its volume change."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.encoders.features import Features, make_features, prepare
from infomin_jax.errors import UserError

# Cut at two standard deviations, as TensorFlow's: the true one is 0.88e-4.
near_zero = nn.initializers.truncated_normal(1e-4)


class Coupling(nn.Module):
  """The MLP of one coupling: `[b, k] -> shift, log_scale [b, size]`.

  Attributes:
    size: how many coordinates it changes.
    width: units of its two hidden layers.
    affine: scale too; otherwise `log_scale` is 0 and volume is kept.
  """

  size: int
  width: int
  affine: bool

  @nn.compact
  def __call__(self, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
    h = kept
    for _ in range(2):
      h = nn.relu(nn.Dense(self.width, kernel_init=near_zero)(h))
    out = nn.Dense(self.size * (1 + self.affine), kernel_init=near_zero)(h)
    if not self.affine:
      return out, jnp.zeros_like(out)
    shift, raw = jnp.split(out, 2, axis=-1)
    return shift, jnp.log(1e-7 + jax.nn.softplus(raw))


class RealNVP(nn.Module):
  """Permutations and couplings in turn, `[b, h, w, c] -> [b, h w c]`.

  Every coupling keeps the first half of the coordinates and shifts (and, with
  `affine`, scales) the second half by a function of the first. Weights start
  near zero: without `affine`, the network starts as a permutation. With it,
  each coupling starts by scaling with softplus(0) = 0.69.

  Attributes:
    size: numbers an image flattens to, h w c.
    couplings: pairs of a permutation and a coupling.
    width: units of the couplings' two hidden layers.
    affine: scale as well as shift (softplus in the place of exp).
    seed: of the permutations, which are fixed, never trained.

  References:
    Dinh et al., `Density estimation using Real NVP
    <https://arxiv.org/abs/1605.08803>`_, 2017; the sizes are those of
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2020, section 3.1.
  """

  size: int = 392
  couplings: int = 30
  width: int = 512
  affine: bool = False
  seed: int = 0

  def setup(self):
    changed = self.size - self.size // 2
    self.networks = [
      Coupling(changed, self.width, self.affine) for _ in range(self.couplings)
    ]
    rng = np.random.default_rng(self.seed)
    self.orders = [rng.permutation(self.size) for _ in range(self.couplings)]

  def forward(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`[b, size] -> z [b, size], log |det dz/dx| [b]`."""
    half = self.size // 2
    log_det = jnp.zeros(x.shape[0])
    for order, network in zip(self.orders, self.networks, strict=True):
      kept, moved = jnp.split(x[:, order], [half], axis=1)
      shift, log_scale = network(kept)
      if self.affine:
        moved = moved * jnp.exp(log_scale)
        log_det += jnp.sum(log_scale, axis=1)
      x = jnp.concatenate([kept, moved + shift], axis=1)
    return x, log_det

  def inverse(self, z: jax.Array) -> jax.Array:
    """`[b, size] -> x [b, size]`, with `forward(x)[0] == z`."""
    half = self.size // 2
    steps = list(zip(self.orders, self.networks, strict=True))
    for order, network in reversed(steps):
      kept, moved = jnp.split(z, [half], axis=1)
      shift, log_scale = network(kept)
      moved = moved - shift
      if self.affine:
        moved = moved * jnp.exp(-log_scale)
      z = jnp.concatenate([kept, moved], axis=1)[:, np.argsort(order)]
    return z

  def __call__(self, images: jax.Array, train: bool) -> Features:
    del train
    x = prepare(images, "realnvp", "float32")
    x = x.reshape(x.shape[0], -1)  # [b, h, w, c] -> [b, h w c]
    if x.shape[1] != self.size:
      raise UserError(
        f"realnvp: expected images of {self.size} numbers, got "
        f"{images.shape[1:]}. Set config.encoder.size to h * w * c."
      )
    z, _ = self.forward(x)
    return make_features(None, z, {"y": z})
