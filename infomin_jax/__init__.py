"""Mutual-information representation learning in JAX.

The layers, in the order in which they may import each other: `data` (records)
-> `views` (what is compared) -> `encoders` (features) -> `critics` (scores) ->
`estimators` (nats) -> `objectives` (losses) -> `recipes` (configs of methods)
-> `runs` (a run's folder) -> `train` (steps, checkpoints) -> `plan` (what a run
needs elsewhere) -> `eval` (probes) -> `mi` (MI of two arrays, and tasks of
known MI) -> `scikit` -> `studies` -> `report` -> `cli` (commands).
"""

import importlib
from typing import TYPE_CHECKING, Any

from infomin_jax import runtime

if TYPE_CHECKING:  # the names of `_PLACES`
  from infomin_jax.critics import CRITICS as CRITICS
  from infomin_jax.encoders import ENCODERS as ENCODERS
  from infomin_jax.estimators import ESTIMATORS as ESTIMATORS
  from infomin_jax.estimators import Factored as Factored
  from infomin_jax.estimators import infonce as infonce
  from infomin_jax.mi.estimate import Estimate as Estimate
  from infomin_jax.mi.estimate import estimate as estimate
  from infomin_jax.pretrained.load import load as load
  from infomin_jax.scikit import Embedder as Embedder
  from infomin_jax.scikit import mutual_information as mutual_information
  from infomin_jax.views import make_views as make_views

__version__ = "0.1.0"


# Names of the top, imported when asked for: they need JAX.
_PLACES = {
  "CRITICS": "critics",
  "ENCODERS": "encoders",
  "ESTIMATORS": "estimators",
  "Embedder": "scikit",
  "Estimate": "mi",
  "Factored": "estimators",
  "estimate": "mi",
  "infonce": "estimators",
  "load": "pretrained.load",
  "make_views": "views",
  "mutual_information": "scikit",
}


def __getattr__(name: str) -> Any:
  """The names of the top: `_PLACES`."""
  if name not in _PLACES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  # As `infomin` does: other settings of the compiler round otherwise, and an
  # estimate from Python would not be that of the command.
  runtime.configure()
  module = importlib.import_module(f"infomin_jax.{_PLACES[name]}")
  # Found by Python itself from now on.
  found = globals()[name] = getattr(module, name)
  return found


def __dir__() -> list[str]:
  """Returns the public names."""
  return sorted([*_PLACES, "__version__"])
