"""Probes against scikit-learn, and collapse figures against closed forms."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from infomin_jax.errors import UserError
from infomin_jax.eval.held_out import effective_rank
from infomin_jax.eval.probes.knn import TILE, knn_accuracy, knn_guesses
from infomin_jax.eval.probes.label_information import label_information
from infomin_jax.eval.probes.linear import linear_accuracy
from infomin_jax.eval.probes.shares import shares


@pytest.fixture(scope="module")
def digits():
  x, y = load_digits(return_X_y=True)
  x = x.astype(np.float32)
  return x[:1200], y[:1200], x[1200:], y[1200:]


def slow_knn(x, y, test_x, classes, k, temperature):
  guesses = []
  for row in test_x:
    cosine = x @ row / np.linalg.norm(x, axis=1) / np.linalg.norm(row)
    votes = np.zeros(classes)
    for i in np.argsort(-cosine)[:k]:
      votes[y[i]] += np.exp(cosine[i] / temperature)
    guesses.append(votes.argmax())
  return np.array(guesses)


@pytest.mark.parametrize("k,temperature", [(1, 0.07), (20, 0.07), (200, 0.5)])
def test_knn_is_the_weighted_vote(digits, k, temperature):
  x, y, test_x, test_y = digits
  assert len(test_x) % TILE, "the last tile is not full"
  got = knn_accuracy(*digits, classes=10, k=k, temperature=temperature)
  want = np.mean(slow_knn(x, y, test_x, 10, k, temperature) == test_y)
  assert got == pytest.approx(want, abs=1 / len(test_y) + 1e-9)


def test_knn_with_fewer_rows_than_neighbors():
  x = np.eye(3, dtype=np.float32)
  labels = np.arange(3)
  got = knn_accuracy(x, labels, x, labels, classes=3, k=200, temperature=0.07)
  assert got == 1.0


def test_linear_probe_matches_scikit_learn(digits):
  x, y, test_x, test_y = digits
  got = linear_accuracy(*digits, iterations=100)

  def scale(v):
    return (v - x.mean(0)) / np.maximum(x.std(0), 1e-6)

  # Its penalty is 1 / (n C) in ours; the selection chooses near 1e-3.
  model = LogisticRegression(C=1 / (1e-3 * len(x)), max_iter=2000)
  want = model.fit(scale(x), y).score(scale(test_x), test_y)
  assert got == pytest.approx(want, abs=0.015)


def test_linear_probe_of_noise_is_chance():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(3000, 8)).astype(np.float32)
  y = rng.integers(0, 5, 3000)
  got = linear_accuracy(x[:2000], y[:2000], x[2000:], y[2000:], iterations=50)
  assert abs(got - 0.2) < 3 * np.sqrt(0.2 * 0.8 / 1000)


@pytest.mark.parametrize("labels", [np.arange(10), np.zeros(40, int)])
def test_a_probe_of_too_little_is_refused(labels):
  x = np.zeros((len(labels), 3), np.float32)
  with pytest.raises(UserError, match="at least 20 training images"):
    linear_accuracy(x, labels, x, labels, iterations=5)


def test_effective_rank_counts_equal_directions():
  corners = np.concatenate([np.eye(6), -np.eye(6)]).astype(np.float32)
  assert effective_rank(corners) == pytest.approx(6, rel=1e-4)
  line = np.outer(np.arange(10), np.ones(6)).astype(np.float32)
  assert effective_rank(line) == pytest.approx(1, rel=1e-3)


def test_no_tie_of_neighbors_depends_on_their_order():
  # Eight directions, each there many times: the k-th place is always a tie.
  rng = np.random.default_rng(0)
  x = np.repeat(rng.normal(size=(8, 3)), 12, axis=0).astype(np.float32)
  y = rng.integers(0, 3, len(x))
  options = dict(classes=3, k=5, temperature=0.07)
  want = knn_guesses(x, y, x[::12], **options)
  counts = [np.bincount(y[i : i + 12], minlength=3) for i in range(0, 96, 12)]
  for guess, count in zip(want, counts, strict=True):
    assert count[guess] == count.max()
  for seed in range(4):
    order = np.random.default_rng(seed).permutation(len(x))
    got = knn_guesses(x[order], y[order], x[::12], **options)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("order", [np.sort, np.asarray])
def test_no_tie_of_votes_favors_a_class(order):
  # Features that collapsed, sorted by class or not: a guess can only be chance.
  x, y = np.ones((400, 4), np.float32), order(np.arange(400) % 4)
  got = knn_guesses(x, y, x, classes=4, k=20, temperature=0.07)
  assert np.abs(np.bincount(got, minlength=4) - 100).max() < 35
  assert abs(np.mean(got == y) - 0.25) < 0.09  # 4 standard errors


def test_the_nearest_decides_between_classes_with_as_many_votes():
  angle = np.array([0.2, 0.1])
  x = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
  rows = np.array([[1.0, 0.0]], np.float32)
  for temperature in (1e6, 1e-4):  # votes are alike, or nearly none
    options = dict(classes=2, k=2, temperature=temperature)
    assert knn_guesses(x, np.array([0, 1]), rows, **options) == [1]


@pytest.mark.parametrize("rare", [1, 2])
def test_a_rare_class_is_fitted_whatever_the_split(rare):
  rng = np.random.default_rng(0)
  y = np.r_[np.ones(rare, int), np.zeros(60 - rare, int)]
  x = (y[:, None] * 5 + rng.normal(0, 0.1, (60, 2))).astype(np.float32)
  # The seeds that put all rare rows into the tenth that selects.
  bad = [
    seed
    for seed in range(400)
    if max(np.argsort(np.random.default_rng(seed).permutation(60))[:rare]) < 6
  ]
  for seed in bad[:2]:
    assert linear_accuracy(x, y, x, y, iterations=50, seed=seed) == 1.0
    found = label_information(
      *(x, y, x, y), classes=2, iterations=50, seed=seed
    )
    assert 0 <= found.nats <= found.ceiling


def test_shares_of_classes_that_are_not_balanced():
  y = np.repeat([0, 1], [99, 1])
  found = shares(y, np.zeros(100, int), y)
  assert found == {
    "accuracy": 0.99,
    "balanced_accuracy": 0.5,
    "largest_class": 0.99,
  }
  assert shares(y, y, y)["balanced_accuracy"] == 1.0
  even = np.arange(100) % 2
  assert shares(even, np.zeros(100, int), even) == {"accuracy": 0.5}
  ten = np.r_[np.arange(90) % 10, np.zeros(10, int)]  # 19 % of ten classes
  assert shares(ten, ten, ten) == {"accuracy": 1.0}
  one = shares(np.ones(5, int), np.ones(5, int), even)
  assert one["balanced_accuracy"] == "all test images are of class 1"
  assert one["largest_class"] == 1.0
