"""One module a verb: `define(flags)` and `run(flags, rest)`.

Their heavy imports stand inside `run`, so that help answers at once.
"""
