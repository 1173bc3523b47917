"""Views of colorful digits that share exactly the chosen factors.

Records of the set hold the factors that their image was drawn from. A view
keeps the shared factors and replaces the others, so an encoder can only learn
what is shared.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from infomin_jax.data.colorful_digits import (
  DIGIT,
  PHOTO,
  PHOTOS,
  SIZE,
  TEST_FROM,
  compose,
  crop_photo,
  load_photos,
)
from infomin_jax.errors import UserError, nearest

# "digit" is one handwritten image, not its class 0 to 9.
FACTORS = ("digit", "position", "background")


def shared_factors(
  share: tuple[str, ...],
  size: int = SIZE,
  count: int = 2,
  warp: float = 1.0,
  flat: float = 0.0,
):
  """Makes `views(key, batch)` whose views share only the factors in `share`.

  The factor "digit" is the record's handwriting, an image `[8, 8]`. If it is
  not shared, view i shows the handwriting of the record i + 1 places before
  this one in the batch. That record may have the same class. A position or a
  background that is not shared is drawn at random for each view. Ink colors
  are always random.

  Args:
    share: some of "digit", "position", "background".
    size: side of the views in pixels; must be the set's own, 32.
    count: number of views.
    warp: strength of a random affine change of the handwriting; 0 for none.
      At 1 it rotates by up to 0.25 rad, shears by up to 0.25, scales by about
      15 % and shifts by 10 % of half the digit's side.
    flat: fraction of the views whose background is one dark color; used only
      if "background" is not shared.

  Returns:
    `views(key, batch) -> count arrays [b, 32, 32, 3]`, float32 in [0, 1].

  Raises:
    UserError: an unknown factor, another size, or a count below 1; in
      `views`, records without a field `digit`.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1. The paper uses
    moving MNIST digits on STL-10 images.
  """
  check_share(share)
  if size != SIZE:
    raise UserError(
      f"config.views.size is {size}: shared_factors draws {SIZE} x {SIZE}."
    )
  if count < 1:
    raise UserError(f"config.views.count is {count}: give 1 or more.")
  photos = load_photos()
  view = functools.partial(_view, tuple(share), warp, flat)

  def views(key, batch):
    if "digit" not in batch:
      raise UserError(
        "config.views.name 'shared_factors' needs records of colorful_digits: "
        f"expected a field 'digit', got {', '.join(batch)}."
      )
    record = {name: batch[name] for name in ("digit", "place", "crop")}
    result = []
    for i in range(count):
      fold = functools.partial(jax.random.fold_in, jax.random.fold_in(key, i))
      # Keyed by the record's index: random draws do not depend on its batch.
      keys = jax.vmap(fold)(batch["index"])
      # Rolled by i + 1, so that two views show two different records.
      stranger = jnp.roll(batch["digit"], i + 1, axis=0)
      draw = jax.vmap(view, in_axes=(None, 0, 0, 0))
      result.append(draw(jnp.asarray(photos), keys, record, stranger))
    return tuple(result)

  return views


def check_share(share: Sequence[str]) -> None:
  """Raises UserError if `config.views.share` names an unknown factor."""
  for factor in share:
    if factor not in FACTORS:
      raise UserError(
        f"config.views.share has {factor!r}: {nearest(factor, FACTORS)}"
      )


def _view(share, warp, flat, photos, key, record, stranger) -> jax.Array:
  """Draws one view of one record, `[32, 32, 3]`."""
  # A key for each draw, made or not: sharing a factor changes no other draw.
  keys = jax.random.split(key, 6)
  digit = record["digit"] if "digit" in share else stranger
  place, crop = record["place"], record["crop"]
  if "position" not in share:
    place = jax.random.randint(keys[0], (2,), 0, SIZE - DIGIT + 1)
  if "background" in share:
    background = crop_photo(photos, crop)
  else:
    # Columns from TEST_FROM on are the test region.
    limits = (len(PHOTOS), PHOTO[0] - SIZE + 1, TEST_FROM - SIZE + 1)
    crop = jax.random.randint(keys[1], (3,), 0, jnp.array(limits))
    dark = jax.random.uniform(keys[2], (1, 1, 3), maxval=0.5)
    plain = jax.random.bernoulli(keys[3], flat)
    background = jnp.where(plain, dark, crop_photo(photos, crop))
  ink = jax.random.uniform(keys[4], (3,), minval=0.5)
  affine = random_affine(keys[5], warp)
  return compose(background, digit, place, affine, ink)


def random_affine(key, strength: float) -> jax.Array:
  """Draws an affine map near the identity, `[2, 3]`, for `compose`."""
  keys = jax.random.split(key, 4)
  low, high = -strength, strength
  angle = 0.25 * jax.random.uniform(keys[0], (), minval=low, maxval=high)
  # exp: a digit grows and shrinks by a factor equally often.
  scale = jnp.exp(
    0.15 * jax.random.uniform(keys[1], (2,), minval=low, maxval=high)
  )
  shear = 0.25 * jax.random.uniform(keys[2], (), minval=low, maxval=high)
  shift = 0.1 * jax.random.uniform(keys[3], (2, 1), minval=low, maxval=high)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  turn = jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
  slant = jnp.eye(2).at[1, 0].set(shear)
  return jnp.concatenate([turn @ slant * scale[None], shift], axis=1)
