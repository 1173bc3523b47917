"""The presets as plain data: rows of configs, and their probes.

A config has all settings of a run (`configs/NAME.py:ROW`). Hence `paper` names
configs with published settings, `local` names configs for two cores, and
`smoke` takes the variant `:tiny` of these. Experiments that share a run share
its training.
"""

import functools
from typing import Any

from infomin_jax.errors import lookup
from infomin_jax.studies import presets

_TABLE = (
  "untrained",
  "supervised",
  "vae",
  "ae",
  "beta_vae",
  "aae",
  "bigan",
  "nat",
  "global",
  "local_dv",
  "local_jsd",
  "local_infonce",
)
_EXTENDED = (
  "untrained",
  "vae",
  "aae",
  "bigan",
  "nat",
  "global",
  "local_global",
  "local_jsd",
)
PAPER: dict[str, dict[str, Any]] = {
  "T1": {
    "configs": ("cifar10_dim", "cifar100_dim"),
    "rows": _TABLE,
    "probes": ("mlp",),
    "seeds": 1,
  },
  "T2": {
    "configs": ("tiny_imagenet_dim", "stl10_dim"),
    "rows": _TABLE,
    "probes": ("mlp", "semi_supervised"),
    "seeds": 1,
  },
  "T3": {
    "configs": ("cifar10_crops", "stl10_crops"),
    "rows": ("dim", "multi", "cpc"),
    "probes": ("mlp",),
    "seeds": 1,
  },
  "T4": {
    "configs": ("cifar10_dim",),
    "rows": _EXTENDED,
    "probes": ("svm", "reconstruction", "mine", "ndm"),
    "seeds": 1,
  },
  "T5": {
    "configs": ("cifar10_dim", "cifar100_dim"),
    "rows": ("local_infonce", "coord", "occlude", "coord_occlude"),
    "probes": ("mlp",),
    "seeds": 1,
  },
  "negatives": {
    "configs": ("cifar10_dim",),
    "rows": ("local_dv", "local_jsd", "local_infonce"),
    "negatives": (1, 3, 7, 15, 31, 0),  # images, 0 is all others of the batch
    "probes": ("mlp",),
    "seeds": 3,
  },
  "weights": {
    "configs": ("cifar10_dim",),
    "alpha": (0.0, 0.1, 0.5, 1.0),
    "beta": (0.0, 0.1, 0.5, 1.0),
    "gamma": (0.0, 0.1, 1.0),
    "probes": ("mlp", "reconstruction", "mine", "ndm"),
    "seeds": 1,
  },
  "ndm": {
    "configs": ("cifar10_dim",),
    "betas": (0.1, 0.5, 1.0, 1.5, 2.0, 4.0),
    "probes": ("ndm",),
    "seeds": 5,
  },
  "attributes": {
    "configs": ("celeb_a_dim",),
    "alpha": (0.0, 0.1, 0.5, 1.0),
    "beta": (0.0, 0.1, 0.5, 1.0),
    "gamma": (0.1,),
    "probes": ("attributes",),
    "seeds": 1,
  },
  # Not in the paper: which factors of a scene the features of a row predict.
  "factors": {
    "configs": ("colorful_digits_dim",),
    "rows": ("untrained", "vae", "global", "local_jsd", "local_infonce"),
    "probes": ("mlp",),
    "seeds": 3,
  },
  "neighbours": {
    "configs": ("cifar10_dim",),
    "rows": ("local_infonce", "global"),
    "probes": ("neighbours",),
    "seeds": 1,
  },
  "generator": {
    "configs": ("celeb_a_dim", "tiny_imagenet_dim"),
    "rows": ("generator",),
    "probes": ("samples",),
    "seeds": 1,
  },
}

# Two slow cores, a little more than an hour. CelebA has no small substitute.
_LOCAL = {"configs": ("fashion_mnist_dim",), "seeds": 3}
LOCAL = {
  "T1": _LOCAL,
  "T2": {"configs": ()},
  # CPC compares every place with every other: ten times the time of a row.
  "T3": {"configs": ()},
  # MINE needs more time than the other probes together to be informative.
  "T4": _LOCAL | {"probes": ("svm", "reconstruction", "ndm")},
  "T5": _LOCAL,
  "negatives": _LOCAL | {"negatives": (1, 7, 0), "probes": ("mlp_y",)},
  "weights": _LOCAL
  | {
    "alpha": (0.0, 0.5, 1.0),
    "beta": (0.0, 1.0),
    "probes": ("mlp_y", "reconstruction", "ndm"),
  },
  "ndm": _LOCAL | {"betas": (0.5, 1.0, 2.0, 4.0)},
  "attributes": {"configs": ()},
  "neighbours": {"configs": ("fashion_mnist_dim",)},
  "generator": {"configs": ("fashion_mnist_dim",)},
}

# Checks that everything runs. Too short to test the claims.
_SMOKE = {"configs": ("fashion_mnist_dim",), "seeds": 1}
SMOKE = {
  "T1": _SMOKE | {"rows": ("untrained", "vae", "local_jsd"), "seeds": 2},
  "T2": {"configs": ()},
  "T3": {"configs": ()},
  "T4": _SMOKE | {"rows": ("local_jsd",)},
  "T5": {"configs": ()},
  "negatives": _SMOKE | {"rows": ("local_jsd",), "negatives": (1, 0)},
  "weights": _SMOKE
  | {
    "alpha": (0.0, 1.0),
    "beta": (1.0,),
    "gamma": (0.1,),
    "probes": ("reconstruction",),
  },
  "ndm": _SMOKE | {"betas": (0.5, 1.0)},
  "attributes": {"configs": ()},
  "factors": {"configs": ()},
  "neighbours": _SMOKE | {"rows": ("local_jsd",)},
  "generator": {"configs": ()},
}
CHANGES = {"paper": {}, "local": LOCAL, "smoke": SMOKE}

# Each probe is one call of `evaluate` with these changes of `config.evaluate`.
_Y = {"taps": ("y",)}
PROBES: dict[str, dict[str, Any]] = {
  "mlp": {},
  "mlp_y": {"protocols": ("mlp",), "taps": ("y",)},
  "svm": {},
  "semi_supervised": {"taps": ("conv",)},
  "reconstruction": _Y,
  "mine": _Y,
  "ndm": _Y,
  "attributes": _Y,
  "neighbours": _Y,
  "samples": _Y,
}
_FEW = {"train_examples": 1000, "test_examples": 1000}
PROBE_CHANGES = {
  "paper": {},
  "local": {
    "reconstruction": _FEW | {"epochs": 15},
    # A batch has all 1,000 examples, so that an epoch is one step.
    "ndm": _FEW | {"epochs": 100},
  },
  "smoke": {},
}


def preset(name: str) -> dict[str, dict[str, Any]]:
  """Returns the settings of every experiment of a preset."""
  changes = lookup("preset (--preset)", name, CHANGES)
  return {key: PAPER[key] | changes.get(key, {}) for key in PAPER}


def probes(name: str) -> dict[str, dict[str, Any]]:
  """Returns the changes of `config.evaluate` for every probe of a preset."""
  changes = PROBE_CHANGES[name]
  return {
    key: {"protocols": (key,)} | PROBES[key] | changes.get(key, {})
    for key in PROBES
  }


changed = functools.partial(presets.changed, PAPER)
select = functools.partial(presets.select, PAPER)
