"""Named augmentation recipes and the views that they make of a batch.

A recipe is a tuple of steps. A step is a `functools.partial` of a function
`(key, image, **options) -> image`; images are floats `[h, w, c]` in [0, 1] and
keep their shape. To add a recipe, add an entry to `RECIPES`: it becomes a name
of `config.views`. A random resized crop and a flip precede the steps of every
recipe.
"""

import functools
import inspect
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
# InfoMin's code calls this blur(22), but its kernel has 23 taps: radius 11.
_blur = functools.partial(image_ops.random_gaussian_blur, radius=11, p=0.5)
_blur_tenth = functools.partial(
  image_ops.random_gaussian_blur, radius=None, p=0.5
)
_rand = functools.partial(_randaugment, names=INFOMIN_OPS)
_rand_cmc = functools.partial(_randaugment, names=CMC_OPS)
# The defaults of `randaugment`: InfoMin's variant rand-n2-m10-mstd0.5.
RANDAUGMENT = {"count": 2, "p": 0.5, "magnitude": 10.0, "spread": 0.5}

# A to E are the recipes of InfoMin's code (PyContrast): A for InsDis, MoCo and
# PIRL, B for MoCo v2, C for CMC, D for InfoMin, E for CMC v2. The order of the
# steps is that of the code, and it matters.
# Differs from the paper: images are rounded to 8 bits only by RandAugment, not
# after each step. The blur of B is Gaussian; the code has Pillow's three box
# filters.
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
# The letters are those of InfoMin's comparison; these are the methods' names.
RECIPES |= {
  "moco_v1": RECIPES["A"],
  "moco_v2": RECIPES["B"],
  "cmc": RECIPES["C"],
  "infomin": RECIPES["D"],
  "cmc_v2": RECIPES["E"],
}


