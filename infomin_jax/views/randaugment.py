"""RandAugment as in InfoMin's code, on 8-bit values.

Under `vmap` a switch over 15 operations would run all 15 on every image. So an
operation is a set of numbers here, an `Op`: a warp of the coordinates, a table
of 256 values per channel, and a blend with a gray or smoothed copy. Choosing an
operation selects numbers. The pixels are processed once per operation.

References:
  Cubuk et al., `RandAugment <https://arxiv.org/abs/1909.13719>`_, 2019. The
  variant rand-n2-m10-mstd0.5 is the one that InfoMin (2005.10243) uses.
"""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from infomin_jax import errors
from infomin_jax.views import pillow

_MOST = 100  # operations per image
# ImageNet's mean color, used where a warp reads outside the image.
FILL = (124, 116, 104)


class Op(NamedTuple):
  """The effect of one operation as numbers; `identity` has the defaults."""

  matrix: jax.Array  # [2, 2] output (x, y) -> input (x, y), about the pivot
  pivot: jax.Array  # the fixed point, as a fraction of both sides
  shift: jax.Array  # [2] added to the input (x, y), as a fraction of the sides
  table: jax.Array  # [c, 256] new value of each old one; the blend clips it
  factor: jax.Array  # weight of the image in the blend; may exceed 1
  smooth: jax.Array  # 1: the other copy is smoothed, 0: it is gray


class Look(NamedTuple):
  """Statistics of an image that operations depend on."""

  values: jax.Array  # [c, 256]: 0 to 255 for each channel
  histogram: jax.Array  # [c, 256] counts
  mean: jax.Array  # mean of the luma, rounded


# An operation is a function (m, sign, look) -> Op, with m the magnitude in
# [0, 1] and sign +1 or -1.
Maker = Callable[[Any, Any, Look], Op]


def identity(m, sign, look):
  """Leaves the image unchanged; the other operations replace some fields."""
  return Op(
    matrix=jnp.eye(2),
    pivot=jnp.float32(0),
    shift=jnp.zeros(2),
    table=look.values,
    factor=jnp.float32(1),
    smooth=jnp.float32(0),
  )


def autocontrast(m, sign, look):
  """Stretches each channel to the range 0 to 255."""
  occurs = look.histogram > 0
  low = jnp.where(occurs, look.values, 255).min(1, keepdims=True)
  high = jnp.where(occurs, look.values, 0).max(1, keepdims=True)
  stretched = _quotient((look.values - low) * 255, high - low)
  return _with(look, table=jnp.where(high > low, stretched, look.values))


def equalize(m, sign, look):
  """Equalizes each channel's histogram, with Pillow's integer arithmetic."""
  counts = look.histogram
  up_to = jnp.cumsum(counts, axis=1)
  high = jnp.where(counts > 0, look.values, 0).max(1, keepdims=True)
  brightest = jnp.where(look.values == high, counts, 0).sum(1, keepdims=True)
  step = _quotient(up_to[:, -1:] - brightest, 255)
  flat = _quotient(jnp.floor(step / 2) + up_to - counts, step)
  return _with(look, table=jnp.where(step > 0, flat, look.values))


def invert(m, sign, look):
  return _with(look, table=255 - look.values)


def posterize(m, sign, look):
  """Keeps the top int(4 m) bits, at least one.

  Differs from the paper: the code of its authors, and InfoMin's, keeps 0 bits
  below m = 1/4, which makes the image black.
  """
  bits = jnp.maximum(jnp.floor(4 * m).astype(jnp.int32), 1)
  step = (256 >> bits).astype(jnp.float32)
  return _with(look, table=jnp.floor(look.values / step) * step)


def solarize(m, sign, look):
  """Inverts values of int(256 m) and more: none at m = 1, all at m = 0."""
  bright = look.values >= jnp.floor(256 * m)
  return _with(look, table=jnp.where(bright, 255 - look.values, look.values))


def solarize_add(m, sign, look):
  """Adds int(110 m) to values below 128."""
  sums = jnp.minimum(look.values + jnp.floor(110 * m), 255)
  return _with(look, table=jnp.where(look.values < 128, sums, look.values))


