"""The contract of encoders: they take float images and return `Features`."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from infomin_jax.errors import UserError, check_declared, lookup

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@flax.struct.dataclass
class Features:
  """The outputs of an encoder, float32 for any dtype of the computation.

  Attributes:
    local: one vector per location of the image, `[b, h, w, c]`; None if the
      encoder has no map.
    global_: one vector per image, `[b, d]`.
    taps: outputs of layers that probes may use, by name, `[b, ...]` each. Maps
      are not flattened.
  """

  local: jax.Array | None
  global_: jax.Array
  taps: dict[str, jax.Array]


class Defaults:
  """The attributes of `Encoder`; a plain class, so that none is a field."""

  sequence: Any = None
  frozen: Any = False
  adversary: Any = None
  generator_from: Any = ""

  @property  # since `Split` computes it from its fields
  def count(self) -> Any:
    """Pieces into which the encoder splits an image."""
    return 1


class Encoder(Defaults, nn.Module):
  """An encoder: a subclass with `__call__` and its own fields.

  Each attribute and method below has a default; most encoders need none. A
  public name that nearly equals one of them is refused when the class is
  defined.

  Attributes:
    count: pieces into which it splits an image, each with its own features.
    sequence: `(frames [b, t, h, w, c], train) -> Features` of an encoder that
      reads a view of several images as a sequence; None reads them one by one.
    frozen: whether nothing of it is trained.
    adversary: optimizer of its generator, if that plays against the loss.
    generator_from: folder of the run whose generator it starts with.
  """

  def __init_subclass__(cls, **options):
    super().__init_subclass__(**options)
    check_declared(cls, (Defaults, Encoder))

  def __call__(self, images: jax.Array, train: bool) -> Features:
    """Encodes float images `[b, h, w, c]`."""
    raise NotImplementedError(f"{type(self).__name__} has no __call__.")

  def parts_of(self, images: jax.Array, train: bool) -> tuple[Features, ...]:
    """Returns the features of each of the `count` pieces of the images."""
    return (self(images, train),)


def named_taps(features: Features) -> dict[str, jax.Array]:
  """Returns `global`, `local` (if there is a map) and the taps, `[b, ...]`."""
  taps = {"global": features.global_, **features.taps}
  return taps if features.local is None else {**taps, "local": features.local}


def make_features(
  local: jax.Array | None, global_: jax.Array, taps: dict[str, jax.Array]
) -> Features:
  """Makes `Features` with every array cast to float32."""
  features = Features(local, global_, taps)
  return jax.tree.map(lambda a: a.astype(jnp.float32), features)


def prepare(
  images: jax.Array, encoder: str, dtype: str, size: int | None = None
) -> jax.Array:
  """Checks images and casts them to the dtype of the computation.

  Args:
    images: floats `[b, h, w, c]`, any number of channels.
    encoder: the name in `ENCODERS`, for the message.
    dtype: `float32` or `bfloat16`.
    size: the only height and width that the encoder takes; None for any.

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
