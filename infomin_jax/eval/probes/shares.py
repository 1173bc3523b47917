"""Scores of guessed labels, next to the score of a constant guess."""

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import recall_score

from infomin_jax.errors import UserError

Value = float | str  # a number, or the reason why there is none


class NoProbe(UserError):
  """The rows do not allow a probe; `infomin evaluate` turns it into a note."""


def known(labels: np.ndarray) -> np.ndarray | slice:
  """Returns the rows of known labels; in labels `[n]`, negative is unknown.

  If all are known, the result is a slice, which copies nothing.
  """
  return slice(None) if (labels >= 0).all() else np.flatnonzero(labels >= 0)


def shares(
  labels: np.ndarray, guessed: np.ndarray, train_labels: np.ndarray
) -> dict[str, Value]:
  """Returns `accuracy` and, if classes are not balanced, two more scores.

  With c classes, they are not balanced if the largest has a share above
  `1/c + min(1/c, 0.15)`: 65 % of two classes, 20 % of ten. Then there are also
  `balanced_accuracy`, the mean recall of the classes that occur, and
  `largest_class`, the accuracy of always guessing the largest class.

  Args:
    labels: known labels of the test rows, `[m]`.
    guessed: guessed labels of the same rows, `[m]`.
    train_labels: known labels of the rows that were fitted, `[n]`.
  """
  scores: dict[str, Value] = {"accuracy": float(np.mean(labels == guessed))}
  present, counts = np.unique(labels, return_counts=True)
  largest = counts.max() / len(labels)
  equal = 1 / len(np.union1d(present, train_labels))
  if largest > equal + min(equal, 0.15):
    scores["balanced_accuracy"] = f"all test images are of class {present[0]}"
    if len(present) > 1:
      scores["balanced_accuracy"] = 1 - balanced_error(labels, guessed)
    scores["largest_class"] = float(largest)
  return scores


def balanced_error(labels: np.ndarray, guessed: np.ndarray) -> float:
  """Returns one minus the mean recall of the classes in labels `[m]`."""
  present = np.unique(labels)
  recall = recall_score(labels, guessed, labels=present, average="macro")
  return 1 - float(recall)


def mean_shares(found: Iterable[dict[str, Value]]) -> dict[str, Value]:
  """Returns the mean of several `shares` of the same test rows."""
  each = list(found)
  return {
    name: value
    if isinstance(value, str)
    else float(np.mean(np.array([row[name] for row in each], float)))
    for name, value in each[0].items()
  }