def brightness(m, sign, look):
  return _with(look, table=pillow.blend(0, look.values, _enhance(m)))


def contrast(m, sign, look):
  return _with(look, table=pillow.blend(look.mean, look.values, _enhance(m)))


def color(m, sign, look):
  return _with(look, factor=_enhance(m))


def sharpness(m, sign, look):
  return _with(look, factor=_enhance(m), smooth=jnp.float32(1))


def rotate(m, sign, look):
  """Rotates about the center by 30 m degrees; sign + is counterclockwise."""
  turn = jnp.deg2rad(30.0) * m * sign
  cos, sin = jnp.cos(turn), jnp.sin(turn)
  matrix = jnp.stack([cos, -sin, sin, cos]).reshape(2, 2)
  return _with(look, matrix=matrix, pivot=jnp.float32(0.5))


def shear_x(m, sign, look):
  """Shears about the top left corner, as Pillow's AFFINE transform does."""
  return _with(look, matrix=jnp.eye(2).at[0, 1].set(0.3 * m * sign))


def shear_y(m, sign, look):
  return _with(look, matrix=jnp.eye(2).at[1, 0].set(0.3 * m * sign))


def translate_x(m, sign, look):
  return _with(look, shift=jnp.zeros(2).at[0].set(0.45 * m * sign))


def translate_y(m, sign, look):
  return _with(look, shift=jnp.zeros(2).at[1].set(0.45 * m * sign))


OPS: dict[str, Maker] = {
  "autocontrast": autocontrast,
  "equalize": equalize,
  "invert": invert,
  "rotate": rotate,
  "posterize": posterize,
  "solarize": solarize,
  "solarize_add": solarize_add,
  "color": color,
  "contrast": contrast,
  "brightness": brightness,
  "sharpness": sharpness,
  "shear_x": shear_x,
  "shear_y": shear_y,
  "translate_x": translate_x,
  "translate_y": translate_y,
  "identity": identity,
}
# InfoMin draws from 15 operations, the two-modality CMC recipe from these 8.
INFOMIN_OPS = tuple(name for name in OPS if name != "identity")
CMC_OPS = (
  "autocontrast",
  "identity",
  "rotate",
  "sharpness",
  "shear_x",
  "shear_y",
  "translate_x",
  "translate_y",
)


def check_strength(
  count=2, p=0.5, magnitude=10.0, spread=0.5, where=""
) -> None:
  """Checks the ranges of arguments of `randaugment`.

  Args:
    count, p, magnitude, spread: as in `randaugment`; JAX arrays are not
      checked, because they may be traced.
    where: prefix of the names in messages, such as `config.views.`.

  Raises:
    UserError: an argument is out of range.
  """
  ranges: dict[str, tuple[Any, float, float, str]] = {
    "count": (count, 0, _MOST, f"a whole number from 0 to {_MOST}"),
    "p": (p, 0, 1, "a probability from 0 to 1"),
    "magnitude": (magnitude, 0, 10, "a number from 0 to 10"),
    "spread": (spread, 0, 10, "a number from 0 to 10"),
  }
  for name, (value, low, high, expected) in ranges.items():
    if isinstance(value, jax.Array):
      continue
    kind: Any = numbers.Integral if name == "count" else numbers.Real
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not (is_number and low <= value <= high):
      raise errors.UserError(
        f"{where}{name} is {value!r}: expected {expected}."
      )


