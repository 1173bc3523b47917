"""An encoder that splits an image into parts and has one network per part.

Contrasting the features of the parts is Contrastive Multiview Coding. The parts
may be the channels of a learned color space.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from infomin_jax.encoders.features import Encoder, Features, make_features
from infomin_jax.errors import UserError, build
from infomin_jax.views.color_flow import ColourFlow
from infomin_jax.views.splits import PARTS, first_and_rest

COUNT = 2  # parts of every split in `PARTS`


class Split(Encoder):
  """Splits images into parts and encodes each part with its own network.

  Images are in [0, 1], so `config.normalize` must be mean 0 and std 1. Color
  splits center their channels themselves.

  `global_` is the concatenation of the parts' (last axis). The same holds for
  `local`, if the maps have one shape, and for every tap that all parts have.
  The taps `part0` and `part1` are `global_` of each part. The taps `view0` and
  `view1` are the parts as images. Through these the gradient of a classifier
  reaches the generator unchanged, for any `adversarial`.

  Differs from the paper: the channels of a generator are normalized to mean 0
  and variance 1 over the batch (in evaluation by running averages). So the
  generator cannot hide a channel by scaling it down. A channel with variance
  below 1e-5 stays small nevertheless. Generator and networks are updated in the
  same step, through a reversed gradient; the paper alternates.

  Attributes:
    split: `images -> parts`, a pure function. It is applied to the generator's
      output if there is a generator.
    encoders: one network per part.
    generator: an invertible map of the images, or None.
    frozen: stop all gradients of the generator.
    adversarial: the gradient from the networks to the generator is multiplied
      by minus this number, so the generator decreases what the networks
      increase. 0 stops this gradient.
    adversary: optimizer of the generator, in the form of a term's `adversary`;
      None uses the networks' optimizer.
    generator_from: folder of a run whose generator gives the initial weights.

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
    """Number of parts."""
    return len(self.encoders)

  def views_of(self, images: jax.Array, train: bool) -> tuple[jax.Array, ...]:
    """Returns the parts as images, `[b, h', w', c']` each.

    Args:
      images: `[b, h, w, c]` in [0, 1].
      train: normalize a generator's channels by statistics of the batch.
    """
    if self.generator is not None:
      images = self.generator(images)
      if self.frozen:
        images = jax.lax.stop_gradient(images)
      images = self.renormalize(images, use_running_average=not train)
    return self.split(images)

  def parts_of(self, images: jax.Array, train: bool) -> tuple[Features, ...]:
    """Encodes each part with its own network.

    In addition to the network's taps there is `view`, the part as an image.
    The gradient to the generator is multiplied by `-adversarial`.
    """
    return self._features(images, train, self.adversarial)

  def _features(self, images, train, turned: float) -> tuple[Features, ...]:
    views = self.views_of(images, train)
    features = []
    for encoder, view in zip(self.encoders, views, strict=True):
      inputs = view
      if self.generator is not None:
        inputs = reversed_gradient(view, turned)
      part: Any = encoder(inputs, train)
      taps = {**part.taps, "view": view}
      features.append(make_features(part.local, part.global_, taps))
    return tuple(features)

  def __call__(self, images: jax.Array, train: bool) -> Features:
    # -1 leaves the gradient as it is: training the whole encoder, as in
    # fine-tuning, has no adversary.
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
  """Makes a `Split` from config entries.

  Args:
    table: `ENCODERS`, for the networks of the parts.
    parts: `name`, a key of `views.splits.PARTS` or `learned`, and the split's
      options. `learned` takes the options of `views.color_flow.ColourFlow`;
      its parts are the first channel and the other two.
    encoder: `name` and options of the parts' networks, which do not share
      parameters. The published ones have half the usual width.
    frozen: as in `Split`; for `learned` only.
    adversarial: as in `Split`; for `learned` only.
    adversary: as in `Split`; for `learned` only.
    generator_from: as in `Split`; for `learned` only.

  Raises:
    UserError: an unknown name or option, or one without effect here.
  """
  split = build("encoder.parts", parts, {**PARTS, "learned": ColourFlow})
  generator = split if isinstance(split, ColourFlow) else None
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
      "of the generator's gradient is already reversed."
    )
  return Split(
    split if generator is None else first_and_rest,
    tuple(build("encoder.encoder", encoder, table) for _ in range(COUNT)),
    generator,
    **only,
  )


def reversed_gradient(x: jax.Array, factor: jax.Array | float) -> jax.Array:
  """Returns x; multiplies its gradient by `-factor`."""
  constant = jax.lax.stop_gradient(x)
  # x - constant is exactly 0, so the value is x to the last digit.
  return constant - factor * (x - constant)


def _side_by_side(arrays) -> jax.Array | None:
  """Concatenates on the last axis.

  Returns None if an array is missing or the other axes differ.
  """
  if any(x is None or x.shape[:-1] != arrays[0].shape[:-1] for x in arrays):
    return None
  return jnp.concatenate(arrays, axis=-1)
