"""Views of moving digits: a still frame and the frames before it.

The two views share exactly the chosen factors. The other factors are taken from
other records or drawn at random.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from infomin_jax.data.moving_digits import bounce, draw
from infomin_jax.errors import UserError
from infomin_jax.views.augment import check_size
from infomin_jax.views.shared_factors import check_share


def moving(
  image_shape,
  share: Sequence[str],
  size: int,
  frames: int = 10,
  still: int = 20,
  speed: float = 0.1,
  flat: float = 0.0,
):
  """Makes `views(key, batch)`: the still frame, then the frames before it.

  The still frame always shows the record's digit. It has the record's
  background and position if these are shared. With all three factors shared it
  is the record's image, so its labels are those of the record. Frames are
  numbered from 1; the frames of the second view are 1 to `frames`.

  Differs from the paper: there the frames are the first view.

  Args:
    image_shape: `(s, s, 3)` of the source.
    share: some of "digit", "position", "background".
    size: at most s; it is only checked, the views have the set's own size.
    frames: number of frames in the second view.
    still: number of the still frame, above `frames`.
    speed: speed of the digit, in image sides per frame.
    flat: fraction of the backgrounds that are replaced by one dark color; used
      only if "background" is not shared.

  Returns:
    `views(key, batch) -> [b, s, s, 3], [b, frames, s, s, 3]`, float32 in
    [0, 1].

  Raises:
    UserError: an unknown factor, or numbers out of range; in `views`, records
      without the fields of moving digits.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1.
  """
  check_share(share)
  check_size(image_shape, size, "moving")
  if not 1 <= frames < still:
    raise UserError(
      f"config.views.frames is {frames} and still {still}: give 1 or more "
      "frames, and a still frame after them."
    )
  # The still frame is at time 0, where the position is known.
  times = jnp.arange(1, frames + 1) - still
  view = functools.partial(_views, tuple(share), times, speed, flat)

  def views(key, batch):
    fields = ("digit", "ground", "place")
    missing = [name for name in fields if name not in batch]
    if missing:
      raise UserError(
        "config.views.name 'moving' needs records of moving_digits or "
        f"moving_mnist: expected a field {missing[0]!r}, got "
        f"{', '.join(batch)}."
      )
    record = {name: batch[name] for name in fields}
    # Two of them, so that the two views do not share a background.
    strangers = [
      jax.tree.map(lambda x, i=i: jnp.roll(x, i, axis=0), record)
      for i in (1, 2)
    ]
    # Keyed by the record's index: random draws do not depend on its batch.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
    return jax.vmap(view)(keys, record, *strangers)

  return views


def _views(share, times, speed, flat, key, record, one, other):
  """Makes both views of one record; `one` and `other` are other records."""
  keys = jax.random.split(key, 5)
  side, digit = len(record["ground"]), len(record["digit"])
  room = side - digit
  ground = [record["ground"]] * 2
  if "background" not in share:
    pairs = zip(keys[:2], (one, other), strict=True)
    ground = [_plain(key, x["ground"], flat) for key, x in pairs]
  still_at, end = room * jax.random.uniform(keys[2], (2, 2))
  if "position" in share:
    still_at = end = record["place"].astype(jnp.float32)
  still = draw(ground[0], record["digit"], _pixel(still_at))
  angle = jax.random.uniform(keys[3], (), maxval=2 * jnp.pi)
  velocity = speed * side * jnp.stack([jnp.sin(angle), jnp.cos(angle)])
  moving_digit = record["digit"] if "digit" in share else other["digit"]

  def frame(time):
    place = _pixel(bounce(end, velocity, time, room))
    return draw(ground[1], moving_digit, place)

  return still / 255, jax.vmap(frame)(times) / 255


def _pixel(place):
  return jnp.round(place).astype(jnp.int32)


def _plain(key, ground, flat: float):
  """Returns the background, or with probability `flat` a dark color."""
  if not flat:
    return ground
  keys = jax.random.split(key)
  dark = jax.random.uniform(keys[0], (1, 1, 3), maxval=127.0)
  return jnp.where(jax.random.bernoulli(keys[1], flat), dark, ground)
