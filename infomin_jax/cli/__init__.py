"""The command `infomin`: `main`, and a module per command.

A module has `define(flags, argv)` and `run(flags, rest, command)`: `rest` are
the arguments that are no flags, `command` the whole line as typed. Heavy
imports stand inside `run`, so that help answers at once.
"""

from infomin_jax.cli.main import VERBS, main

__all__ = ["VERBS", "main"]
