"""From views to features: what is encoded together, and what terms see of it.

A term names features by number. For most encoders feature i is that of view i.
An encoder that splits an image (`count` parts, `parts_of(images, train)`) gives
each part features of its own: part p of view v is number `v * count + p`.

A view `[b, p, h, w, c]` is a sequence for an encoder that has
`sequence(frames, train)`. For all others it is p patches of an image, encoded
one by one: features are `[b, p, ...]`.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features
from infomin_jax.errors import UserError

Views = tuple[jax.Array, ...]
# Images to the features of each part of a view.
Encode = Callable[[jax.Array], tuple[Features, ...]]


def count_parts(encoder: nn.Module) -> int:
  """Into how many parts the encoder splits an image; 1 for most."""
  return getattr(encoder, "count", 1)


def each_part(encoder: nn.Module, images: jax.Array, train: bool):
  """Features of each part of images `[b, h, w, c]`, a tuple."""
  if count_parts(encoder) == 1:
    return (encoder(images, train),)
  return encoder.parts_of(images, train)


def online_views(terms, count: int) -> tuple[int, ...]:
  """Returns which features of `count` views terms want."""
  wanted = set()
  for name, term in terms.items():
    views = range(count) if term.online is None else term.online
    least = getattr(term, "least_views", 1)
    needed = max(least, *(i + 1 for i in (*views, *term.targets)))
    if count < needed:
      raise UserError(
        f"config.objective.{name} compares {needed} views, but config.views "
        f"makes {count}: raise config.views.count."
      )
    wanted.update(views)
  return tuple(sorted(wanted))


def target_views(terms) -> tuple[int, ...]:
  """Returns which views terms want from the momentum encoder."""
  return tuple(sorted({i for term in terms.values() for i in term.targets}))


def encode_views(
  views: Views,
  wanted: tuple[int, ...],
  parts: int,
  whole: Encode,
  several: Encode,
) -> dict[int, Features]:
  """The wanted features; views of one size go through the encoder together.

  The batch stays the leading axis: views are interleaved, `[b v, h, w, c]`, so
  that a batch sharded over devices stays where it is.

  Args:
    views: arrays `[b, h, w, c]` or `[b, p, h, w, c]`.
    wanted: numbers of features.
    parts: features of a view.
    whole: encodes images of several views, `[b, v, h, w, c]`, to features
      `[b v, ...]`.
    several: encodes sequences, or images in patches, `[b, p, h, w, c]`.
  """
  found = {}
  needed = sorted({i // parts for i in wanted})
  for shape in dict.fromkeys(views[i].shape for i in needed):
    same = [i for i in needed if views[i].shape == shape]
    if len(shape) == 5:
      encoded = {i: several(views[i]) for i in same}
    else:
      stacked = jnp.stack([views[i] for i in same], axis=1)
      together = whole(stacked)
      encoded = {
        i: jax.tree.map(
          functools.partial(_every, start=position, count=len(same)), together
        )
        for position, i in enumerate(same)
      }
    for i, of_parts in encoded.items():
      found |= {i * parts + part: f for part, f in enumerate(of_parts)}
  return found


def parts_of(batch, parts: int):
  """The slices of arrays `[b, ...]`, `[parts, b / parts, ...]` each."""
  # [b] -> [b / parts, parts] keeps every device's rows on that device.
  return jax.tree.map(
    lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0), batch
  )


def encode_in_parts(encoder: nn.Module, variables, key, images, parts: int):
  """Features of images, one part of the batch after another.

  Only inputs and statistics of a part are kept for the backward pass.

  Args:
    encoder: unbound.
    variables: its own.
    key: of dropout.
    images: `[b, v, h, w, c]`.
    parts: how many; the batch divides by it.

  Returns:
    Features `[b v, ...]`, and batch statistics as the last part leaves them.
  """
  fixed = {name: x for name, x in variables.items() if name != "batch_stats"}

  @jax.checkpoint
  def encode(stats, part):
    i, piece = part
    features, moved = nn.apply(each_part, encoder, mutable=["batch_stats"])(
      {**fixed, "batch_stats": stats},
      piece.reshape(-1, *piece.shape[2:]),
      True,
      rngs={"dropout": jax.random.fold_in(key, i)},
    )
    return moved.get("batch_stats", {}), features

  def joined(x):  # [parts, b / parts v, ...]
    x = x.reshape(parts, -1, images.shape[1], *x.shape[2:])
    return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[3:])

  start = variables.get("batch_stats", {})
  pieces = jnp.arange(parts), parts_of(images, parts)
  stats, found = jax.lax.scan(encode, start, pieces)
  return jax.tree.map(joined, found), stats


def _every(x: jax.Array, start: int, count: int) -> jax.Array:
  """Rows `start`, `start + count`, ... of `[b count, ...]`: `[b, ...]`."""
  return x.reshape(-1, count, *x.shape[1:])[:, start]


def shuffled(key: jax.Array, views: Views) -> tuple[Views, jax.Array]:
  """The views in a random order of the batch, and what restores it, `[b]`."""
  order = jax.random.permutation(key, len(views[0]))
  return tuple(view[order] for view in views), jnp.argsort(order)
