"""List what a config can name: encoders, critics, estimators, views and so on.

  infomin list
  infomin list critics
  infomin list views --with my_views.py

Each name comes with the options that a config may set and their defaults.
`infomin data list` shows which data sets are ready on this machine.
"""

import functools
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from absl import flags

from infomin_jax.errors import UserError, nearest
from infomin_jax.output import to_json

# kind -> module, table, and the config key that takes a name.
TABLES = {
  "critics": ("critics", "CRITICS", "objective.TERM.critic.name"),
  "data": ("data", "SOURCES", "data.name"),
  "encoders": ("encoders", "ENCODERS", "encoder.name"),
  "estimators": ("estimators", "ESTIMATORS", "objective.TERM.estimator"),
  "optimizers": ("train.optimizers", "OPTIMIZERS", "optimizer.name"),
  "protocols": ("eval.probes", "PROTOCOLS", "evaluate.protocols"),
  "schedules": ("train.optimizers", "SCHEDULES", "schedule.name"),
  "terms": ("objectives", "TERMS", "objective.TERM"),
  "views": ("views", "VIEWS", "views.name"),
}
# Arguments that the code passes, not the config.
_PASSED = {
  *("parent", "name", "scores", "mask", "image_shape", "host_crops"),
  *("learning_rate", "steps", "recipe", "table", "axes", "options"),
}


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin list`."""
  del argv
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Prints the tables that `rest` names, or all of them."""
  del command
  for kind in rest:
    if kind not in TABLES:
      raise UserError(f"no such list {kind!r}. {nearest(kind, TABLES)}")
  rows = [row for kind in rest or TABLES for row in _rows(kind)]
  if values.json:
    print(to_json(rows, 2))
    return
  kinds = {row["kind"]: row["key"] for row in rows}
  for kind, key in kinds.items():
    print(f"{kind} (config.{key})")
    for row in rows:
      if row["kind"] == kind:
        print(f"  {row['name']}({', '.join(row['options'])})")
        if row["about"]:
          print(f"      {row['about']}")


def _rows(kind: str) -> Iterator[dict[str, Any]]:
  """Yields a table's entries: `kind`, `key`, `name`, `options`, `about`."""
  module, table, key = TABLES[kind]
  entries = getattr(importlib.import_module(f"infomin_jax.{module}"), table)
  if kind == "views":  # a file of `--with` may have added recipes
    from infomin_jax.views import all_views

    entries = all_views()
  for name in sorted(entries):
    about = _about if kind != "protocols" else _protocol
    options = [] if kind == "protocols" else list(_options(entries[name]))
    yield {
      "kind": kind,
      "key": key,
      "name": name,
      "options": options,
      "about": about(entries[name]),
    }


def _options(entry) -> Iterator[str]:
  """Yields `name=default`, or `name` of an option without a default."""
  signature = inspect.signature(getattr(entry, "fn", entry))
  for name, parameter in signature.parameters.items():
    many = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    if name in _PASSED or many:
      continue
    has_default = parameter.default is not parameter.empty
    yield f"{name}={parameter.default!r}" if has_default else name


def _about(entry) -> str:
  """Returns the first sentence of a docstring, and of a bound its direction."""
  function = getattr(entry, "fn", entry)
  while isinstance(function, functools.partial):
    function = function.func
  lines = (inspect.getdoc(function) or "").partition("\n\n")[0].split()
  recipe = getattr(entry, "args", ())[:1]  # of views
  if recipe and isinstance(recipe[0], tuple):
    steps = ", ".join(step.func.__name__ for step in recipe[0]) or "none"
    lines = [f"Augmented views; steps after crop and flip: {steps}."]
  paper = getattr(entry, "reference", "")
  return " ".join([*lines, f"[{paper}]" * bool(paper)]).strip()


def _protocol(entry) -> str:
  """Returns a protocol's name with its default settings."""
  from infomin_jax.recipes import base

  return entry(base.get_config().evaluate).name
