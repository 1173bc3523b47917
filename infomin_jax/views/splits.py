"""Views that split an image into parts instead of augmenting it.

Each maker takes its options and `image_shape`, and returns `views(key, batch)`
as in `presets`; parts may differ in shape. `SPLITS` holds them by name.
"""

import jax

from infomin_jax.errors import UserError
from infomin_jax.views import ops, presets


def halves(image_shape, size: int):
  """Top and bottom half of the image's middle `size` x `size` pixels.

  Args:
    image_shape: `(h, w, c)` of the source.
    size: even; the image must be at least that large.

  Returns:
    `views(key, batch) -> 2 arrays [b, size / 2, size, c]`; the key is unused.

  References:
    Tschannen et al., `On Mutual Information Maximization for Representation
    Learning <https://arxiv.org/abs/1907.13625>`_, 2019, section 3.
  """
  presets.check_size(image_shape, size, "halves")
  if size < 2 or size % 2:
    raise UserError(f"config.views.size is {size}: halves need an even size.")

  def views(key, batch):
    middle = jax.vmap(lambda x: ops.center_crop(x, size))(batch["image"])
    middle = ops.to_float(middle)
    return middle[:, : size // 2], middle[:, size // 2 :]

  return views


SPLITS = {"halves": halves}
