"""Mutual-information representation learning in JAX.

The layers, in the order in which they may import each other: `data` (records)
-> `views` (what is compared) -> `encoders` (features) -> `critics` (scores) ->
`estimators` (nats) -> `objectives` (losses) -> `train` (steps, checkpoints) ->
`eval` (probes) -> `studies` -> `cli` and `verbs` (commands).
"""

__version__ = "0.1.0"
