"""Batch norm with statistics over groups of the batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError


class GroupedBatchNorm(nn.Module):
  """Batch norm of consecutive groups of the batch, `[b, ..., c]`.

  In training it equals batch norm on many devices that do not share statistics.
  Parameters and running statistics have the names of `nn.BatchNorm`'s. The
  running statistics move toward the mean over the groups; separate devices
  would each keep their own. If the number of groups is a multiple of the number
  of devices, the devices exchange nothing.

  Attributes:
    groups: number of groups, a divisor of the batch size.
    momentum: fraction of the running statistics that a step keeps.
    epsilon: added to the variance.

  References:
    Ioffe, Szegedy, `Batch Normalization <https://arxiv.org/abs/1502.03167>`_,
    2015, algorithm 1.
  """

  groups: int
  momentum: float = 0.9
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    size = (x.shape[-1],)
    mean = self.variable("batch_stats", "mean", jnp.zeros, size)
    var = self.variable("batch_stats", "var", jnp.ones, size)
    scale = self.param("scale", nn.initializers.ones, size)
    bias = self.param("bias", nn.initializers.zeros, size)
    # Initialization uses a batch of two images, which `groups` need not divide.
    if not train or self.is_initializing():
      center, spread = mean.value[None], var.value[None]  # [1, c]
    else:
      if len(x) % self.groups:
        raise UserError(
          f"config.encoder.groups is {self.groups}: expected a divisor of the "
          f"{len(x)} images that are encoded together."
        )
      rows = x.astype(jnp.float32).reshape(self.groups, -1, *size)
      center, spread = jnp.mean(rows, axis=1), jnp.var(rows, axis=1)  # [g, c]
      keep = self.momentum
      mean.value = keep * mean.value + (1 - keep) * jnp.mean(center, axis=0)
      var.value = keep * var.value + (1 - keep) * jnp.mean(spread, axis=0)
    slope = scale[None] * jax.lax.rsqrt(spread + self.epsilon)
    rows = x.astype(jnp.float32).reshape(len(center), -1, *size)
    y = (rows - center[:, None]) * slope[:, None] + bias[None, None]
    return y.reshape(x.shape).astype(x.dtype)
