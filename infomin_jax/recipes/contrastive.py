"""InfoMin and the other contrastive methods of its paper, as config sections.

A `Recipe` combines the same parts for each method: the source of negatives, the
augmentation, the color split, the jigsaw pieces, the head and the temperature.
`sections` turns a recipe into the sections of a config.

Source: Tian et al., `What Makes for Good Views for Contrastive Learning?
<https://arxiv.org/abs/2005.10243>`_, 2020, and the authors' code. The first
seven recipes are the presets of this code. SimCLR, BYOL and SupCon follow their
own papers.

Differs from the paper: the head of the jigsaw pieces has no momentum copy. The
authors' code keeps one but never reads it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from infomin_jax.errors import lookup
from infomin_jax.views import augment


@dataclasses.dataclass(frozen=True)
class Recipe:
  """One training method.

  Attributes:
    memory: `bank`, `queue`, `batch` (SimCLR), `copy` (BYOL) or `labels`
      (SupCon).
    views: a name in `views.augment.RECIPES`.
    temperature: divides the cosine similarities.
    mlp: whether the head has a hidden layer.
    split: whether two half-width encoders take luma and chroma.
    jigsaw: whether the shuffled pieces of an image are another view.
  """

  memory: str
  views: str
  temperature: float = 0.07
  mlp: bool = True
  split: bool = False
  jigsaw: bool = False


RECIPES = {
  "insdis": Recipe("bank", "A", mlp=False),
  "cmc": Recipe("bank", "C", mlp=False, split=True),
  "moco": Recipe("queue", "A", mlp=False),
  "pirl": Recipe("bank", "A", mlp=False, jigsaw=True),
  "moco_v2": Recipe("queue", "B", temperature=0.2),
  "cmc_v2": Recipe("queue", "E", temperature=0.2, split=True),
  "infomin": Recipe("queue", "infomin", temperature=0.15, jigsaw=True),
  "simclr": Recipe("batch", "simclr", temperature=0.1),
  "byol": Recipe("copy", "simclr"),
  "supcon": Recipe("labels", "simclr", temperature=0.1),
}
# Mean and standard deviation of the channels, for pixels in [0, 1].
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STL10 = ((0.4409, 0.4279, 0.3868), (0.2683, 0.2610, 0.2687))
SGD = dict(name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0)
ADAMW = dict(name="adamw", weight_decay=1e-4, clip=0.0)
# Critic without a head: cosine similarities of the features.
COSINES = dict(name="inner_product", temperature=0.1, normalize=True)
# Weight of the loss on the jigsaw pieces.
JIGSAW = 0.5


def head(hidden: int, shared: bool = True) -> dict[str, Any]:
  """Returns a critic for small images: cosines after an MLP head.

  Args:
    hidden: units of its only hidden layer.
    shared: whether both views have the same head.
  """
  return dict(
    name="separable",
    dim=64,
    hidden=(hidden,),
    temperature=0.2,
    normalize=True,
    shared=shared,
    batch_norm=True,
  )


def within_batch(critic: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
  """Returns `config.objective`: InfoNCE with the negatives of the batch."""
  term = dict(
    weight=1.0,
    estimator="infonce",
    symmetric=True,
    within=False,
    stream="auto",
    critic=dict(critic),
  )
  return {"contrastive": term}


def small_resnet18(width: int) -> dict[str, Any]:
  """Returns `config.encoder`: a ResNet-18 for images of 32 to 96 pixels."""
  return dict(
    name="resnet18", stem="small", width=width, groups=1, dtype="float32"
  )


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Sizes that depend on the data set and the machine.

  Attributes:
    image: side of the views in pixels.
    pieces: side in pixels of the crop that is cut into pieces, and of a piece.
    images: number of training images, for the bank.
    memory: number of keys in the queue, or of negatives from the bank.
    hidden: units of the hidden layer of heads.
    encoder: `config.encoder` at full width, with the key `width`.
    decay: decay per step of the momentum copy.
    statistics: mean and standard deviation of the channels.
  """

  image: int
  pieces: tuple[int, int]
  images: int
  memory: int
  hidden: int
  encoder: dict[str, Any]
  decay: float = 0.999
  statistics: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET


def sections(name: str, sizes: Sizes) -> dict[str, Any]:
  """Returns `views`, `normalize`, `encoder`, `objective` and `ema`.

  Args:
    name: a key of `RECIPES`.
    sizes: sizes for the data set.
  """
  recipe = lookup("recipe", name, RECIPES)
  mean, std = sizes.statistics
  if recipe.split:
    mean, std = (0.0,), (1.0,)  # the encoder normalizes its own channels
  return {
    "ema": sizes.decay if recipe.memory in ("queue", "copy") else 0.0,
    "views": _views(recipe, sizes),
    "normalize": dict(mean=mean, std=std),
    "encoder": _encoder(recipe, sizes),
    "objective": _objective(recipe, sizes),
  }


