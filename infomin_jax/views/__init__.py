"""What is compared: several views of each image, made on the device.

`make_views({"name": "simclr", "size": 32, ...}, image_shape)` returns
`views(key, batch) -> tuple of float32 [b, h, w, c]` in [0, 1], pure JAX, to be
jitted with the training step. A record's views depend on the key and on its
`batch["index"]`, never on the batch it comes in.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax

from infomin_jax import errors
from infomin_jax.views import augment, splits
from infomin_jax.views.image_ops import resize_center
from infomin_jax.views.jigsaw import jigsaw
from infomin_jax.views.moving_frames import moving
from infomin_jax.views.occluded import occluded
from infomin_jax.views.shared_factors import shared_factors
from infomin_jax.views.sheet import sheet

__all__ = ["VIEWS", "make_views", "resize_center", "sheet"]

# name -> maker of `views(key, batch)` from options and `image_shape`.
VIEWS: dict[str, Callable] = {
  **{
    name: functools.partial(augment.augmented, recipe)
    for name, recipe in augment.RECIPES.items()
  },
  "moving": moving,
  "none": augment.unchanged,
  "occluded": occluded,
  "shared_factors": shared_factors,
  **splits.SPLITS,
}


def make_views(
  options: Mapping[str, Any],
  image_shape: tuple[int, int, int] | None,
  host_crops: bool = False,
) -> Callable:
  """`views(key, batch)` for a config entry such as `config.views`.

  Args:
    options: `name`, a key of `VIEWS`, and that maker's options. Of all of
      them may be asked `jigsaw`, the options of one more view, which is made
      of pieces, `[b, p, h, w, c]`.
    image_shape: `(h, w, c)` of the source's images; None if sizes vary.
    host_crops: the host has cut the crops, images are `[b, v, h, w, c]`.

  Raises:
    UserError: unknown name or option, or views these images cannot give.
  """
  options = dict(options)
  pieces = options.pop("jigsaw", None)
  name: Any = options.get("name")
  maker = errors.lookup("views", name, VIEWS)
  takes = inspect.signature(maker).parameters
  if host_crops and "host_crops" not in takes:
    raise errors.UserError(
      f"config.data.host_crops is set, but views {name!r} need whole images."
    )
  # Views that bring their own images, not the source's, do not ask for it.
  facts = {"image_shape": image_shape, "host_crops": host_crops}
  given = {key: fact for key, fact in facts.items() if key in takes}
  views = errors.build("views", options, VIEWS, **given)
  if pieces is None:
    return views
  more = errors.build(
    "views.jigsaw",
    {"name": "jigsaw", **pieces},
    {"jigsaw": jigsaw},
    host_crops=host_crops,
  )

  def with_pieces(key, batch):
    key, own = jax.random.split(key)
    return (*views(key, batch), more(own, batch))

  return with_pieces
