"""Reports on probes of rare, missing and imbalanced classes: 22 and 23."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from report import Report, holds, infomin

ROWS = 200
CLASSIFIERS = ("knn", "linear", "svm", "mlp")
OPTIONS = dict(
  k=20,
  temperature=0.07,
  iterations=30,
  epochs=1,
  label_share=1.0,
  decoder_width=8,
  batch_size=64,
  train_examples=0,
)


def probed(
  train_labels, test_labels, names=CLASSIFIERS, x=None, test_x=None
) -> dict[str, Mapping]:
  """Returns the metrics of protocols by name, on noise by default."""
  import ml_collections

  from infomin_jax.eval.probes import PROTOCOLS
  from infomin_jax.eval.probes.protocol import Case, Part

  rng = np.random.default_rng(0)
  parts: list[Part] = []
  for y, own in ((train_labels, x), (test_labels, test_x)):
    noise = rng.normal(size=(len(y), 8)).astype(np.float32)
    parts.append(Part(noise if own is None else own, {"label": np.asarray(y)}))
  classes = max(2, 1 + max(np.max(train_labels), np.max(test_labels)))
  train, test = parts
  case = Case(train, test, {"label": int(classes)}, seed=0)
  options = ml_collections.ConfigDict(OPTIONS)
  return {n: PROTOCOLS[n](options).run(case)["label"] for n in names}


def noted(train_labels, test_labels, word: str, names=CLASSIFIERS, **features):
  """Returns a check that every protocol has a note instead of a number."""

  def check(folder):
    del folder
    metrics_by_name = probed(train_labels, test_labels, names, **features)
    for metrics in metrics_by_name.values():
      ((_, value),) = metrics.items()
      assert isinstance(value, str) and word in value, metrics_by_name

  return check


def rare(count: int, total: int = ROWS, names=("linear", "label_information")):
  """Returns a check that a rare class is fitted for any random split."""

  def check(folder):
    del folder
    y = np.r_[np.ones(count, int), np.zeros(total - count, int)]
    x = 4 * y[:, None] + np.random.default_rng(0).normal(0, 0.1, (total, 3))
    x = x.astype(np.float32)
    metrics = probed(y, y, names, x=x, test_x=x)
    if "linear" in metrics:
      assert metrics["linear"]["accuracy"] == 1.0, metrics
      assert metrics["linear"]["balanced_accuracy"] == 1.0, metrics
    for value in metrics.get("label_information", {}).values():
      assert np.isfinite(value), metrics

  return check


def one_row_in_the_selecting_tenth(folder) -> None:
  """Fits a class of one row with 30 seeds.

  In a tenth of the seeds the row is in the part that selects the L2 penalty,
  and must not be missing from the fit.
  """
  del folder
  from infomin_jax.eval.probes.linear import linear_accuracy

  y = np.r_[1, np.zeros(29, int)]
  x = np.stack([y, -y], 1).astype(np.float32)
  for seed in range(30):
    assert linear_accuracy(x, y, x, y, iterations=30, seed=seed) == 1.0


def skewed(share: float, classes: int = 2) -> Callable:
  """Returns a check of noise features when one class has a given share."""

  def check(folder):
    del folder
    rest = 1 + np.arange(round((1 - share) * 1000)) % (classes - 1)
    y = np.r_[np.zeros(1000 - len(rest), int), rest]
    metrics = probed(y, y, ("linear",), test_x=noise(1000))["linear"]
    assert abs(metrics["largest_class"] - share) < 0.01, metrics
    assert abs(metrics["balanced_accuracy"] - 1 / classes) < 0.1, metrics
    assert metrics["accuracy"] > share - 0.1, metrics

  return check


def noise(count: int) -> np.ndarray:
  """Returns features that are independent of any label."""
  return np.random.default_rng(7).normal(size=(count, 8)).astype(np.float32)


def balanced(folder) -> None:
  y = np.arange(1000) % 10
  by_name = probed(y, y, ("knn", "linear"))
  assert all(metrics.keys() == {"accuracy"} for metrics in by_name.values())


def collapsed(order: Callable) -> Callable:
  """Returns a check that equal features give no class more than its share."""

  def check(folder):
    del folder
    y = order(np.repeat(np.arange(4), 50))
    x = np.ones((200, 8), np.float32)
    metrics = probed(y, np.sort(y)[::-1], ("knn",), x=x, test_x=x)["knn"]
    assert abs(metrics["accuracy"] - 0.25) < 0.13, metrics

  return check


def tied_pairs(folder) -> None:
  """Checks that neither of two equally near classes always wins."""
  from infomin_jax.eval.probes.knn import knn_guesses

  x, y = np.ones((2, 3), np.float32), np.arange(2)
  rows = np.ones((100, 3), np.float32)
  guessed = knn_guesses(x, y, rows, classes=2, k=2, temperature=0.07)
  assert 30 < guessed.sum() < 70


def sharp_votes(folder) -> None:
  """Checks a temperature at which every vote is 0 in float32."""
  from infomin_jax.eval.probes.knn import knn_guesses

  x = np.array([[1, 0.5], [1, 3]], np.float32)
  row = np.array([[1, 0]], np.float32)
  options = dict(classes=2, k=2, temperature=1e-4)
  assert knn_guesses(x, np.array([1, 0]), row, **options) == [1]


def run(folder, labels, more: str = "", test_labels=None):
  """Trains two steps on arrays; returns the output and the last metrics."""
  rng = np.random.default_rng(0)

  def images(count):
    return rng.integers(0, 256, (count, 16, 16, 1), np.uint8)

  arrays: dict[str, Any] = dict(images=images(len(labels)), labels=labels)
  if test_labels is not None:
    arrays = dict(x_train=arrays["images"], y_train=labels)
    arrays |= dict(x_test=images(len(test_labels)), y_test=test_labels)
  np.savez(folder / "a.npz", **arrays)
  (folder / "c.py").write_text(CONFIG.format(root=ROOT, more=more))
  said = infomin(
    "train",
    f"--config={folder / 'c.py'}",
    f"--workdir={folder / 'run'}",
    f"--config.data.path={folder / 'a.npz'}",
  )
  lines = folder / "run" / "metrics.jsonl"
  last = lines.read_text().splitlines()[-1] if lines.exists() else "{}"
  return said, json.loads(last)


ROOT = pathlib.Path(__file__).parents[2]
CONFIG = """
import runpy
def get_config():
  make = runpy.run_path("{root}/configs/own_images.py")["get_config"]
  config = make("tiny")
  config.data.update(name="arrays", image_size=0, channels=0)
  config.views.size = 16
  config.run.writers = ()
  config.encoder.update(widths=(4,), strides=(4,))
  config.evaluate.update(epochs=1, iterations=5)
  {more}
  return config