def own_options(name: str) -> dict[str, Any]:
  """Returns the keys of `config.views` that only some recipes have.

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
  steps: Mapping[str, Mapping[str, Any]] | None = None,
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
    crop_scale: fraction of the image's area in a crop, lowest and highest.
      Unused with `host_crops`: the host has applied it.
    crop_ratio: width / height of a crop, lowest and highest.
    host_crops: the host has cut the crops: `batch["image"]` is
      `[b, v, h, w, c]`. View i is made from `image[:, i]`, which is resized if
      its side is not `size`.
    flip: probability of the left-right flip; 0 for none.
    strength: multiplies the four ranges of the color jitter.
    grayscale: probability that replaces the recipe's; None keeps the recipe's.
    blur: the same for the Gaussian blur.
    randaugment: `count`, `p`, `magnitude` and `spread` of RandAugment, see
      `views.randaugment`. Missing ones keep their default. If the recipe has no
      RandAugment, all must be the defaults, or this must be None.
    steps: options of further steps of the recipe, by the name of the function:
      `{"solarize": {"threshold": 0.3}}`.
    small_size, small_count: side and number of smaller views, which follow the
      others.
    small_scale: `crop_scale` of the smaller views.
    chunk: number of images augmented at a time, which bounds the memory and
      fits CPU caches; 0 for the whole batch. On several devices use a multiple
      of their number. A batch that is not a multiple of it is augmented as a
      whole. The views do not depend on it.

  Returns:
    `views(key, batch) -> count + small_count arrays [b, size, size, c]`,
    float32 in [0, 1]. A view depends only on the key and its own record.

  Raises:
    UserError: bad values, or steps that do not take this number of channels.
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
  recipe = with_options(recipe, steps or {})
  acting = tuned(recipe, strength, grayscale, blur, randaugment)
  augment = functools.partial(
    _augment, ratio=crop_ratio, host_crops=host_crops, flip=flip, steps=acting
  )
  large = functools.partial(augment, size=size, scale=crop_scale)
  small = functools.partial(augment, size=small_size, scale=small_scale)
  total = count + small_count
  groups = [(large, slice(count))]
  if small_count:
    groups.append((small, slice(count, total)))
  draws = total, 2 + len(acting)  # keys of a record: for each view and step
  some = functools.partial(_views_of_some, groups, draws, host_crops)

  def views(key, batch):
    _check_batch(batch, host_crops, total)
    groups_of_views = _in_chunks(
      functools.partial(some, key),
      chunk,
      jnp.asarray(batch["index"]),
      jnp.asarray(batch["image"]),
    )
    return tuple(x[:, v] for x in groups_of_views for v in range(x.shape[1]))

  if image_shape is not None:
    # Tracing without computing reports a wrong number of channels here instead
    # of in the first training step.
    image = jax.ShapeDtypeStruct(tuple(image_shape), jnp.uint8)
    keys = jax.random.split(jax.random.key(0), 2 + len(acting))
    jax.eval_shape(lambda x: large(keys, x), image)
  return views


def unchanged(image_shape, size: int, count: int = 2):
  """Makes `views(key, batch)` that return the image's middle, unaugmented.

  Args:
    image_shape: `(h, w, c)` of the source.
    size: side of the views in pixels; the image must be at least that large.
    count: number of views, all equal.
  """
  check_size(image_shape, size, "none")
  _check_least(1, size=size, count=count)

  def views(key, batch):
    middle = jax.vmap(lambda x: image_ops.center_crop(x, size))(batch["image"])
    return (image_ops.to_float(middle),) * count

  return views


def check_size(image_shape, size: int, name: str) -> None:
  """Raises UserError if unresized views would be larger than the images."""
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
  """Makes one view `[size, size, c]` of one image.

  `keys` has one key for the crop, one for the flip, and one per step.
  """
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
  return jnp.clip(image, 0, 1)  # rounding may exceed the range


def _views_of_some(groups, draws, host_crops, key, index, images):
  """Makes all views of k records: one `[k, v, size, size, c]` per size."""
  k = len(index)
  # Keyed by the record's index, so views do not depend on the batch.
  record_keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  keys = jax.vmap(lambda x: jax.random.split(x, draws))(record_keys)
  result = []
  for augment, views in groups:
    view_keys = keys[:, views]
    v = view_keys.shape[1]
    each = images[:, views] if host_crops else jnp.stack([images] * v, 1)
    # One axis for records and views compiles in 2/3 of the time of two.
    flat = [x.reshape(k * v, *x.shape[2:]) for x in (view_keys, each)]
    new = jax.vmap(augment)(*flat)
    result.append(new.reshape(k, v, *new.shape[1:]))
  return result


def with_options(recipe, options: Mapping[str, Mapping[str, Any]]) -> tuple:
  """Returns a recipe with other options of the steps that are named.

  Args:
    recipe: tuple of steps.
    options: of each step, by the name of its function.

  Raises:
    UserError: the recipe has no such step, or the step no such option.
  """
  names = [step.func.__name__ for step in recipe]
  for name, changes in options.items():
    at = f"config.views.steps.{name}"
    if name not in names:
      raise UserError(f"Unknown step {at}: {nearest(name, names)}")
    # The first two are the key and the image.
    takes = [*inspect.signature(recipe[names.index(name)].func).parameters][2:]
    for key in changes:
      if key not in takes:
        raise UserError(f"Unknown key {at}.{key}: {nearest(key, takes)}")
  return tuple(
    functools.partial(step, **options.get(name, {}))
    for name, step in zip(names, recipe, strict=True)
  )


def tuned(recipe, strength, grayscale, blur, randaugment=None):
  """Returns the recipe's steps with scaled jitter and replaced options.

  Raises:
    UserError: an option is set for a step that the recipe does not have.
  """
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
    # Under jit a step with probability 0 would still be computed.
    if acts:
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
  """Computes `function(*arrays)` on `chunk` records (axis 0) at a time."""
  b = arrays[0].shape[0]
  if not chunk or b % chunk or b == chunk:
    return function(*arrays)

  # A chunk takes every (b / chunk)-th record. If the batch is sharded along its
  # leading axis, every chunk then has records on every device.
  def split(x):
    return jnp.swapaxes(x.reshape(chunk, b // chunk, *x.shape[1:]), 0, 1)

  def join(x):
    return jnp.swapaxes(x, 0, 1).reshape(b, *x.shape[2:])

  chunks = jax.lax.map(
    lambda records: function(*records), [split(x) for x in arrays]
  )
  return jax.tree.map(join, chunks)


def _check_batch(batch, host_crops, needed):
  shape = batch["image"].shape
  if len(shape) != (5 if host_crops else 4):
    expected = "[b, v, h, w, c]" if host_crops else "[b, h, w, c]"
    raise UserError(
      f"Expected images {expected} with config.data.host_crops {host_crops}, "
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
