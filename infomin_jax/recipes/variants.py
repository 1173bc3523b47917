"""Parses the words after the name of a config file: `moco_v2,200,tiny`."""

from collections.abc import Collection

from infomin_jax.errors import UserError, lookup


def parse(
  variant: str,
  rows: Collection[str],
  default: str,
  others: Collection[str] = (),
) -> tuple[str, tuple[str, ...], bool]:
  """Splits the variant of a config into its row and the other words.

  Args:
    variant: words separated by commas: at most one row, `tiny`, and others.
    rows: the rows of the config.
    default: the row if the variant names none.
    others: further words that the config accepts.

  Returns:
    The row, the other words, and whether the config is to be tiny.

  Raises:
    UserError: a word is unknown, or the variant names two rows.
  """
  words = [word for word in variant.split(",") if word not in ("", "tiny")]
  vocabulary = dict.fromkeys((*rows, *others, "tiny"))
  for word in words:
    lookup("variant of --config", word, vocabulary)
  chosen = [word for word in words if word in rows] or [default]
  if len(chosen) > 1:
    raise UserError(f"--config names two rows: {' and '.join(chosen)}.")
  rest = tuple(word for word in words if word not in rows)
  return chosen[0], rest, "tiny" in variant.split(",")
