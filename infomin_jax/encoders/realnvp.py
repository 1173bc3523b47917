"""RealNVP: an invertible encoder, its inverse and its log determinant."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.encoders.features import (
  Encoder,
  Features,
  make_features,
  prepare,
)
from infomin_jax.errors import UserError

# Truncated at two standard deviations, as in TensorFlow: the standard deviation
# of the truncated numbers is 0.88e-4.
near_zero = nn.initializers.truncated_normal(1e-4)


class Coupling(nn.Module):
  """The MLP of one coupling: `[b, k] -> shift, log_scale [b, size]`.

  Attributes:
    size: number of coordinates that it changes.
    width: units of each of its two hidden layers.
    affine: also scale; otherwise `log_scale` is 0 and volume is preserved.
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
    # 1e-7: softplus underflows to 0, which has no logarithm.
    return shift, jnp.log(1e-7 + jax.nn.softplus(raw))


class RealNVP(Encoder):
  """Alternating permutations and couplings, `[b, h, w, c] -> [b, h w c]`.

  Every coupling keeps the first half of the coordinates and shifts the second
  half by a function of the first. With `affine` it also scales it. Initial
  weights are near zero. So without `affine` the initial network is nearly a
  permutation. With `affine` every coupling initially scales by softplus(0) =
  0.69.

  Attributes:
    size: number of values per image, h w c.
    couplings: number of pairs of a permutation and a coupling.
    width: units of each of the two hidden layers of a coupling.
    affine: scale as well as shift (with softplus instead of exp).
    seed: seed of the permutations, which are fixed and not trained.

  References:
    Dinh et al., `Density estimation using Real NVP
    <https://arxiv.org/abs/1605.08803>`_, 2017. The sizes are from
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
    """Returns `z [b, size]` and `log |det dz/dx|`, `[b]`, in nats."""
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
    """Inverts `forward`: `z [b, size] -> x [b, size]`."""
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
