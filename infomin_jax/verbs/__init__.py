"""One module a verb: `define(flags, argv)` and `run(flags, rest, command)`.

`rest` are the arguments that are no flags, `command` the whole line as typed.

Their heavy imports stand inside `run`, so that help answers at once.
"""
