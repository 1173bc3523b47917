"""Splits that keep what belongs together on one side: videos, patients."""

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
  """Rows of training and of test files, about every tenth of them `test`.

  Args:
    group: "folder", "blocks" or a regular expression; see `folder.load`.
    paths: below the data set's folder, with `/`.
    kinds: the class folder of each, or "".

  Returns:
    As `sources.every_tenth`: rows, first all of `train`, and the lengths.

  Raises:
    UserError: no such pattern, or no two groups.
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
      f"{names[0]!r}; two or more are needed: {_WAYS}."
    )
  within = collections.defaultdict(set)
  for name, kind in zip(names, kinds, strict=True):
    within[kind].add(name)
  if len(within) > 1 and all(len(found) == 1 for found in within.values()):
    raise UserError(
      f"data.group={group!r} makes one group of each class, so that no class "
      f"would be on both sides; expected {_WAYS}."
    )
  return split_rows(_by_class(names, kinds, len(within)))


def _by_class(names, kinds, classes) -> np.ndarray:
  """Chooses test rows: groups of each class, where none is in several."""
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
  found = [compiled.search(path) for path in paths]
  missed = [p for p, m in zip(paths, found, strict=True) if not m or not m[1]]
  if missed:
    raise UserError(
      f"data.group={pattern!r} finds no group in {len(missed)} of {len(paths)} "
      f"paths, such as {missed[0]!r}."
    )
  return [match[1] for match in found if match]


def tenth_of_groups(names: Sequence) -> np.ndarray:
  """Chooses test rows: whole groups, taken when a tenth allows it."""
  sizes = collections.Counter(names)  # in order of appearance
  chosen, tested, passed = set(), 0, 0
  for name, size in sizes.items():
    passed += size
    if 10 * (tested + size) <= passed:
      chosen.add(name)
      tested += size
  if not chosen:  # few groups: the smallest, of several the last
    least = min(sizes.values())
    chosen = {[name for name, size in sizes.items() if size == least][-1]}
  return np.array([name in chosen for name in names])


def last_tenths(kinds: Sequence[str]) -> np.ndarray:
  """Chooses test rows: the last tenth of each class, 1 or more of 10."""
  totals, passed = collections.Counter(kinds), collections.Counter()
  is_test = []
  for kind in kinds:
    passed[kind] += 1
    is_test.append(passed[kind] > totals[kind] - totals[kind] // 10)
  return np.array(is_test)
