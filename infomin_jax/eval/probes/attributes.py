"""Class-balanced errors of the 200-unit classifier on binary attributes."""

import numpy as np

from infomin_jax.eval.probes.mlp import SETTINGS, guesses
from infomin_jax.eval.probes.protocol import Protocol
from infomin_jax.eval.probes.shares import balanced_error, known


def attribute_errors(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
) -> np.ndarray:
  """Returns class-balanced test errors of `MLPProbe`, `[a]`, in [0, 1].

  The error is the mean of the errors of the two classes. A guess that ignores
  the image therefore has error 0.5, even if the attribute is rare. In training,
  both classes have equal weight.

  Differs from the paper: it reports such errors on CelebA without naming the
  classifier.

  Args:
    train_features: `[n, d]`.
    train_labels: 0 or 1, `[n, a]`; negative labels are unknown.
    test_features: `[m, d]`.
    test_labels: 0 or 1, `[m, a]`; negative labels are unknown.
    epochs: of Adam.
    seed: of initial parameters, dropout and the order of the rows.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    appendix.
  """
  count = train_labels.shape[1]
  epoch_guesses = guesses(
    train_features,
    train_labels,
    test_features,
    classes=[2] * count,
    epochs=epochs,
    seed=seed,
    balanced=True,
  )
  rows = [known(y) for y in test_labels.T]
  errors = [
    [balanced_error(test_labels[r, i], g[r, i]) for i, r in enumerate(rows)]
    for g in epoch_guesses
  ]
  return np.mean(errors, axis=0)


def protocol(options) -> Protocol:
  """Returns the probe of binary attributes, with class-balanced errors."""

  def run(case):
    binary = [task for task, count in case.classes.items() if count == 2]
    ready, notes = case.possible(binary, metric="balanced_error")
    for task, (_, test) in list(ready.items()):
      present = np.unique(case.test.labels[task][test])
      if len(present) < 2:
        why = f"all test images are of class {present[0]}"
        notes[task] = {"balanced_error": why}
        del ready[task]
    if not ready:
      return notes
    errors = attribute_errors(
      *case.train.stacked(ready),
      *case.test.stacked(ready),
      epochs=options.epochs,
      seed=case.seed,
    )
    rows = dict(zip(ready, errors, strict=True))
    rows[f"mean of {len(ready)} attributes"] = errors.mean()
    return {task: {"balanced_error": x} for task, x in rows.items()} | notes

  name = f"attributes ({SETTINGS}, classes balanced, {options.epochs} epochs)"
  return Protocol(name, run, frozenset({"labels", "binary"}))
