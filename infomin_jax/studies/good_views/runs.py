"""The runs of the settings: sweeps, rows, and learned views."""

from collections.abc import Iterator, Mapping
from typing import Any

from infomin_jax.studies.run_spec import Change, Line, merged


def lines(settings: Mapping[str, Mapping], names: list[str]) -> list[Line]:
  """Returns each run of the families once, with all its probes and seeds."""
  return merged(line for name in names for line in asked(settings[name]))


def asked(options: Mapping[str, Any]) -> Iterator[Line]:
  """Yields the lines of one family."""
  for config in options["configs"]:
    if "values" in options:
      for value in options["values"]:
        yield _with_probes(options, swept(config, options, value))
    elif "spaces" in options:
      for space in options["spaces"]:
        for row in options["rows"]:
          first, then = learned(config, row, space)
          yield _with_probes({**options, "probes": ("channels",)}, first)
          yield _with_probes(options, then)
        yield _with_probes(options, Line(config, space))
    else:
      for row in options["rows"]:
        yield _with_probes(options, Line(config, row))


def swept(config: str, options: Mapping[str, Any], value) -> Line:
  """Returns a row with one option changed.

  For the scale of crops, the value is the lower end of its range.
  """
  path = options["path"]
  new = (value, 1.0) if path == "views.crop_scale" else value
  change = Change(f"{options['label']}{value:g}", path, new)
  return Line(config, options["row"], (change,))


def learned(config: str, row: str, space: str) -> tuple[Line, Line]:
  """Returns two lines: a view generator, then an encoder on its frozen views.

  Args:
    config: name of a config.
    row: how the view generator is trained.
    space: color space in which the views start.
  """
  start = Change(space, "encoder.parts.space", space)
  first = Line(config, row, (start,))
  # The label names the row of the generator. The value is that of `first`.
  generator = Change(f"{row}-{space}", "encoder.parts.space", space)
  return first, Line(config, "frozen", (generator,), after=first.name)


def _with_probes(options: Mapping[str, Any], line: Line) -> Line:
  """Adds probes and seeds to a line."""
  probes, seeds = tuple(options["probes"]), options["seeds"]
  return Line(line.config, line.row, line.changes, probes, seeds, line.after)
