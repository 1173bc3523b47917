"""RandAugment as InfoMin's code has it, on 8-bit values, in one pass per slot.

Under `vmap` a switch over 15 operations would run all 15 on every image. Here
an operation is a set of numbers, an `Op`: a warp of the coordinates, a table of
256 values per channel and a blend with a gray or smoothed copy. Picking an
operation picks numbers; the pixels are touched once.

References:
  Cubuk et al., `RandAugment <https://arxiv.org/abs/1909.13719>`_, 2019, in the
  variant rand-n2-m10-mstd0.5 that InfoMin (2005.10243) trains with.
"""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from infomin_jax import errors
from infomin_jax.views import pillow

_MOST = 100  # operations on one image, one after the other
# ImageNet's mean color, shown where a warp reads outside the image.
FILL = (124, 116, 104)


class Op(NamedTuple):
  """What one operation does to an image; the defaults in `identity`."""

  matrix: jax.Array  # [2, 2] output (x, y) -> where to read, about the pivot
  pivot: jax.Array  # the fixed point, as a share of both sides
  shift: jax.Array  # [2] added to (x, y), as a share of the sides
  table: jax.Array  # [c, 256] new value of each old one; the blend clips it
  factor: jax.Array  # share of the image against the other copy; may exceed 1
  smooth: jax.Array  # 1: the other copy is smoothed, 0: it is gray


class Look(NamedTuple):
  """What an operation may know of its image."""

  values: jax.Array  # [c, 256]: 0 .. 255 in each channel
  histogram: jax.Array  # [c, 256] counts
  mean: jax.Array  # of the luma, rounded


# An operation is a function (m, sign, look) -> Op, with m the magnitude in
# [0, 1] and sign +1 or -1.
Maker = Callable[[Any, Any, Look], Op]


def identity(m, sign, look):
  """Leaves the image as it is: what the other operations change from."""
  return Op(
    matrix=jnp.eye(2),
    pivot=jnp.float32(0),
    shift=jnp.zeros(2),
    table=look.values,
    factor=jnp.float32(1),
    smooth=jnp.float32(0),
  )


def autocontrast(m, sign, look):
  """Stretches each channel to 0 .. 255."""
  seen = look.histogram > 0
  low = jnp.where(seen, look.values, 255).min(1, keepdims=True)
  high = jnp.where(seen, look.values, 0).max(1, keepdims=True)
  stretched = _quotient((look.values - low) * 255, high - low)
  return _with(look, table=jnp.where(high > low, stretched, look.values))


