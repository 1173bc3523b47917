"""Splits that keep related images, such as one patient's, on one side."""

import collections
import re
from collections.abc import Sequence

import numpy as np

from infomin_jax.data.sources import split_rows
from infomin_jax.errors import UserError

_WAYS = "folder, blocks, or a pattern whose first (...) names the group"


def split(
  group: str, paths: Sequence[str], kinds: Sequence[str]
) -> tuple[np.ndarray, dict[str, int]]:
  """Splits files into train and test, with about a tenth in test.

  Args:
    group: "folder", "blocks" or a regular expression; see `folder.load`.
    paths: paths below the data set's folder, with `/`.
    kinds: the class folder of each file, or "".

  Returns:
    Rows, those of `train` first, and the lengths, as `sources.every_tenth`.

  Raises:
    UserError: an invalid pattern, a pattern that does not match some files, or
      fewer than two groups.
  """
  if group == "blocks":
    return split_rows(last_tenths(kinds))
  if group == "folder":
    names = [path.rpartition("/")[0] for path in paths]
  else:
    names = _matched(group, paths)
  if len(set(names)) < 2:
    raise UserError(
      f"data.group={group!r} puts all {len(paths)} images into one group, "
      f"{names[0]!r}; expected two or more groups: {_WAYS}."
    )
  by_class = collections.defaultdict(set)
  for name, kind in zip(names, kinds, strict=True):
    by_class[kind].add(name)
  if len(by_class) > 1 and all(len(x) == 1 for x in by_class.values()):
    raise UserError(
      f"data.group={group!r} makes one group of each class, so no class would "
      f"be in both train and test; expected {_WAYS}."
    )
  return split_rows(_by_class(names, kinds, len(by_class)))


def _by_class(names, kinds, classes) -> np.ndarray:
  """Chooses test rows within each class, if no group is in several classes."""
  pairs = set(zip(names, kinds, strict=True))
  if classes < 2 or len(pairs) > len(set(names)):
    return tenth_of_groups(names)
  is_test, kinds = np.zeros(len(names), bool), np.array(kinds)
  for kind in np.unique(kinds):
    rows = np.flatnonzero(kinds == kind)
    own = [names[row] for row in rows]
    if len(set(own)) > 1:
      is_test[rows] = tenth_of_groups(own)
  return is_test


def _matched(pattern: str, paths: Sequence[str]) -> list[str]:
  try:
    compiled = re.compile(pattern)
  except re.error as error:
    raise UserError(
      f"data.group={pattern!r} is no regular expression ({error}); expected "
      f"{_WAYS}."
    ) from error
  if not compiled.groups:
    raise UserError(f"data.group={pattern!r} has no (...): expected {_WAYS}.")
  matches = [compiled.search(path) for path in paths]
  others = [p for p, m in zip(paths, matches, strict=True) if not m or not m[1]]
  if others:
    raise UserError(
      f"data.group={pattern!r} finds no group in {len(others)} of {len(paths)} "
      f"paths, such as {others[0]!r}."
    )
  return [match[1] for match in matches if match]


def tenth_of_groups(names: Sequence) -> np.ndarray:
  """Chooses test rows: a group is taken if test stays within a tenth so far."""
  sizes = collections.Counter(names)  # in order of appearance
  test_groups, test_count, count = set(), 0, 0
  for name, size in sizes.items():
    count += size
    if 10 * (test_count + size) <= count:
      test_groups.add(name)
      test_count += size
  if not test_groups:  # few groups: the smallest, or the last one of several
    least = min(sizes.values())
    test_groups = {[name for name, size in sizes.items() if size == least][-1]}
  return np.array([name in test_groups for name in names])


def last_tenths(kinds: Sequence[str]) -> np.ndarray:
  """Chooses test rows: the last tenth of each class, rounded down."""
  totals, counts = collections.Counter(kinds), collections.Counter()
  is_test = []
  for kind in kinds:
    counts[kind] += 1
    is_test.append(counts[kind] > totals[kind] - totals[kind] // 10)
  return np.array(is_test)