def randaugment(
  key,
  image: jax.Array,
  names: Sequence[str] = INFOMIN_OPS,
  count: int = 2,
  p: float = 0.5,
  magnitude: float = 10.0,
  spread: float = 0.5,
  fill: Sequence[int] = FILL,
) -> jax.Array:
  """Applies `count` operations drawn with replacement from `names`.

  Args:
    key: one PRNG key.
    image: float `[h, w, c]` in [0, 1], c 1 or 3; rounded to 8 bits first.
    names: keys of `OPS`.
    count: number of draws per image.
    p: probability that a drawn operation is applied.
    magnitude: mean of the magnitude, 0 to 10. Not all operations vanish at 0:
      `posterize` and `solarize` are strongest there.
    spread: standard deviation of the magnitude. Magnitudes are clipped to
      [0, 10], so with the defaults half of all draws are exactly 10.
    fill: 8-bit color outside the image; images of 1 channel use its mean.

  Returns:
    float32 `[h, w, c]`, multiples of 1/255 in [0, 1].

  Raises:
    UserError: an unknown name, an argument out of range, or another number of
      channels.
  """
  check_strength(count, p, magnitude, spread)
  makers = [errors.lookup("RandAugment operation", n, OPS) for n in names]
  u = jax.random.uniform(key, (count, 5))
  normal = jnp.sqrt(2) * jax.scipy.special.erfinv(2 * u[:, 4] - 1)
  m = jnp.clip((magnitude + spread * normal) / 10, 0, 1)

  def slot(i, planes):
    draw = jnp.floor(u[i, 0] * len(makers)).astype(jnp.int32)
    which = jnp.where(u[i, 1] < p, draw, len(makers))

    pick = functools.partial(choose, which, [*makers, identity])
    sign = jnp.where(u[i, 2] < 0.5, -1.0, 1.0)
    return _run(planes, pick, m[i], sign, u[i, 3] < 0.5, fill)

  # A loop: one operation is compiled, whatever their count.
  return _join(jax.lax.fori_loop(0, count, slot, _split(image)))


def choose(which, makers: Sequence[Maker], m, sign, look) -> Op:
  """Computes `makers[which](m, sign, look)` for a traced `which`."""
  ops = [make(m, sign, look) for make in makers]
  return jax.tree.map(lambda *x: jax.lax.select_n(which, *x), *ops)


def apply(
  image, maker: Maker, m, sign=1.0, cubic=False, fill: Sequence[int] = FILL
) -> jax.Array:
  """Applies one operation to a float `[h, w, c]` image in [0, 1].

  Args:
    image: rounded to multiples of 1/255 first.
    maker: the operation, such as `OPS["rotate"]`.
    m: magnitude in [0, 1], which is `randaugment`'s magnitude / 10.
    sign: +1 or -1, the direction of a warp.
    cubic: warps interpolate bicubically; otherwise bilinearly.
    fill: 8-bit color outside the image.
  """
  return _join(_run(_split(image), maker, m, sign, cubic, fill))


def _split(image):
  """Returns the channels as planes of whole numbers from 0 to 255."""
  c = image.shape[-1]
  if c not in (1, 3):
    raise errors.UserError(
      f"RandAugment needs images of 1 or 3 channels, got {c}. "
      "The views crop, none and halves take any number."
    )
  # Planes, as in `color.planes_of`: XLA vectorizes over them.
  return [jnp.round(255 * image[..., k]) for k in range(c)]


def _join(planes):
  return jnp.stack(planes, axis=-1) / 255


def _run(planes, maker, m, sign, cubic, fill):
  if len(planes) == 1:
    fill = (round(sum(fill) / len(fill)),)
  gray = pillow.luma(planes)
  op = maker(m, sign, _look(planes, gray))
  # An operation warps or blends, never both, so the copies for the blend may be
  # made before the warp.
  others = [jnp.where(op.smooth > 0, pillow.smooth(x), gray) for x in planes]
  planes = pillow.warp(planes, op.matrix, op.pivot, op.shift, cubic, fill)
  planes = [pillow.point(op.table[k], x) for k, x in enumerate(planes)]
  return [
    pillow.blend(other, plane, op.factor)
    for other, plane in zip(others, planes, strict=True)
  ]


def _look(planes, gray):
  histogram = jnp.stack([pillow.histogram(x) for x in planes])
  values = jax.lax.broadcasted_iota(jnp.float32, histogram.shape, 1)
  # Pillow rounds halves up, `jnp.round` to even.
  return Look(values, histogram, jnp.floor(gray.mean() + 0.5))


def _with(look, **changes):
  return identity(None, None, look)._replace(**changes)


def _quotient(a, b):
  """Returns the whole part of a / b for whole numbers; b = 0 counts as 1.

  Adding 0.5 keeps rounding errors from crossing a whole number. It does not
  change the result.
  """
  return jnp.floor((a + 0.5) / jnp.maximum(b, 1))


def _enhance(m):
  """Returns Pillow's enhancement factor, 0.1 to 1.9."""
  return 0.1 + 1.8 * m
