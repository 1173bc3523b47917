"""Views: several versions of each image to compare, made on the device.

`make_views({"name": "simclr", "size": 32, ...}, image_shape)` returns
`views(key, batch) -> tuple of float32 [b, h, w, c]` in [0, 1]. It is pure JAX
and is jitted with the training step. A record's views depend only on the key,
the record and its `batch["index"]`. The exceptions are `moving` and
`shared_factors`, whose views may show digits and backgrounds of other records
of the batch.
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


def _of_recipes() -> dict[str, Callable]:
  return {
    name: functools.partial(augment.augmented, recipe)
    for name, recipe in augment.RECIPES.items()
  }


# name -> function that makes `views(key, batch)` from options.
VIEWS: dict[str, Callable] = {
  **_of_recipes(),
  "moving": moving,
  "none": augment.unchanged,
  "occluded": occluded,
  "shared_factors": shared_factors,
  **splits.SPLITS,
}


def all_views() -> dict[str, Callable]:
  """Returns `VIEWS`, and the recipes that were added since it was made."""
  return _of_recipes() | VIEWS


def make_views(
  options: Mapping[str, Any],
  image_shape: tuple[int, int, int] | None,
  host_crops: bool = False,
) -> Callable:
  """Makes `views(key, batch)` from a config entry such as `config.views`.

  Args:
    options: `name`, a key of `VIEWS`, and the options of that entry. With any
      name, `jigsaw` may hold the options of one more view, which consists of
      p patches, `[b, p, h, w, c]`.
    image_shape: `(h, w, c)` of the source's images; None if sizes vary.
    host_crops: the host has cut the crops: images are `[b, v, h, w, c]`.

  Returns:
    `views(key, batch) -> tuple of float32 arrays` in [0, 1].

  Example:
    >>> import jax, numpy as np
    >>> views = make_views({"name": "simclr", "size": 24}, (32, 32, 3))
    >>> images = np.zeros((4, 32, 32, 3), np.uint8)
    >>> batch = {"image": images, "index": np.arange(4)}
    >>> first, second = views(jax.random.key(0), batch)
    >>> first.shape
    (4, 24, 24, 3)

  Raises:
    UserError: unknown name or option, or views that these images do not allow.
  """
  options = dict(options)
  pieces = options.pop("jigsaw", None)
  name: Any = options.get("name")
  table = all_views()
  maker = errors.lookup("views", name, table, errors.OWN_FILE)
  parameters = inspect.signature(maker).parameters
  if host_crops and "host_crops" not in parameters:
    raise errors.UserError(
      f"config.data.host_crops is set, but views {name!r} need whole images."
    )
  # Some views do not depend on the source's image shape and do not take it.
  facts = {"image_shape": image_shape, "host_crops": host_crops}
  arguments = {key: fact for key, fact in facts.items() if key in parameters}
  views = errors.build("views", options, table, **arguments)
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
