"""From views to features, by an encoder that is bound to its variables.

A term names features by number. For most encoders feature i is that of view i.
An encoder that splits images into `count` pieces has features of each: piece p
of view v is number `v * count + p`.

A view `[b, p, h, w, c]` is a sequence for an encoder with `sequence`. For all
others it is p patches of an image, encoded one by one: features are `[b, p,
...]`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Encoder, Features
from infomin_jax.errors import UserError
from infomin_jax.objectives.term import Term

Views = tuple[jax.Array, ...]


def online_views(terms: Mapping[str, Term], count: int) -> tuple[int, ...]:
  """Returns which of `count` features the terms read of the trained encoder.

  Raises:
    UserError: a term needs more features than there are.
  """
  wanted = set()
  for name, term in terms.items():
    views = range(count) if term.online is None else term.online
    needed = max(term.least_views, *(i + 1 for i in (*views, *term.targets)))
    if count < needed:
      raise UserError(
        f"config.objective.{name} compares {needed} views, but config.views "
        f"makes {count}: raise config.views.count."
      )
    wanted.update(views)
  return tuple(sorted(wanted))


def target_views(terms: Mapping[str, Term]) -> tuple[int, ...]:
  """Returns which features the terms read of the momentum encoder."""
  return tuple(sorted({i for term in terms.values() for i in term.targets}))


def encode_views(
  encoder: Encoder,
  views: Views,
  wanted: tuple[int, ...],
  train: bool,
  *,
  key: Callable[[], jax.Array],
  slices: int = 1,
  patches: Mapping | None = None,
) -> tuple[dict[int, Features], dict[str, Any]]:
  """Encodes views of one size together.

  The batch stays the leading axis: views are interleaved, `[b v, h, w, c]`, so
  that the rows of a batch sharded over devices stay on their device.

  Args:
    encoder: bound.
    views: normalized, `[b, h, w, c]` or `[b, p, h, w, c]` each.
    wanted: numbers of features.
    train: whether statistics are those of the batch, and dropout is on.
    key: draws a key of dropout; called only where the encoder is applied to
      variables other than its own.
    slices: how many slices of the batch are encoded one after another.
    patches: running statistics of patches, if they have their own.

  Returns:
    Features by number, and batch statistics that moved: `encoder` after
    slices, `patches` where these have their own.
  """
  encoded, moved = {}, {}
  needed = sorted({i // encoder.count for i in wanted})
  for shape in dict.fromkeys(views[i].shape for i in needed):
    same = [i for i in needed if views[i].shape == shape]
    if len(shape) == 4:
      stacked = jnp.stack([views[i] for i in same], axis=1)  # [b, v, h, w, c]
      if slices > 1:
        together, moved["encoder"] = _in_slices(encoder, stacked, slices, key())
      else:
        flat = stacked.reshape(-1, *shape[1:])  # [b v, h, w, c]
        together = encoder.parts_of(flat, train)
      for position, i in enumerate(same):
        encoded[i] = _every(together, position, len(same))
    elif encoder.sequence is not None:
      encoded |= {i: (encoder.sequence(views[i], train),) for i in same}
    else:
      for i in same:
        flat = views[i].reshape(-1, *shape[2:])  # [b p, h, w, c]
        if patches is None:
          features = encoder.parts_of(flat, train)
        else:
          features, patches = _of_patches(encoder, flat, train, patches, key)
          moved["patches"] = patches
        encoded[i] = jax.tree.map(
          lambda x, size=shape[:2]: x.reshape(*size, *x.shape[1:]), features
        )
  features = {
    i * encoder.count + piece: of_piece
    for i, pieces in encoded.items()
    for piece, of_piece in enumerate(pieces)
  }
  return features, moved


def encode_more(
  encoder: Encoder, images: jax.Array, fixed: bool, key: jax.Array
) -> Features:
  """Encodes further images for a term, with the statistics of their batch.

  The running statistics do not change.

  Args:
    encoder: bound.
    images: in the encoder's range, `[b, h, w, c]`.
    fixed: whether no gradient reaches the encoder.
    key: of dropout.
  """
  module, variables = encoder.unbind()
  if fixed:
    variables = jax.lax.stop_gradient(variables)
  features, _ = module.apply(
    variables, images, True, mutable=["batch_stats"], rngs={"dropout": key}
  )
  return features


def _of_patches(encoder, images, train, stats, key):
  """Encodes patches `[b, h, w, c]` with running statistics of their own."""
  # A bound module has only its own statistics, so it is applied unbound.
  module, variables = encoder.unbind()
  features, moved = module.apply(
    {**variables, "batch_stats": stats},
    images,
    train,
    rngs={"dropout": key()} if train else None,
    mutable=["batch_stats"],
    method="parts_of",
  )
  return features, moved["batch_stats"] if train else stats


def _in_slices(encoder, images, slices, key):
  """Encodes images one slice of the batch after another.

  Only the inputs and the statistics of a slice are kept for the backward pass,
  which encodes it again.

  Args:
    encoder: bound.
    images: `[b, v, h, w, c]`.
    slices: how many; the batch divides by it.
    key: of dropout.

  Returns:
    Features `[b v, ...]`, and batch statistics as the last slice leaves them.
  """
  # JAX transforms pure functions, and a bound module holds its variables.
  module, variables = encoder.unbind()
  fixed = {name: x for name, x in variables.items() if name != "batch_stats"}

  @jax.checkpoint
  def encode(stats, numbered):
    i, some = numbered
    features, moved = module.apply(
      {**fixed, "batch_stats": stats},
      some.reshape(-1, *some.shape[2:]),
      True,
      # A key of its own: else all slices would drop the same units.
      rngs={"dropout": jax.random.fold_in(key, i)},
      mutable=["batch_stats"],
      method="parts_of",
    )
    # An encoder without batch norm has no statistics.
    return moved.get("batch_stats", {}), features

  def joined(x):  # [slices, b / slices v, ...]
    # `slices_of` deals out rows in turn, so the slice is the faster index of b.
    x = x.reshape(slices, -1, images.shape[1], *x.shape[2:])
    return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[3:])

  start = variables.get("batch_stats", {})
  numbered = jnp.arange(slices), slices_of(images, slices)
  stats, features = jax.lax.scan(encode, start, numbered)
  return jax.tree.map(joined, features), stats


def slices_of(batch, slices: int):
  """Cuts arrays `[b, ...]` into slices, `[slices, b / slices, ...]` each."""
  # [b] -> [b / slices, slices] keeps every device's rows on that device.
  return jax.tree.map(
    lambda x: jnp.moveaxis(x.reshape(-1, slices, *x.shape[1:]), 1, 0), batch
  )


def _every(tree, start: int, count: int):
  """Takes every `count`-th row of `[b count, ...]` from `start` on."""
  return jax.tree.map(
    lambda x: x.reshape(-1, count, *x.shape[1:])[:, start], tree
  )


def shuffled(key: jax.Array, views: Views) -> tuple[Views, jax.Array]:
  """Returns views in a random order of the batch, and the inverse, `[b]`."""
  order = jax.random.permutation(key, len(views[0]))
  return tuple(view[order] for view in views), jnp.argsort(order)
