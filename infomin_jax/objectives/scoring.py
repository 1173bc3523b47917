"""A term's scores: held as a matrix, or as two factors and streamed."""

import math

import flax.linen as nn
import jax

from infomin_jax.critics import inner
from infomin_jax.errors import UserError
from infomin_jax.estimators.scores import Factored, Scores
from infomin_jax.estimators.streaming import ring_size

# Scores above which `auto` streams: 64 MiB in float32, of which a gradient
# holds several. Below, a matrix fits every device, and streaming saves little
# time; at any size both give the same loss and gradient.
STREAM_ABOVE = 2**24
# A command line gives strings where the config file has one (`auto`).
_FORCED = {True: True, False: False, "True": True, "False": False}


def is_factored(critic: nn.Module) -> bool:
  """Returns whether the critic is an inner product of two embeddings."""
  return hasattr(critic, "embed_x") and hasattr(critic, "embed_y")


def streams(critic: nn.Module, x, y, stream: bool | str) -> bool:
  """Returns whether scores of `x [b, ...]` and `y [n, *l, d]` are to be
  streamed.
  """
  if stream == "auto":
    return is_factored(critic) and _number(x, y) > STREAM_ABOVE
  return _FORCED[stream]


def score(
  critic: nn.Module, x: jax.Array, y: jax.Array, train: bool, stream: bool | str
) -> Scores:
  """`critic(x, y)`, `[b, n]` or `[b, n, l]`, in the form that `stream` asks."""
  if streams(critic, x, y, stream):
    return Factored(critic.embed_x(x, train), critic.embed_y(y, train))
  return critic(x, y, train)


def of_factors(gx: jax.Array, hy: jax.Array, streamed: bool) -> Scores:
  """Scores of embeddings `[b, d]` and `[n, *l, d]`, in either form."""
  return Factored(gx, hy) if streamed else inner(gx, hy)


def form(critic: nn.Module, x, y, stream: bool | str) -> str:
  """One line for people: how many scores, held or streamed."""
  sizes = [x.shape[0], *y.shape[:-1]]
  shape = " x ".join(map(str, sizes))
  size = f"{4 * _number(x, y) / 2**20:.4g} MiB"
  if streams(critic, x, y, stream):
    devices = ring_size(*sizes[:2])
    ring = f" in a ring of {devices} devices" if devices > 1 else ""
    return f"{shape} scores, streamed{ring} (a matrix would take {size})"
  return f"{shape} scores, held as a matrix ({size})"


def check_stream(at: str, critic: nn.Module, stream: bool | str) -> None:
  """Refuses a `stream` that is unknown or that the critic does not allow."""
  if stream != "auto" and stream not in _FORCED:
    raise UserError(f"{at}.stream is {stream!r}: expected auto, True or False.")
  if _FORCED.get(stream) and not is_factored(critic):
    raise UserError(
      f"{at}.stream is True, but its critic cannot be factored: use auto, or "
      "a critic that is an inner product, such as separable."
    )


def _number(x, y) -> int:
  return x.shape[0] * math.prod(y.shape[:-1])