"""


def one_rare_image(folder) -> None:
  """Checks that training ends and prints the accuracy of a constant guess."""
  said, last = run(folder, np.r_[0, 1, np.zeros(98, int)])
  assert said.status == 0, said.err
  holds(said.err, "a constant guess has that accuracy")
  assert "linear" in last and last["largest_class"] >= 0.9, last


def unlabeled_test(folder) -> None:
  """Checks that training ends without probes and prints that."""
  said, last = run(folder, np.arange(80) % 2, test_labels=np.full(32, -1))
  assert said.status == 0, said.err
  holds(said.err, "no probes while training")
  assert "linear" not in last, last


def evaluated(folder) -> None:
  """Checks that all commands read rows without a value from strict JSON."""
  y = np.zeros(100, int)
  said, _ = run(folder, y, test_labels=np.arange(40) % 2)
  assert said.status == 0, said.err
  holds(said.err, "No linear probe of label", "No knn probe of label")
  workdir = folder / "run"
  said = infomin(
    "evaluate", f"--workdir={workdir}", "--protocols=knn,label_information"
  )
  assert said.status == 0, said.err
  holds(said.out, "no accuracy of knn: all training images are of class 0")

  def stop(word):
    raise AssertionError(f"{word} in evaluation.json")

  text = (workdir / "evaluation.json").read_text()
  rows = json.loads(text, parse_constant=stop)["rows"]
  assert all(row["value"] is None and row["note"] for row in rows)
  assert infomin("report", workdir).status == 0
  assert infomin("runs", folder).status == 0


_Y = np.arange(ROWS) % 2
_NONE = np.full(ROWS, -1)
REPORTS: tuple[Report, ...] = tuple(
  Report(kind, given, right, check)
  for kind, given, right, check in (
    (
      22,
      "one row of a class, 30 seeds",
      "it is fitted",
      one_row_in_the_selecting_tenth,
    ),
    (22, "two rows of 500 of a class", "it is fitted", rare(2, 500)),
    (22, "three rows of 40 of a class", "it is fitted", rare(3, 40)),
    (
      22,
      "training images of class 3 alone",
      "a note",
      noted(_Y * 0 + 3, _Y, "of class 3"),
    ),
    (
      22,
      "no label of training is known",
      "a note",
      noted(_NONE, _Y, "no training image"),
    ),
    (
      22,
      "no label of the test is known",
      "a note",
      noted(_Y, _NONE, "no test image"),
    ),
    (
      22,
      "test classes that training lacks",
      "a note",
      noted(_Y, _Y + 5, "have no training"),
    ),
    (
      22,
      "a test set of one class",
      "no nats",
      noted(_Y, _Y * 0, "entropy is 0", ("label_information",)),
    ),
    (
      22,
      "a test set of one class, attributes",
      "no balanced error",
      noted(_Y, _Y * 0 + 1, "of class 1", ("attributes",)),
    ),
    (
      22,
      "twelve training images",
      "a note",
      noted(np.arange(12) % 2, _Y, "at least 20", ("linear",)),
    ),
    (
      22,
      "features that are NaN",
      "a note",
      noted(_Y, _Y, "not a number", x=noise(ROWS) * np.nan),
    ),
    (22, "one image of a class, trained", "the run ends", one_rare_image),
    (22, "a test set of -1, trained", "the run ends", unlabeled_test),
    (22, "rows without a value", "every reader takes them", evaluated),
    (23, "99 % of two classes", "balanced accuracy", skewed(0.99)),
    (23, "90 % of two classes", "balanced accuracy", skewed(0.9)),
    (23, "70 % of two classes", "balanced accuracy", skewed(0.7)),
    (23, "60 % of five classes", "balanced accuracy", skewed(0.6, 5)),
    (23, "ten balanced classes", "accuracy alone", balanced),
    (
      23,
      "collapsed features, sorted by class",
      "a quarter",
      collapsed(np.sort),
    ),
    (
      23,
      "collapsed features, the last class first",
      "a quarter",
      collapsed(lambda y: np.sort(y)[::-1]),
    ),
    (23, "two neighbours as near", "neither always wins", tied_pairs),
    (23, "votes that vanish in float32", "the nearest wins", sharp_votes),
  )
)
