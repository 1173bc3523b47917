"""Named augmentation recipes, and the views they make of a batch.

A recipe is a tuple of steps; a step is a `functools.partial` that still takes
`(key, image)` and returns an image of the same shape. A new recipe is one more
entry of `RECIPES`. Every recipe starts with a random resized crop and a flip.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from infomin_jax.errors import UserError, nearest
from infomin_jax.views import color, image_ops
from infomin_jax.views.randaugment import CMC_OPS, INFOMIN_OPS, check_strength
from infomin_jax.views.randaugment import randaugment as _randaugment


def _jitter(brightness, contrast, saturation, hue, p):
  return functools.partial(
    color.color_jitter,
    brightness=brightness,
    contrast=contrast,
    saturation=saturation,
    hue=hue,
    p=p,
  )


_gray = functools.partial(color.random_grayscale, p=0.2)
# InfoMin's code calls its 23 taps blur(22); SimCLR's follow the height.
_blur = functools.partial(image_ops.random_gaussian_blur, radius=11, p=0.5)
_blur_tenth = functools.partial(
  image_ops.random_gaussian_blur, radius=None, p=0.5
)
_rand = functools.partial(_randaugment, names=INFOMIN_OPS)
_rand_cmc = functools.partial(_randaugment, names=CMC_OPS)
# What `_rand` and `_rand_cmc` draw: rand-n2-m10-mstd0.5, the defaults.
RANDAUGMENT = {"count": 2, "p": 0.5, "magnitude": 10.0, "spread": 0.5}

# A to E: InfoMin's code (PyContrast) for InsDis, MoCo and PIRL (A), MoCo v2
# (B), CMC (C), InfoMin (D), CMC v2 (E). The order matters.
# Differs from that code: only RandAugment rounds to 8 bits; B's blur is a true
# Gaussian instead of Pillow's three box filters.
RECIPES = {
  "crop": (),
  "A": (_jitter(0.4, 0.4, 0.4, 0.4, p=1.0), _gray),
  "B": (_jitter(0.4, 0.4, 0.4, 0.1, p=0.8), _gray, _blur),
  "C": (_jitter(0.4, 0.4, 0.4, 0.1, p=1.0),),
  "D": (_jitter(0.8, 0.8, 0.8, 0.2, p=0.8), _blur, _rand, _gray),
  "E": (_jitter(0.4, 0.4, 0.4, 0.1, p=0.8), _blur, _rand_cmc),
  "randaugment": (_rand,),
  "simclr": (_jitter(0.8, 0.8, 0.8, 0.2, p=0.8), _gray, _blur_tenth),
}
RECIPES["infomin"] = RECIPES["D"]


def own_options(name: str) -> dict[str, Any]:
  """Returns the keys of `config.views` that only some recipes need.

  Args:
    name: a key of `RECIPES`.
  """
  if any(step.func is _randaugment for step in RECIPES[name]):
    return {"randaugment": dict(RANDAUGMENT)}
  return {}


def augmented(
  recipe,
  image_shape,
  size: int,
  count: int = 2,
  crop_scale: tuple[float, float] = (0.2, 1.0),
  crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
  host_crops: bool = False,
  flip: float = 0.5,
  strength: float = 1.0,
  grayscale: float | None = None,
  blur: float | None = None,
  randaugment: Mapping[str, Any] | None = None,
  small_size: int = 0,
  small_count: int = 0,
  small_scale: tuple[float, float] = (0.05, 0.2),
  chunk: int = 0,
):
  """Makes `views(key, batch)` that augments each image `count` times.

  Args:
    recipe: tuple of steps after the crop and the flip.
    image_shape: `(h, w, c)` of the source, or None if sizes vary.
    size: side of the views in pixels; smaller images are enlarged.
    count: number of views.
    crop_scale: share of the image's area in a crop, lowest and highest; with
      host crops the host's to use.
    crop_ratio: width / height of a crop, lowest and highest.
    host_crops: `batch["image"]` is `[b, v, h, w, c]`: the host has cut the
      crops, view i is made of `image[:, i]`, resized if not yet `size`.
    flip: probability of the left-right flip; 0 for none.
    strength: multiplies the four ranges of the color jitter.
    grayscale: probability in place of the recipe's; None keeps that.
    blur: the same for the Gaussian blur.
    randaugment: `count`, `p`, `magnitude` and `spread` of RandAugment, see
      `views.randaugment`; those left out are the recipe's. Of a recipe without
      RandAugment they must be the defaults, or None.
    small_size, small_count: further, smaller views after the others.
    small_scale: their `crop_scale`.
    chunk: images augmented at a time, 0 for the whole batch: bounds the
      memory and keeps busy CPUs in their caches. Over devices make it a
      multiple of their number. A batch that it does not divide goes at once.
      The views are the same.

  Returns:
    `views(key, batch) -> count + small_count arrays [b, size, size, c]`,
    float32 in [0, 1]. Each depends on the key and on its own record only.

  Raises:
    UserError: bad values, or steps that the number of channels forbids.
  """
  if image_shape is None and not host_crops:
    raise UserError(
      "The images vary in size, so a batch of them needs crops cut by the "
      "host: set config.data.host_crops."
    )
  _check_least(0, small_count=small_count, chunk=chunk, strength=strength)
  _check_least(1, size=size, count=count)
  if small_count:
    _check_least(1, small_size=small_size)
  _check_ranges(
    crop_scale=crop_scale, small_scale=small_scale, crop_ratio=crop_ratio
  )
  _check_probabilities(flip=flip, grayscale=grayscale, blur=blur)
  steps = tuned(recipe, strength, grayscale, blur, randaugment)
  augment = functools.partial(
    _augment, ratio=crop_ratio, host_crops=host_crops, flip=flip, steps=steps
  )
  large = functools.partial(augment, size=size, scale=crop_scale)
  small = functools.partial(augment, size=small_size, scale=small_scale)
  total = count + small_count
  groups = [(large, slice(count))]
  if small_count:
    groups.append((small, slice(count, total)))
  draws = total, 2 + len(steps)  # keys of a record: for each view and step
  some = functools.partial(_views_of_some, groups, draws, host_crops)

  def views(key, batch):
    _check_batch(batch, host_crops, total)
    made = _in_chunks(
      functools.partial(some, key),
      chunk,
      jnp.asarray(batch["index"]),
      jnp.asarray(batch["image"]),
    )
    return tuple(x[:, v] for x in made for v in range(x.shape[1]))

  if image_shape is not None:
    # Traces without computing: a wrong number of channels is refused now.
    image = jax.ShapeDtypeStruct(tuple(image_shape), jnp.uint8)
    keys = jax.random.split(jax.random.key(0), 2 + len(steps))
    jax.eval_shape(lambda x: large(keys, x), image)
  return views


def unchanged(image_shape, size: int, count: int = 2):
  """Makes `views(key, batch)` that are all the image's middle, unaugmented.

  Args:
    image_shape: `(h, w, c)` of the source.
    size: side of the views; the image must be at least that large.
    count: number of views.
  """
  check_size(image_shape, size, "none")
  _check_least(1, size=size, count=count)

  def views(key, batch):
    middle = jax.vmap(lambda x: image_ops.center_crop(x, size))(batch["image"])
    return (image_ops.to_float(middle),) * count

  return views


def check_size(image_shape, size: int, name: str) -> None:
  """UserError if views that do not resize would be larger than the images."""
  if image_shape is None:
    raise UserError(
      f"The images vary in size; {name!r} resizes none of them. Use crop."
    )
  if min(image_shape[:2]) < size:
    raise UserError(
      f"config.views.size is {size} but the images are {image_shape[0]} x "
      f"{image_shape[1]}, and {name!r} does not resize."
    )


def _augment(keys, image, size, scale, ratio, host_crops, flip, steps):
  """One view `[size, size, c]` of one image; `keys` for crop, flip, steps."""
  image = image_ops.to_float(image)
  if not host_crops:
    image = image_ops.random_resized_crop(keys[0], image, size, scale, ratio)
  elif image.shape[:2] != (size, size):
    height, width, _ = image.shape
    image = image_ops.crop_resize(image, 0, 0, height, width, size)
  if flip:
    image = image_ops.random_flip(keys[1], image, flip)
  for n, step in enumerate(steps):
    image = step(keys[2 + n], image)
  return jnp.clip(image, 0, 1)  # rounding may have left the range


def _views_of_some(groups, draws, host_crops, key, index, images):
  """All views of k records: one array `[k, v, size, size, c]` per size."""
  k = len(index)
  record_keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  keys = jax.vmap(lambda x: jax.random.split(x, draws))(record_keys)
  made = []
  for augment, views in groups:
    drawn = keys[:, views]
    v = drawn.shape[1]
    each = images[:, views] if host_crops else jnp.stack([images] * v, 1)
    # One axis for records and views: XLA compiles it in 2/3 of the time.
    flat = [x.reshape(k * v, *x.shape[2:]) for x in (drawn, each)]
    new = jax.vmap(augment)(*flat)
    made.append(new.reshape(k, v, *new.shape[1:]))
  return made


def tuned(recipe, strength, grayscale, blur, randaugment=None):
  """The recipe with the jitter scaled and its other options replaced."""
  draws = RANDAUGMENT | _draws(randaugment)
  changed = [key for key in draws if draws[key] != RANDAUGMENT[key]]
  replaced = (
    ("grayscale", color.random_grayscale, grayscale),
    ("blur", image_ops.random_gaussian_blur, blur),
  )
  functions = [step.func for step in recipe]
  for option, function, p in replaced:
    if p and function not in functions:
      raise UserError(
        f"config.views.{option} is {p}, but this recipe has no such step: "
        "leave it None or choose another views.name."
      )
  draws_act = draws["count"] > 0 and draws["p"] > 0
  if changed and draws_act and _randaugment not in functions:
    key = changed[0]
    raise UserError(
      f"config.views.randaugment.{key} is {draws[key]}, but this recipe has no "
      f"RandAugment: leave it {RANDAUGMENT[key]} or choose another views.name."
    )
  chances = {function: p for _, function, p in replaced if p is not None}
  steps = []
  for step in recipe:
    acts = chances.get(step.func, 1) > 0
    if step.func is color.color_jitter:
      ranges = ("brightness", "contrast", "saturation", "hue")
      scaled = {name: strength * step.keywords[name] for name in ranges}
      step = functools.partial(step, **scaled)
      acts = strength > 0
    elif step.func is _randaugment:
      step = functools.partial(step, **draws) if changed else step
      acts = draws_act
    elif step.func in chances:
      step = functools.partial(step, p=chances[step.func])
    if acts:  # a step that never acts would still be computed
      steps.append(step)
  return steps


def _draws(options: Mapping[str, Any] | None) -> dict[str, Any]:
  """Checks `config.views.randaugment`; returns its options."""
  where = "config.views.randaugment"
  if not isinstance(options, Mapping | ConfigDict | None):
    raise UserError(
      f"{where} is {options!r}: expected a mapping with keys among "
      f"{', '.join(RANDAUGMENT)}, or None."
    )
  draws = dict(options or {})
  for key in draws:
    if key not in RANDAUGMENT:
      raise UserError(f"Unknown key {where}.{key}: {nearest(key, RANDAUGMENT)}")
  check_strength(**draws, where=f"{where}.")
  return draws


def _in_chunks(function, chunk: int, *arrays):
  """`function(*arrays)`, computed on `chunk` records (axis 0) at a time."""
  b = arrays[0].shape[0]
  if not chunk or b % chunk or b == chunk:
    return function(*arrays)

  # Records r, r + b / chunk, ... go together, so that a batch split over
  # devices along its leading axis keeps them all busy in every chunk.
  def split(x):
    return jnp.swapaxes(x.reshape(chunk, b // chunk, *x.shape[1:]), 0, 1)

  def join(x):
    return jnp.swapaxes(x, 0, 1).reshape(b, *x.shape[2:])

  made = jax.lax.map(
    lambda records: function(*records), [split(x) for x in arrays]
  )
  return jax.tree.map(join, made)


def _check_batch(batch, host_crops, needed):
  shape = batch["image"].shape
  if len(shape) != (5 if host_crops else 4):
    wanted = "[b, v, h, w, c]" if host_crops else "[b, h, w, c]"
    raise UserError(
      f"Expected images {wanted} with config.data.host_crops {host_crops}, "
      f"got shape {list(shape)}."
    )
  if host_crops and shape[1] < needed:
    raise UserError(
      f"The host cut {shape[1]} crops of each image, the views need {needed}."
    )


def _check_least(least, **numbers):
  for name, value in numbers.items():
    if value < least:
      raise UserError(f"config.views.{name} is {value}: give {least} or more.")


def _check_ranges(**ranges):
  for name, values in ranges.items():
    low, high = values
    most = 1 if name.endswith("scale") else float("inf")
    if not 0 < low <= high <= most:
      raise UserError(
        f"config.views.{name} is {tuple(values)}: give (low, high) with "
        f"0 < low <= high{' <= 1' if most == 1 else ''}."
      )


def _check_probabilities(**probabilities):
  for name, p in probabilities.items():
    if p is not None and not 0 <= p <= 1:
      raise UserError(f"config.views.{name} is {p}: give 0 to 1.")
