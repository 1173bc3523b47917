"""The rows of the studies of views, as config sections.

The row `augment` and the augmentation recipes contrast two augmented views with
one encoder. All other rows contrast two parts of one view, each with its own
encoder. The parts are channels of a color space, a blurred image and its
residual, or channels of a learned color space.
"""

from collections.abc import Mapping
from typing import Any

from infomin_jax.recipes import contrastive
from infomin_jax.views.augment import RECIPES, own_options

SPACES = ("rgb", "lab", "ycbcr", "ypbpr", "ydbdr", "yiq", "hsv")
# Ways to train a view generator. `frozen` takes the generator of another run.
LEARNED = ("unsupervised", "supervised", "semi", "floor", "frozen")
AUGMENTED = ("augment", *RECIPES)
ROWS = (*AUGMENTED, *SPACES, "frequency", *LEARNED)
# Nats of label information that each view of `floor` must keep.
FLOOR = 1.2
# Optimizer of the view generator. Its opponents use `config.optimizer`.
GENERATOR = dict(name="adam", peak=6e-4, b1=0.5, b2=0.999)


def views(row: str, size: int) -> dict[str, Any]:
  """Returns `config.views`: two augmented views, or one crop to be split."""
  if row not in AUGMENTED:
    return dict(name="crop", size=size, count=1, crop_scale=(0.5, 1.0))
  name = "C" if row == "augment" else row
  options: dict[str, Any] = dict(
    name=name, size=size, count=2, crop_scale=(0.3, 1.0), strength=1.0
  )
  return options | own_options(name)


def statistics(row: str) -> dict[str, tuple[float, ...]]:
  """Returns `config.normalize`. A split encoder normalizes its own channels."""
  if row in AUGMENTED:
    return dict(mean=(0.5,), std=(0.25,))
  return dict(mean=(0.0,), std=(1.0,))


def encoder(
  row: str,
  network: Mapping[str, Any],
  space: str = "rgb",
  *,
  depth: int = 6,
  hidden: int = 32,
) -> dict[str, Any]:
  """Returns `config.encoder`: the network, or one per part of a view.

  Args:
    row: one of `ROWS`.
    network: `name` and options of the network, or of the network of each part.
    space: color space in which learned views start.
    depth: blocks of the view generator.
    hidden: units per hidden layer of the view generator.
  """
  if row in AUGMENTED:
    return dict(network)
  parts: dict[str, Any] = dict(name="colour", space=row)
  if row == "frequency":
    parts = dict(name="frequency", sigma=1.0)
  if row in LEARNED:
    parts = dict(
      name="learned",
      depth=depth,
      hidden=hidden,
      volume_preserving=False,
      space=space,
      max_log_scale=1.0,
    )
  split: dict[str, Any] = dict(name="split", parts=parts, encoder=dict(network))
  if row == "frozen":
    split |= dict(frozen=True, generator_from="")
  elif row in LEARNED:
    played = row != "supervised"
    split |= dict(adversarial=1.0 if played else 0.0, adversary=GENERATOR)
  return split


def objective(
  row: str,
  network: Mapping[str, Any],
  critic: Mapping[str, Any],
  *,
  classes: int,
  labelled: int,
) -> dict[str, dict[str, Any]]:
  """Returns `config.objective`: InfoNCE, and label terms of learned views.

  Args:
    row: one of `ROWS`.
    network: `name` and options of the classifiers of learned views.
    critic: critic of the contrastive term.
    classes: number of classes.
    labelled: label terms use records with an index below it. 0 is all.
  """
  terms = contrastive.within_batch(critic)
  if row in ("supervised", "semi", "floor"):
    for view in (0, 1):
      terms[f"labels{view}"] = dict(
        term="view_labels",
        weight=1.0,
        view=view,
        classes=classes,
        encoder=dict(network),
        floor=FLOOR if row == "floor" else None,
        labelled=labelled,
      )
  return terms
