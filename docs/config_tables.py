"""The table of all config keys, made from the comments in `recipes/base.py`."""

import pathlib
import re

import infomin_jax
from infomin_jax.recipes import base

SOURCE = pathlib.Path(infomin_jax.__file__).parent / "recipes" / "base.py"
_SECTION = re.compile(r"  config\.(\w+) = ")
_KEY = re.compile(r"    (\w+)=")


def keys() -> str:
  """Returns a table of keys, their defaults and their meaning."""
  lines = ["| key | default | meaning |", "|---|---|---|"]
  defaults = base.get_config()
  for key, meaning in meanings().items():
    value = defaults
    for part in key.split("."):
      value = value[part]
    shown = "" if hasattr(value, "items") else f"`{value!r}`"
    lines.append(f"| `{key}` | {shown} | {meaning} |")
  return "\n".join(lines)


def meanings() -> dict[str, str]:
  """Returns the comment above each key of `base.get_config`."""
  found, comment, section = {}, [], ""
  source = SOURCE.read_text().partition("def tiny")[0]
  for line in source.splitlines():
    if line.strip().startswith("# "):
      comment.append(line.strip().removeprefix("# "))
      continue
    if match := _SECTION.match(line):
      section = key = match.group(1)
    elif match := _KEY.match(line):
      key = f"{section}.{match.group(1)}"
    else:
      continue
    if comment:
      found[key] = " ".join(comment)
    comment = []
  return found
