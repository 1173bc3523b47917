"""What is trained in the studies of views, as config sections.

`augment` contrasts two augmented views by one encoder. All other rows contrast
two parts of a view, each with an encoder of its own: a color space, blurred
against the rest, or a space that is learned.
"""

from collections.abc import Mapping
from typing import Any

from infomin_jax.recipes import contrastive
from infomin_jax.views.augment import RECIPES, own_options

SPACES = ("rgb", "lab", "ycbcr", "ypbpr", "ydbdr", "yiq", "hsv")
# How a generator of views is trained; `frozen` only uses one.
LEARNED = ("unsupervised", "supervised", "semi", "floor", "frozen")
AUGMENTED = ("augment", *RECIPES)
ROWS = (*AUGMENTED, *SPACES, "frequency", *LEARNED)
# Nats that each view of `floor` is to tell of the label.
FLOOR = 1.2
# A generator's own Adam; the networks it plays against have the config's.
GENERATOR = dict(name="adam", peak=6e-4, b1=0.5, b2=0.999)


def views(row: str, size: int) -> dict[str, Any]:
  """`config.views`: recipes twice; the parts are of one crop."""
  if row not in AUGMENTED:
    return dict(name="crop", size=size, count=1, crop_scale=(0.5, 1.0))
  name = "C" if row == "augment" else row
  options: dict[str, Any] = dict(
    name=name, size=size, count=2, crop_scale=(0.3, 1.0), strength=1.0
  )
  return options | own_options(name)


def statistics(row: str) -> dict[str, tuple[float, ...]]:
  """`config.normalize`; a split encoder normalizes its own channels."""
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
  """`config.encoder`: the network, or one for each of the row's parts.

  Args:
    row: one of `ROWS`.
    network: its `name` and options; of each part, where there are parts.
    space: what learned views start from.
    depth, hidden: of the generator of learned views.
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
  """`config.objective`: the contrast, and what learned views must tell.

  Args:
    row: one of `ROWS`.
    network: of the classifiers of learned views.
    critic: of the contrast.
    classes: of the labels.
    labeled: images whose labels a view may be learned with.
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
