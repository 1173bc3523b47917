"""The networks of the paper by name, with its initialization."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.critics import (
  Bilinear,
  Concatenated,
  InnerProduct,
  Separable,
)
from infomin_jax.encoders.layernorm_convnet import LayerNormConvNet
from infomin_jax.encoders.mlp import MLP, SkipMLP
from infomin_jax.encoders.realnvp import RealNVP


class Pair(nn.Module):
  """Two encoders and a critic, from a pair of views to features and scores.

  Attributes:
    g1: encodes the first view.
    g2: encodes the second view; None uses g1 for both.
    critic: scores features.
  """

  g1: nn.Module
  g2: nn.Module | None
  critic: nn.Module

  def __call__(
    self, x: jax.Array, y: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns features `[b, d]` of both views and scores `[b, b]`."""
    gx, gy = self.g1(x, True).global_, (self.g2 or self.g1)(y, True).global_
    return gx, gy, self.critic(gx, gy)

  def encode(self, x: jax.Array) -> jax.Array:
    """Returns the representation that is evaluated: g1 of a view, `[b, d]`."""
    return self.g1(x, False).global_


def _mlp(settings, size, seed):
  del settings, size, seed
  return MLP()


def _convnet(settings, size, seed):
  del size, seed
  return LayerNormConvNet(tuple(settings["widths"]))


def _skip_mlp(settings, size, seed):
  del settings, size, seed
  return SkipMLP()


def _realnvp(settings, size, seed):
  return RealNVP(
    size, settings["couplings"], settings["width"], settings["affine"], seed
  )


# name -> (settings, size of a view, seed of permutations) -> encoder.
ENCODERS: dict[str, Callable[..., nn.Module]] = {
  "convnet": _convnet,
  "mlp": _mlp,
  "realnvp": _realnvp,
  "skip_mlp": _skip_mlp,
}
# name -> (dimension of the features) -> critic.
CRITICS: dict[str, Callable[[int], nn.Module]] = {
  "bilinear": lambda dim: Bilinear(dim),
  "concat": lambda dim: Concatenated((200,), block=128),
  "inner": lambda dim: InnerProduct(),
  "separable": lambda dim: Separable(100, (100,)),
}


def init_pair(pair: Pair, key: jax.Array, view: jax.Array) -> dict:
  """Returns initial parameters. Critics are Glorot uniform with zero biases.

  Args:
    pair: the networks.
    key: key of the encoders and the critic.
    view: a batch of views, used for its shape only.
  """
  start, critic = jax.random.split(key)
  params = dict(pair.init(start, view, view)["params"])
  if "critic" in params:
    joint = ("Dense_0", "Dense_1") if _concatenated(pair.critic) else ()
    params["critic"] = glorot(critic, params["critic"], joint)
  return params


def glorot(key: jax.Array, params, joint: tuple[str, ...] = ()):
  """Draws kernels again, Glorot uniform as in Keras, and sets biases to zero.

  Args:
    key: key of the kernels.
    params: parameters of dense layers.
    joint: names of layers that together are one layer, split by its inputs. The
      fan-in of each is their sum.
  """
  fan_in = sum(params[name]["kernel"].shape[0] for name in joint)

  def redraw(path, leaf):
    names = [str(part.key) for part in path]
    if names[-1] != "kernel":
      return jnp.zeros_like(leaf)
    rows = fan_in if names[0] in joint else leaf.shape[0]
    limit = (6 / (rows + leaf.shape[1])) ** 0.5
    own = jax.random.fold_in(key, order["/".join(names)])
    return jax.random.uniform(own, leaf.shape, leaf.dtype, -limit, limit)

  paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
  names = ["/".join(str(part.key) for part in path) for path in paths]
  order = {name: i for i, name in enumerate(names)}
  return jax.tree_util.tree_map_with_path(redraw, params)


def count(params) -> int:
  """Counts the parameters of a tree."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))


def _concatenated(critic) -> bool:
  return isinstance(critic, Concatenated)