def equalize(m, sign, look):
  """Flattens each channel's histogram."""
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

  Differs from the paper: its authors' code, as InfoMin's, keeps no bit below
  m = 1/4, so that the image is black.
  """
  kept = jnp.maximum(jnp.floor(4 * m).astype(jnp.int32), 1)
  step = (256 >> kept).astype(jnp.float32)
  return _with(look, table=jnp.floor(look.values / step) * step)


def solarize(m, sign, look):
  """Inverts values from int(256 m) up: nothing at m = 1."""
  bright = look.values >= jnp.floor(256 * m)
  return _with(look, table=jnp.where(bright, 255 - look.values, look.values))


def solarize_add(m, sign, look):
  """Adds int(110 m) to values below 128."""
  lifted = jnp.minimum(look.values + jnp.floor(110 * m), 255)
  return _with(look, table=jnp.where(look.values < 128, lifted, look.values))


def brightness(m, sign, look):
  return _with(look, table=pillow.blend(0, look.values, _enhance(m)))


def contrast(m, sign, look):
  return _with(look, table=pillow.blend(look.mean, look.values, _enhance(m)))


def color(m, sign, look):
  return _with(look, factor=_enhance(m))


def sharpness(m, sign, look):
  return _with(look, factor=_enhance(m), smooth=jnp.float32(1))


def rotate(m, sign, look):
  """About the center by up to 30 degrees; sign + is counter-clockwise."""
  turn = jnp.deg2rad(30.0) * m * sign
  cos, sin = jnp.cos(turn), jnp.sin(turn)
  matrix = jnp.stack([cos, -sin, sin, cos]).reshape(2, 2)
  return _with(look, matrix=matrix, pivot=jnp.float32(0.5))


def shear_x(m, sign, look):
  """About the top left corner, as Pillow's AFFINE transform."""
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
# InfoMin draws from 15, the two-modality CMC recipe from 8 without color.
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
  """Refuses arguments of `randaugment` that are out of range.

  Args:
    count, p, magnitude, spread: as there; what JAX traces is not checked.
    where: what stands before their names in messages, `config.views.`.

  Raises:
    UserError: one of them.
  """
  ranges: dict[str, tuple[Any, float, float, str]] = {
    "count": (count, 0, _MOST, f"a whole number from 0 to {_MOST}"),
    "p": (p, 0, 1, "a probability from 0 to 1"),
    "magnitude": (magnitude, 0, 10, "a number from 0 to 10"),
    "spread": (spread, 0, 10, "a number from 0 to 10"),
  }
  for name, (value, low, high, wanted) in ranges.items():
    if isinstance(value, jax.Array):
      continue
    kind: Any = numbers.Integral if name == "count" else numbers.Real
    right = isinstance(value, kind) and not isinstance(value, bool)
    if not (right and low <= value <= high):
      raise errors.UserError(f"{where}{name} is {value!r}: expected {wanted}.")


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
    count: draws per image.
    p: probability that a drawn operation acts.
    magnitude: mean of the magnitude, 0 to 10. Not all operations vanish at 0:
      `posterize` and `solarize` are strongest there.
    spread: standard deviation of the magnitude, which is clipped to [0, 10]:
      with the defaults half of all draws are exactly 10.
    fill: 8-bit color outside the image; on 1 channel its mean.

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
    drawn = jnp.floor(u[i, 0] * len(makers)).astype(jnp.int32)
    which = jnp.where(u[i, 1] < p, drawn, len(makers))

    pick = functools.partial(choose, which, [*makers, identity])
    sign = jnp.where(u[i, 2] < 0.5, -1.0, 1.0)
    return _run(planes, pick, m[i], sign, u[i, 3] < 0.5, fill)

  return _join(jax.lax.fori_loop(0, count, slot, _split(image)))


def choose(which, makers: Sequence[Maker], m, sign, look) -> Op:
  """`makers[which](m, sign, look)` for a traced `which`."""
  made = [make(m, sign, look) for make in makers]
  return jax.tree.map(lambda *x: jax.lax.select_n(which, *x), *made)


def apply(
  image, maker: Maker, m, sign=1.0, cubic=False, fill: Sequence[int] = FILL
) -> jax.Array:
  """One operation on a float `[h, w, c]` image in [0, 1], in 8-bit steps.

  Args:
    image: rounded to multiples of 1/255 first.
    maker: the operation, such as `OPS["rotate"]`.
    m: magnitude in [0, 1], the level over 10.
    sign: +1 or -1, the direction of a warp.
    cubic: whether a warp reads bicubically, else bilinearly.
    fill: 8-bit color outside the image.
  """
  return _join(_run(_split(image), maker, m, sign, cubic, fill))


def _split(image):
  """Channels as planes of whole numbers."""
  c = image.shape[-1]
  if c not in (1, 3):
    raise errors.UserError(
      f"RandAugment needs images of 1 or 3 channels, got {c}. "
      "The views crop, none and halves take any number."
    )
  return [jnp.round(255 * image[..., k]) for k in range(c)]


def _join(planes):
  return jnp.stack(planes, axis=-1) / 255


def _run(planes, maker, m, sign, cubic, fill):
  if len(planes) == 1:
    fill = (round(sum(fill) / len(fill)),)
  gray = pillow.luma(planes)
  op = maker(m, sign, _look(planes, gray))
  # One operation acts, so a blend may take its copies from before the warp.
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
  return Look(values, histogram, jnp.floor(gray.mean() + 0.5))


def _with(look, **changes):
  return identity(None, None, look)._replace(**changes)


def _quotient(a, b):
  """Whole part of a / b for whole numbers; b = 0 counts as 1.

  The half keeps rounding from crossing a whole number and changes no result.
  """
  return jnp.floor((a + 0.5) / jnp.maximum(b, 1))


def _enhance(m):
  """Pillow's enhancement factor; it never falls below 0.1."""
  return 0.1 + 1.8 * m
