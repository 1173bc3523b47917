"""Trained probes: what they can tell apart, and what training moves."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

from infomin_jax.errors import UserError
from infomin_jax.eval.probes.attributes import attribute_errors
from infomin_jax.eval.probes.finetune import finetuned_accuracy, labeled_part
from infomin_jax.eval.probes.fit import RATE, final, fit, in_tiles, last_tenth
from infomin_jax.eval.probes.linear import linear_accuracy
from infomin_jax.eval.probes.mlp import (
  _balance,
  _even,
  guesses,
  mlp_accuracies,
)
from infomin_jax.eval.probes.protocol import Case, Part
from infomin_jax.eval.probes.shares import balanced_error
from infomin_jax.eval.probes.svm import FITS, svm_accuracies
from infomin_jax.train.mesh import make_mesh


def half_square(params, stats, rows, key):
  del key
  return jnp.mean(jnp.sum((params - rows["x"]) ** 2, axis=-1)) / 2, stats + 1


def test_fit_reaches_the_minimum_and_counts_its_steps():
  x = np.random.default_rng(0).normal(0, 1e-3, (70, 3)).astype(np.float32)
  params, steps = final(
    fit(half_square, jnp.zeros((1, 3)), 0, {"x": x}, epochs=40, seed=0, batch=7)
  )
  np.testing.assert_allclose(params[0], x.mean(0), atol=1e-4)
  assert steps == 400


def test_the_rate_drops_after_the_named_epochs():
  # A constant gradient: Adam's step is then the rate.
  def loss(params, stats, rows, key):
    del rows, key
    return params, stats

  rows = {"x": np.zeros((20, 1), np.float32)}
  found = fit(
    loss, jnp.float32(0), {}, rows, epochs=4, seed=0, batch=8, drops=(1, 3)
  )
  places = np.array([0.0, *(params for params, _ in found)])
  np.testing.assert_allclose(
    -np.diff(places) / RATE, [2, 0.2, 0.2, 0.02], rtol=1e-2
  )


def test_side_by_side_is_as_alone():
  x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)

  def both(params, stats, rows, key):
    return sum(half_square(p, 0, rows, key)[0] for p in params), stats

  start = jax.random.normal(jax.random.key(0), (2, 1, 2))
  together, _ = final(fit(both, start, 0, {"x": x}, epochs=5, seed=0, batch=8))
  for i in range(2):
    alone, _ = final(
      fit(half_square, start[i], 0, {"x": x}, epochs=5, seed=0, batch=8)
    )
    np.testing.assert_allclose(together[i], alone, rtol=1e-6)


def test_every_row_is_seen_as_often_within_a_batch():
  seen = np.zeros(10)

  def loss(params, stats, rows, key):
    del key
    counts = jnp.sum(jax.nn.one_hot(rows["row"], 10), axis=0)
    return jnp.sum(params), stats + counts

  _, seen = final(
    fit(
      loss,
      jnp.zeros(1),
      jnp.zeros(10),
      {"row": np.arange(10)},
      epochs=9,
      seed=0,
      batch=5,
    )
  )
  np.testing.assert_array_equal(seen, 9)


@pytest.mark.parametrize("epochs,left", [(1, 1), (9, 1), (30, 3), (1000, 100)])
def test_the_last_tenth(epochs, left):
  found = list(last_tenth(iter(range(epochs)), epochs))
  assert found == list(range(epochs - left, epochs))


@pytest.mark.parametrize("count", [1, 5, 6, 12])
def test_tiles_are_put_together(count):
  rows = np.arange(2 * count).reshape(count, 2)
  got = in_tiles(lambda x: x.sum(1), rows, tile=5)
  np.testing.assert_array_equal(got, rows.sum(1))


def xor(count, seed):
  x = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
  return x.astype(np.float32), (x[:, 0] * x[:, 1] > 0).astype(int)


@pytest.mark.slow
def test_the_mlp_tells_apart_what_a_line_cannot():
  (x, y), (test_x, test_y) = xor(3000, 0), xor(1000, 1)
  flat = linear_accuracy(x, y, test_x, test_y, iterations=50)
  assert flat < 0.6
  # The second task is to tell the half-planes: both are learned at once.
  tasks = np.stack([y, x[:, 0] > 0], 1).astype(int)
  test_tasks = np.stack([test_y, test_x[:, 0] > 0], 1).astype(int)
  found = mlp_accuracies(
    x, tasks, test_x, test_tasks, classes=[2, 2], epochs=25
  )
  assert found.min() > 0.93


def test_no_guess_is_beyond_a_task_s_classes():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(90, 4)).astype(np.float32)
  labels = np.stack([rng.integers(0, c, 90) for c in (3, 7)], 1)
  (found,) = guesses(x, labels, x, classes=[3, 7], epochs=1, seed=0)
  assert found.shape == (90, 2)
  assert found[:, 0].max() <= 2
  assert 2 < found[:, 1].max() <= 6


def test_unknown_labels_count_for_nothing():
  labels = np.array([-1, 0, 0, 0, 1, -1])
  np.testing.assert_allclose(_even(labels), [0, 1.5, 1.5, 1.5, 1.5, 0])
  np.testing.assert_allclose(_balance(labels), [0, 1, 1, 1, 3, 0])
  # Were -1 an index, most rows of the first class would have the last one.
  x = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
  y = (x[:, 0] > 0).astype(int)
  hidden = np.where((y == 0) & (np.arange(600) % 4 > 0), -1, y)
  (found,) = mlp_accuracies(
    x, hidden[:, None], x, y[:, None], classes=[2], epochs=20
  )
  assert found > 0.7


def test_a_constant_guess_has_half_the_balanced_error():
  labels = np.array([0] * 95 + [1] * 5)
  assert balanced_error(labels, np.zeros(100, int)) == 0.5
  assert balanced_error(labels, labels) == 0
  guessed = np.random.default_rng(0).integers(0, 2, 100)
  want = 1 - balanced_accuracy_score(labels, guessed)
  assert balanced_error(labels, guessed) == pytest.approx(want)


def test_rare_attributes_are_found_and_noise_is_not():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(4000, 3)).astype(np.float32)
  rare = (x[:, 0] > 1.6).astype(int)  # 5 in 100
  noise = (rng.random(4000) < 0.05).astype(int)
  labels = np.stack([rare, noise], 1)
  found = attribute_errors(
    x[:3000], labels[:3000], x[3000:], labels[3000:], epochs=15
  )
  assert found[0] < 0.15
  assert abs(found[1] - 0.5) < 0.12


@pytest.fixture(scope="module")
def digits():
  x, y = load_digits(return_X_y=True)
  return x.astype(np.float32) / 16, y


def test_converged_svms_agree_and_find_the_margin(digits):
  x, y = digits
  found = svm_accuracies(
    x[:1000], y[:1000], x[1000:], y[1000:], iterations=1000
  )
  assert found.shape == (FITS,)
  assert found.mean() > 0.9
  assert found.std() < 0.005
  early = svm_accuracies(x[:1000], y[:1000], x[1000:], y[1000:], iterations=1)
  assert early.std() > 0


class Narrow(nn.Module):
  """An encoder to two numbers: too few, unless they are the right ones."""

  @nn.compact
  def __call__(self, images, train):
    x = images.reshape(len(images), -1) / 255
    x = nn.BatchNorm(not train)(nn.Dense(64)(x))
    return nn.Dense(2)(nn.relu(x))


def encode(variables, images, key):
  out, moved = Narrow().apply(
    variables, images, train=key is not None, mutable=["batch_stats"]
  )
  return out, moved["batch_stats"]


@pytest.mark.slow
def test_finetuning_improves_on_the_frozen_encoder(digits):
  x, y = digits
  images = (255 * x).astype(np.uint8).reshape(-1, 8, 8, 1)
  variables = Narrow().init(jax.random.key(0), images[:2], train=True)
  before = jax.tree.map(np.array, variables)
  frozen = np.asarray(encode(variables, images, None)[0])
  (accuracy,) = mlp_accuracies(
    frozen[:1200],
    y[:1200, None],
    frozen[1200:],
    y[1200:, None],
    classes=[10],
    epochs=40,
  )
  tuned = finetuned_accuracy(
    encode,
    variables,
    images[:1200],
    y[:1200],
    images[1200:],
    y[1200:],
    classes=10,
    epochs=40,
  )
  assert tuned > accuracy + 0.1
  jax.tree.map(np.testing.assert_array_equal, before, dict(variables))


def test_finetuning_on_a_mesh_is_as_on_one_device(digits):
  x, y = digits
  images = (255 * x).astype(np.uint8).reshape(-1, 8, 8, 1)
  variables = Narrow().init(jax.random.key(0), images[:2], train=True)
  data = (images[:640], y[:640], images[640:900], y[640:900])
  mesh = make_mesh(jax.devices()[:4])
  accuracies = [
    finetuned_accuracy(encode, variables, *data, classes=10, epochs=3, mesh=m)
    for m in (None, mesh)
  ]
  assert accuracies[0] == pytest.approx(accuracies[1], abs=0.02)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_each_class_keeps_its_share_of_labels(share):
  labels = np.array([0] * 200 + [1] * 50 + [2] * 3)
  np.random.default_rng(0).shuffle(labels)
  kept = labeled_part(labels, share, seed=0)
  want = [max(1, round(share * count)) for count in (200, 50, 3)]
  np.testing.assert_array_equal(np.bincount(labels[kept]), want)
  assert len(set(kept)) == len(kept)
  other = labeled_part(labels, share, seed=1)
  assert share == 1 or list(other) != list(kept)


def test_a_training_label_beyond_the_classes_is_refused():
  x, y = np.zeros((4, 2), np.float32), np.array([0, 1, 2, -1])
  with pytest.raises(UserError, match="label 2: expected labels from 0 to 1"):
    Case(Part(x, {"kind": y}), Part(x, {"kind": y}), {"kind": 2}, seed=0)
  Case(Part(x, {"kind": y}), Part(x, {"kind": y + 5}), {"kind": 3}, seed=0)
