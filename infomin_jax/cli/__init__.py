"""The command `infomin`: `main`, and one module per verb.

A module has `define(flags, argv)` and `run(flags, rest, command)`. `rest` holds
the arguments that are not flags, and `command` is the whole line as typed. Slow
imports are inside `run`, so that help answers at once.
"""

from infomin_jax.cli.main import VERBS, main

__all__ = ["VERBS", "main"]
