"""Mutual-information representation learning in JAX.

The layers, in the order in which they may import each other: `data` (records)
-> `views` (what is compared) -> `encoders` (features) -> `critics` (scores) ->
`estimators` (nats) -> `objectives` (losses) -> `train` (steps, checkpoints) ->
`eval` (probes) -> `estimation` (MI of two arrays) -> `studies` -> `cli` and
`verbs` (commands).
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
  """`estimate` and `Estimate`, imported when asked for: they need JAX."""
  if name in ("estimate", "Estimate"):
    from infomin_jax import estimation

    return getattr(estimation, name)
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
