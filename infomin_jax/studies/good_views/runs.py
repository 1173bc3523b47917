"""The runs that the settings ask for: sweeps, rows, and learned views."""

from collections.abc import Iterator, Mapping
from typing import Any

from infomin_jax.studies.run_spec import Change, Line, merged


def lines(settings: Mapping[str, Mapping], names: list[str]) -> list[Line]:
  """Every run of the families once, with all of its probes and seeds."""
  return merged(line for name in names for line in asked(settings[name]))


def asked(options: Mapping[str, Any]) -> Iterator[Line]:
  """The lines of one family."""
  for config in options["configs"]:
    if "values" in options:
      for value in options["values"]:
        yield _with_ends(options, swept(config, options, value))
    elif "spaces" in options:
      for space in options["spaces"]:
        for row in options["rows"]:
          first, then = learned(config, row, space)
          yield _with_ends({**options, "probes": ("channels",)}, first)
          yield _with_ends(options, then)
        yield _with_ends(options, Line(config, space))
    else:
      for row in options["rows"]:
        yield _with_ends(options, Line(config, row))


def swept(config: str, options: Mapping[str, Any], value) -> Line:
  """A row with one option changed; of a crop's scale, the lower end."""
  path = options["path"]
  new = (value, 1.0) if path == "views.crop_scale" else value
  change = Change(f"{options['label']}{value:g}", path, new)
  return Line(config, options["row"], (change,))


def learned(config: str, row: str, space: str) -> tuple[Line, Line]:
  """Views that are learned from a space, then an encoder trained on them."""
  start = Change(space, "encoder.parts.space", space)
  first = Line(config, row, (start,))
  # The label tells whose views they are; the option is as in the first.
  taken = Change(f"{row}-{space}", "encoder.parts.space", space)
  return first, Line(config, "frozen", (taken,), after=first.name)


def _with_ends(options: Mapping[str, Any], line: Line) -> Line:
  probes, seeds = tuple(options["probes"]), options["seeds"]
  return Line(line.config, line.row, line.changes, probes, seeds, line.after)
