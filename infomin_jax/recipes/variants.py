"""The words after a config file's name: `moco_v2,200,tiny`."""

from collections.abc import Collection

from infomin_jax.errors import UserError, lookup


def parse(
  variant: str,
  rows: Collection[str],
  default: str,
  others: Collection[str] = (),
) -> tuple[str, tuple[str, ...], bool]:
  """The row that a config's variant asks for, and the rest.

  Args:
    variant: words separated by commas: a row, `tiny`, others.
    rows: that the config has.
    default: the row if none is named.
    others: further words that the config knows.

  Returns:
    The row, the other words, and whether it is to be tiny.

  Raises:
    UserError: an unknown word, or two rows.
  """
  words = [word for word in variant.split(",") if word not in ("", "tiny")]
  known = dict.fromkeys((*rows, *others, "tiny"))
  for word in words:
    lookup("variant of --config", word, known)
  named = [word for word in words if word in rows] or [default]
  if len(named) > 1:
    raise UserError(f"--config names two rows: {' and '.join(named)}.")
  rest = tuple(word for word in words if word not in rows)
  return named[0], rest, "tiny" in variant.split(",")