def _views(recipe: Recipe, sizes: Sizes) -> dict[str, Any]:
  one = recipe.memory == "bank"
  views: dict[str, Any] = dict(
    name=recipe.views,
    size=sizes.image,
    count=1 if one else 2,
    crop_scale=(0.08, 1.0) if one or recipe.views == "simclr" else (0.2, 1.0),
  )
  views |= augment.own_options(recipe.views)
  if recipe.jigsaw:
    size, patch = sizes.pieces
    views["jigsaw"] = dict(cells=3, size=size, patch=patch, scale=(0.6, 1.0))
  return views


def _encoder(recipe: Recipe, sizes: Sizes) -> dict[str, Any]:
  if not recipe.split:
    return sizes.encoder
  half = sizes.encoder | {"width": max(1, sizes.encoder["width"] // 2)}
  return dict(
    name="split", parts=dict(name="colour", space="ydbdr"), encoder=half
  )


def _objective(recipe: Recipe, sizes: Sizes) -> dict[str, Any]:
  hidden = (sizes.hidden,) if recipe.mlp else ()
  if recipe.memory == "copy":
    return {"byol": dict(weight=1.0, dim=256, hidden=(2 * sizes.hidden,))}
  if recipe.memory == "labels":
    term = dict(
      weight=1.0, dim=128, hidden=hidden, temperature=recipe.temperature
    )
    return {"supcon": term}
  critic = dict(
    name="separable",
    dim=128,
    hidden=hidden,
    temperature=recipe.temperature,
    normalize=True,
    shared=not recipe.split,
    batch_norm=recipe.memory == "batch",
  )
  term: dict[str, Any] = dict(weight=1.0, estimator="infonce", critic=critic)
  if recipe.memory == "batch":
    return {"contrastive": term | dict(within=True, stream="auto")}
  term |= dict(size=sizes.memory, jigsaw=JIGSAW if recipe.jigsaw else 0.0)
  if recipe.memory == "bank":
    pairs = ((0, 1), (1, 0)) if recipe.split else ((0, 0),)
    return {"bank": term | dict(images=sizes.images, momentum=0.5, pairs=pairs)}
  pairs = ((0, 3), (1, 2)) if recipe.split else ((0, 1),)
  return {"queue": term | dict(shuffle=False, pairs=pairs)}


# Learning rate per 256 images and weight decay of LARS, from the papers of
# SimCLR and BYOL. SupCon takes those of SimCLR, because its paper trains with
# AutoAugment and batches of 6,144 images.
_LARS = {
  "batch": (0.3, 1e-6),
  "copy": (0.2, 1.5e-6),
  "labels": (0.3, 1e-6),
}


# Peak learning rates on small images of the methods that use LARS.
_PEAKS = {"simclr": 0.4, "byol": 1.0, "supcon": 0.4}


def training_small(name: str, epoch: int) -> dict[str, dict[str, Any]]:
  """Returns `optimizer` and `schedule` as published for CIFAR-10.

  Args:
    name: a key of `RECIPES`.
    epoch: steps per epoch.
  """
  optimizer = SGD
  if name in _PEAKS:
    optimizer = dict(
      name="lars",
      momentum=0.9,
      weight_decay=1e-5 if name == "byol" else 1e-4,
      decayed="kernels",
      trust_coefficient=0.02,
      clip=0.0,
    )
  peak = _PEAKS.get(name, 0.3)
  schedule = dict(name="cosine", peak=peak, warmup=10 * epoch)
  return {"optimizer": optimizer, "schedule": schedule}


def training(
  name: str, batch: int, epoch: int, epochs: int
) -> dict[str, dict[str, Any]]:
  """Returns `optimizer` and `schedule` as published for ImageNet.

  SGD has the learning rate 0.03 per 256 images and decays every parameter. The
  rate follows a cosine down to a thousandth of its peak. Batches above 256
  images have a warm-up of 5 epochs, or of 10 in runs of more than 500 epochs.

  Differs from the paper: the cosine falls at each step, not once per epoch, and
  a warm-up starts from 0, not from 0.01.

  Args:
    name: a key of `RECIPES`.
    batch: images per step.
    epoch: steps per epoch.
    epochs: length of the run.
  """
  memory = lookup("recipe", name, RECIPES).memory
  if memory in _LARS:
    peak, decay = _LARS[memory]
    optimizer = dict(name="lars", weight_decay=decay, decayed="kernels")
    warmup, floor = 10, 0.0
  else:
    peak, floor = 0.03, 1e-3
    optimizer = dict(name="sgd", weight_decay=1e-4, decayed="all")
    warmup = 0 if batch <= 256 else 5 if epochs <= 500 else 10
  return {
    "optimizer": optimizer | dict(momentum=0.9, clip=0.0),
    "schedule": dict(
      name="cosine",
      peak=peak * batch / 256,
      warmup=warmup * epoch,
      floor=floor,
    ),
  }
