"""The presets as plain data: families of views, and their configs.

A config has all settings of a run (`configs/NAME.py:ROW`). Hence `paper` names
configs with published settings, `local` names configs for two cores, and
`smoke` takes the variant `:tiny` of these. A sweep changes one option of one
row.
"""

import functools
from typing import Any

from infomin_jax.errors import lookup
from infomin_jax.recipes import moving
from infomin_jax.studies import presets

_PROBES = ("information", "linear")
# A sweep has the keys `row`, `path` (the option), `values` and `label`.
PAPER: dict[str, dict[str, Any]] = {
  "jitter": {
    "configs": ("imagenet_infomin",),
    "row": "moco_v2,100",
    "path": "views.strength",
    "label": "strength",
    "values": (0.125, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5),
    "probes": ("information", "imagenet_linear"),
    "seeds": 1,
  },
  "crop": {
    "configs": ("imagenet_infomin",),
    "row": "moco_v2,100",
    "path": "views.crop_scale",
    "label": "least",
    "values": (0.05, 0.08, 0.14, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9),
    "probes": ("information", "imagenet_linear"),
    "seeds": 1,
  },
  "patch": {
    "configs": ("div2k_patches",),
    "row": "patches",
    "path": "views.distance",
    "label": "distance",
    "values": (64, 128, 192, 256, 320, 384),
    "probes": ("information", "stl10", "cifar10"),
    "seeds": 1,
  },
  "frequency": {
    "configs": ("stl10_views",),
    "row": "frequency",
    "path": "encoder.parts.sigma",
    "label": "sigma",
    "values": (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0),
    "probes": _PROBES,
    "seeds": 1,
  },
  "colour": {
    "configs": ("stl10_views",),
    "rows": ("rgb", "lab", "ycbcr", "ypbpr", "ydbdr", "yiq", "hsv"),
    "probes": _PROBES,
    "seeds": 1,
  },
  "recipe": {
    "configs": ("imagenet_infomin",),
    "rows": (
      "insdis,200",
      "moco,200",
      "pirl,200",
      "moco_v2,200",
      "infomin,200",
    ),
    "probes": ("information", "imagenet_linear"),
    "seeds": 1,
  },
  "moving": {
    "configs": ("moving_digits",),
    "rows": tuple(f"{row},paper" for row in moving.ROWS),
    "probes": ("factors",),
    "seeds": 1,
  },
  "learned": {
    "configs": ("stl10_views",),
    "rows": ("unsupervised", "supervised", "semi", "floor"),
    "spaces": ("rgb", "ydbdr"),
    "probes": _PROBES,
    "seeds": 5,
  },
}

# Two cores. Fashion-MNIST in colors replaces ImageNet and STL-10.
_TINTED = {"configs": ("tinted_fashion_views",), "seeds": 3, "probes": _PROBES}
LOCAL = {
  "jitter": _TINTED
  | {"row": "augment", "values": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0), "seeds": 5},
  "crop": _TINTED | {"row": "augment", "values": (0.05, 0.1, 0.2, 0.4, 1.0)},
  "patch": {
    "configs": ("photo_patches",),
    "values": (0, 8, 16, 32, 64),
    "probes": _PROBES,
    "seeds": 3,
  },
  "frequency": _TINTED | {"values": (0.3, 0.7, 1.0, 1.5, 3.0, 6.0), "seeds": 5},
  "colour": _TINTED
  | {
    "rows": ("rgb", "lab", "ydbdr", "yiq", "hsv"),
    "probes": (*_PROBES, "segmentation"),
  },
  "recipe": _TINTED | {"rows": ("crop", "A", "B", "simclr", "D")},
  "moving": {"rows": moving.ROWS, "seeds": 3},
  "learned": _TINTED | {"seeds": 5},
}

# Checks that everything runs. Too short to test the claims.
_SMOKE = _TINTED | {"seeds": 1}
SMOKE = {
  "jitter": _SMOKE | {"row": "augment", "values": (0.0, 1.0), "seeds": 2},
  "crop": {"configs": ()},
  "patch": {"configs": ()},
  "frequency": {"configs": ()},
  "colour": LOCAL["colour"] | {"rows": ("ydbdr",), "seeds": 1},
  "recipe": {"configs": ()},
  "moving": {"configs": ()},
  "learned": _SMOKE | {"rows": ("floor",), "spaces": ("rgb",)},
}
CHANGES = {"paper": {}, "local": LOCAL, "smoke": SMOKE}

# Each probe is one call of `evaluate` with these changes of `config.evaluate`.
# `information` runs `studies/information.py` instead.
PROBES: dict[str, dict[str, Any]] = {
  "information": {},
  "linear": {},
  "imagenet_linear": {"epochs": 60, "batch_size": 256},
  "segmentation": {"taps": ("conv",)},
  "channels": {"taps": ("view0", "view1")},
  "factors": {"protocols": ("linear", "localisation")},
  "stl10": {"protocols": ("linear",), "data": {"name": "stl10"}},
  "cifar10": {"protocols": ("linear",), "data": {"name": "cifar10"}},
}


def preset(name: str) -> dict[str, dict[str, Any]]:
  """Returns the settings of every family of a preset."""
  changes = lookup("preset (--preset)", name, CHANGES)
  return {key: PAPER[key] | changes.get(key, {}) for key in PAPER}


def probes(name: str) -> dict[str, dict[str, Any]]:
  """Returns the changes of `config.evaluate` for every probe."""
  del name
  return {key: {"protocols": (key,)} | PROBES[key] for key in PROBES}


changed = functools.partial(presets.changed, PAPER)
select = functools.partial(presets.select, PAPER)
