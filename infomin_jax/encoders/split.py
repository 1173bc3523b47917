"""An encoder that splits an image into parts, each with a network of its own.

Contrasting the parts' features with one another is Contrastive Multiview
Coding; the parts may be those of a color space that is learned.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Features, make_features
from infomin_jax.errors import UserError, build
from infomin_jax.views.color_flow import ColourFlow
from infomin_jax.views.splits import PARTS, first_and_rest

COUNT = 2  # parts that every split of `PARTS` has


class Split(nn.Module):
  """Splits images into parts and encodes each by its own network.

  Takes images in [0, 1], so `config.normalize` is mean 0 and std 1 (others are
  refused where a config's network is made); color splits center their
  channels themselves.

  `global_`, and `local` where the maps agree, are those of the parts side by
  side (last axis); so is every tap that all parts have. The taps `part0` and
  `part1` are `global_` of each part; `view0` and `view1` are the parts as
  images, through which a classifier's gradient reaches the generator as it
  is, `adversarial` or not.

  Differs from the paper: a generator's channels are brought to mean 0 and
  variance 1 over the batch (in evaluation by running averages), so that it
  cannot hide a channel by making it small; one that it all but wiped out, of
  variance below 1e-5, stays small. Generator and networks move in the same
  step, by a turned gradient, where the paper alternates.

  Attributes:
    split: `images -> parts`, a pure function; of the generator's output if
      there is one.
    encoders: one network a part.
    generator: an invertible map of the images, or None.
    frozen: no gradient reaches the generator at all.
    adversarial: the gradient that the networks send to the generator, times
      minus this: what they raise, it lowers. 0 sends none.
    adversary: the generator's own optimizer, as a term's `adversary`; None is
      the networks'.
    generator_from: the folder of a run whose generator this one starts with.

  References:
    Tian et al., `Contrastive Multiview Coding
    <https://arxiv.org/abs/1906.05849>`_, 2019; Tian et al., `What Makes for
    Good Views <https://arxiv.org/abs/2005.10243>`_, 2020, section 4.2.
  """

  split: Callable[[jax.Array], tuple[jax.Array, ...]]
  encoders: tuple[nn.Module, ...]
  generator: nn.Module | None = None
  frozen: bool = False
  adversarial: float = 0.0
  adversary: Mapping[str, Any] | None = None
  generator_from: str = ""

  def setup(self):
    if self.generator is not None:
      self.renormalize = nn.BatchNorm(
        momentum=0.9, use_bias=False, use_scale=False
      )

  @property
  def count(self) -> int:
    """The number of parts."""
    return len(self.encoders)

  def views_of(self, images: jax.Array, train: bool) -> tuple[jax.Array, ...]:
    """The parts as images, `[b, h', w', c']` each, of images in [0, 1]."""
    if self.generator is not None:
      images = self.generator(images)
      if self.frozen:
        images = jax.lax.stop_gradient(images)
      images = self.renormalize(images, use_running_average=not train)
    return self.split(images)

  def parts_of(self, images: jax.Array, train: bool) -> tuple[Features, ...]:
    """Features of each part by its own network.

    Beside the network's own taps there is `view`, the part as an image. The
    gradient that reaches the generator is turned, if it is `adversarial`.
    """
    return self._features(images, train, self.adversarial)

  def _features(self, images, train, turned: float) -> tuple[Features, ...]:
    views = self.views_of(images, train)
    features = []
    for encoder, view in zip(self.encoders, views, strict=True):
      seen = view
      if self.generator is not None:
        seen = reversed_gradient(view, turned)
      part: Any = encoder(seen, train)
      taps = {**part.taps, "view": view}
      features.append(make_features(part.local, part.global_, taps))
    return tuple(features)

  def __call__(self, images: jax.Array, train: bool) -> Features:
    # Who trains the whole, such as fine-tuning, plays against nobody.
    parts = self._features(images, train, -1.0)
    taps = {}
    for name in parts[0].taps:
      if name != "view" and all(name in part.taps for part in parts):
        joined = _side_by_side([part.taps[name] for part in parts])
        taps |= {} if joined is None else {name: joined}
    for i, part in enumerate(parts):
      taps |= {f"part{i}": part.global_, f"view{i}": part.taps["view"]}
    whole = jnp.concatenate([part.global_ for part in parts], axis=-1)
    return Features(_side_by_side([p.local for p in parts]), whole, taps)


def make_split(
  table: Mapping[str, Callable[..., Any]],
  parts: Mapping[str, Any],
  encoder: Mapping[str, Any],
  frozen: bool = False,
  adversarial: float = 0.0,
  adversary: Mapping[str, Any] | None = None,
  generator_from: str = "",
) -> Split:
  """`Split` from config entries.

  Args:
    table: `ENCODERS`, for the parts' networks.
    parts: `name`, a key of `views.splits.PARTS` or `learned`, and that split's
      options; `learned` takes those of `views.color_flow.ColourFlow` and gives
      the first channel and the other two.
    encoder: `name` and options of each part's network, the parameters apart.
      The published ones have half the usual width.
    frozen: as in `Split`; for `learned` only.
    adversarial: as in `Split`; for `learned` only.
    adversary: as in `Split`; for `learned` only.
    generator_from: as in `Split`; for `learned` only.

  Raises:
    UserError: an unknown name or option, or one that does nothing here.
  """
  made = build("encoder.parts", parts, {**PARTS, "learned": ColourFlow})
  generator = made if isinstance(made, ColourFlow) else None
  only = dict(
    frozen=frozen,
    adversarial=adversarial,
    adversary=adversary,
    generator_from=generator_from,
  )
  for option, value in only.items():
    if generator is None and value:
      raise UserError(
        f"config.encoder.{option} is {value}, but the parts {parts['name']!r} "
        "are not learned: leave it out, or set config.encoder.parts.name to "
        "learned."
      )
  if adversarial < 0:
    raise UserError(
      f"config.encoder.adversarial is {adversarial}: give 0 or more; the sign "
      "of the generator's gradient is turned already."
    )
  return Split(
    made if generator is None else first_and_rest,
    tuple(build("encoder.encoder", encoder, table) for _ in range(COUNT)),
    generator,
    **only,
  )


def reversed_gradient(x: jax.Array, factor: jax.Array | float) -> jax.Array:
  """x itself; its gradient comes back times `-factor`."""
  held = jax.lax.stop_gradient(x)
  return held - factor * (x - held)


def _side_by_side(arrays) -> jax.Array | None:
  """Joined on the last axis; None if one is missing or the rest differs."""
  if any(x is None or x.shape[:-1] != arrays[0].shape[:-1] for x in arrays):
    return None
  return jnp.concatenate(arrays, axis=-1)
