"""What every encoder takes and returns: float images in, `Features` out."""

import flax.struct
import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError, lookup

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@flax.struct.dataclass
class Features:
  """The outputs of an encoder, all float32 whatever it computes in.

  Attributes:
    local: one vector per place of the image, `[b, h, w, c]`; None where the
      encoder has no map.
    global_: one vector per image, `[b, d]`.
    taps: what probes may read, by name, `[b, ...]` each; maps not flattened.
  """

  local: jax.Array | None
  global_: jax.Array
  taps: dict[str, jax.Array]


def named_taps(features: Features) -> dict[str, jax.Array]:
  """`global`, `local` (where there is a map) and the taps, `[b, ...]` each."""
  known = {"global": features.global_, **features.taps}
  return known if features.local is None else {**known, "local": features.local}


def make_features(
  local: jax.Array | None, global_: jax.Array, taps: dict[str, jax.Array]
) -> Features:
  """`Features` with every array cast to float32."""
  features = Features(local, global_, taps)
  return jax.tree.map(lambda a: a.astype(jnp.float32), features)


def prepare(
  images: jax.Array, encoder: str, dtype: str, size: int | None = None
) -> jax.Array:
  """Checks images and casts them to the compute dtype; free under jit.

  Args:
    images: `[b, h, w, c]` floats, any number of channels.
    encoder: the name in `ENCODERS`, for the message.
    dtype: `float32` or `bfloat16`.
    size: the only height and width the encoder takes; None takes all.

  Raises:
    UserError: another rank, integers, another size, or an unknown dtype.
  """
  compute_dtype = lookup("dtype of config.encoder", dtype, DTYPES)
  if images.ndim != 4:
    raise UserError(
      f"{encoder}: expected images of shape [b, h, w, c], got {images.shape}. "
      "Add the missing axis, or merge the views into the batch."
    )
  if not jnp.issubdtype(images.dtype, jnp.floating):
    raise UserError(
      f"{encoder}: expected float images, got {images.dtype}. "
      "Pass the views, or divide by 255."
    )
  if size is not None and images.shape[1:3] != (size, size):
    height, width = images.shape[1:3]
    raise UserError(
      f"{encoder}: expected {size}x{size} images, got {height}x{width}. "
      f"Set config.views.size to {size}, or choose another config.encoder.name."
    )
  return images.astype(compute_dtype)
