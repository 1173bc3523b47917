"""Probes against scikit-learn, and collapse figures against closed forms."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from infomin_jax.errors import UserError
from infomin_jax.eval.knn import TILE, knn_accuracy
from infomin_jax.eval.mi import effective_rank
from infomin_jax.eval.probe import linear_accuracy


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


def test_knn_with_fewer_rows_than_neighbours():
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
