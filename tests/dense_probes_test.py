"""Probes of streamed images and of maps: SGD on crops, segmentation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluate_test import tiny_config

from infomin_jax import data
from infomin_jax.errors import UserError
from infomin_jax.eval import evaluate as evaluation
from infomin_jax.eval.augmented import augmented_features
from infomin_jax.eval.case import Augmented
from infomin_jax.eval.embed import embed, some_of
from infomin_jax.eval.protocols import PROTOCOLS
from infomin_jax.eval.sgd_linear import RECIPES, fit_heads, top_accuracies
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.mesh import replicate

STEPS, COSINE = RECIPES["imagenet_linear"], RECIPES["imagenet_linear_cosine"]
MOCO = RECIPES["imagenet_linear_moco"]
CROPS = STEPS.views


# --- the schedules ----------------------------------------------------------


def test_rates_are_the_published_ones():
  want = 30 * np.array([1] * 30 + [0.2] * 10 + [0.04] * 10 + [0.008] * 10)
  np.testing.assert_allclose(STEPS.rates(30, 60), want)
  want = 30 * np.array([1] * 60 + [0.1] * 20 + [0.01] * 20)
  np.testing.assert_allclose(MOCO.rates(30, 100), want)
  cosine = COSINE.rates(30, 60)
  assert cosine[-1] == pytest.approx(0.24)  # the published floor
  assert cosine[29] == pytest.approx((30 + 0.24) / 2)
  assert (np.diff(cosine) < 0).all()


@pytest.mark.parametrize(
  "name,words",
  [
    (
      "imagenet_linear",
      "batch 512, 60 epochs, x0.2 after 30, 40, 50; crop 0.2",
    ),
    ("imagenet_linear_cosine", "cosine by epoch to 0.48; crop 0.2 to 1"),
    ("imagenet_linear_moco", "x0.1 after 36, 48; crop 0.08 to 1, flip"),
    ("imagenet_linear_randaugment", "50; randaugment 0.2 to 1, flip; all im"),
  ],
)
def test_settings_stand_beside_the_number(name, words):
  options = tiny_config(batch_size=512, epochs=60, train_examples=0).evaluate
  assert words in PROTOCOLS[name](options).name


# --- linear classifiers on a stream of features ------------------------------


def numpy_sgd(start, batches, rates):
  """Softmax regression by hand: momentum 0.9, PyTorch's update."""
  kernel, bias = (np.asarray(start[k], float) for k in ("kernel", "bias"))
  moving = [np.zeros_like(kernel), np.zeros_like(bias)]
  for epoch, x, y in batches:
    logits = x @ kernel + bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    grads = x.T @ p / len(y), p.mean(0)
    moving = [0.9 * m + g for m, g in zip(moving, grads, strict=True)]
    kernel = kernel - rates[epoch] * moving[0]
    bias = bias - rates[epoch] * moving[1]
  return kernel, bias


@pytest.fixture(scope="module")
def tiny():
  config = tiny_config(batch_size=32, epochs=5, train_examples=104)
  experiment = make_experiment(config, jax.devices()[:1])
  state = experiment.init()
  return experiment, evaluation.encoder_variables(state, "online")


def streamed(tiny, views, epochs, source=None):
  experiment, variables = tiny
  source = source or some_of(experiment.source, 104)
  batches = augmented_features(experiment, variables, source, "pool")
  return list(batches(views, epochs))


def test_without_augmentation_it_is_softmax_regression(tiny):
  experiment, variables = tiny
  config, source = experiment.config, some_of(experiment.source, 104)
  batches = streamed(tiny, {"name": "none"}, epochs=5)
  rates = STEPS.rates(3.0, 5)
  classes = {"digit": 10, "background": 8}
  options = dict(classes=classes, rates=rates, seed=0)
  got = fit_heads(batches, 8, **options)
  start = fit_heads([], 8, **options)

  place = {"config": config, "mesh": experiment.mesh}
  x, fields = embed(experiment.learner, variables, source, ("pool",), **place)
  order = data.indices(104, seed=config.seed, batch_size=32)
  rows = [next(order) for _ in range(5 * 104 // 32)]
  seen = np.bincount(np.concatenate(rows), minlength=104)
  assert len(batches) == len(rows) and set(seen) <= {4, 5}
  for task, field in (("digit", "label"), ("background", "background")):
    by_hand = [
      (32 * i // 104, x["pool"][row].astype(float), fields[field][row])
      for i, row in enumerate(rows)
    ]
    kernel, bias = numpy_sgd(start[task]["dense"], by_hand, rates)
    np.testing.assert_allclose(got[task]["dense"]["kernel"], kernel, atol=2e-3)
    np.testing.assert_allclose(got[task]["dense"]["bias"], bias, atol=2e-3)


def clusters(count, seed, classes=12):
  """Points around the corners of a simplex, and which."""
  rng = np.random.default_rng(seed)
  y = rng.integers(0, classes, count)
  x = np.eye(classes)[y] + rng.normal(0, 0.1, (count, classes))
  return x.astype(np.float32), y


def test_top_1_and_top_5():
  x, y = clusters(600, 0)
  test_x, test_y = clusters(300, 1)
  batches = [
    Augmented(epoch, jnp.asarray(x[i : i + 60]), {"name": y[i : i + 60]})
    for epoch in range(6)
    for i in range(0, 600, 60)
  ]
  # Of the second half of the tests the label is one of the 5 nearest by luck.
  wrong = np.concatenate([test_y[:150], (test_y[150:] + 1) % 12])
  options = dict(classes={"name": 12}, rates=STEPS.rates(30 * 60 / 256, 6))
  found = top_accuracies(batches, test_x, {"name": test_y}, **options)
  assert found["name"] == {"accuracy": 1.0, "accuracy, top 5": 1.0}
  found = top_accuracies(batches, test_x, {"name": wrong}, **options)["name"]
  assert found["accuracy"] == 0.5
  assert 0.6 < found["accuracy, top 5"] < 0.8  # 1/2 + 4/11 of the other half


@pytest.mark.parametrize("host_crops", [False, True])
def test_crops_are_new_each_epoch_and_the_same_each_run(tiny, host_crops):
  experiment, variables = tiny
  config = experiment.config.copy_and_resolve_references()
  config.data.host_crops = host_crops
  tiny = dataclasses.replace(experiment, config=config), variables
  source = some_of(experiment.source, 32)
  first, again = (streamed(tiny, CROPS, 2, source) for _ in range(2))
  assert [batch.epoch for batch in first] == [0, 1]
  for one, other in zip(first, again, strict=True):
    np.testing.assert_array_equal(one.x, other.x)
  by_index = [
    np.asarray(b.x)[np.lexsort([b.labels[t] for t in b.labels])] for b in first
  ]
  assert np.abs(by_index[0] - by_index[1]).mean() > 0.01


def test_devices_share_the_batches_and_do_not_change_them(tiny):
  experiment, variables = tiny
  devices = jax.devices()[:4]
  many = make_experiment(experiment.config, devices)
  many = many, replicate(many.mesh, variables)
  source = some_of(experiment.source, 32)
  ((_, x, labels),) = streamed(tiny, CROPS, 1, source)
  ((_, shared, same),) = streamed(many, CROPS, 1, source)
  assert set(shared.devices()) == set(devices)
  np.testing.assert_allclose(shared, x, atol=1e-5)
  np.testing.assert_array_equal(same["digit"], labels["digit"])


def test_it_runs_without_training_features(tiny, monkeypatch, tmp_path):
  experiment, _ = tiny
  config = experiment.config.copy_and_resolve_references()
  config.evaluate.update(protocols=("imagenet_linear",), test_examples=60)
  experiment = dataclasses.replace(experiment, config=config)
  limits = []

  def noted(*args, limit, **options):
    limits.append(limit)
    return embed(*args, limit=limit, **options)

  monkeypatch.setattr(evaluation, "embed", noted)
  state = experiment.init()
  rows = evaluation.evaluate(experiment, state, state, features=("learned",))
  assert limits == [60]  # the test set's alone
  assert [(r["task"], r["metric"]) for r in rows] == [
    (task, metric)
    for task in ("digit", "position", "background")
    for metric in ("accuracy", "accuracy, top 5")
  ]
  assert all(0 <= row["value"] <= 1 for row in rows)


def test_too_few_images_are_refused_at_once(tiny):
  experiment, _ = tiny
  config = experiment.config.copy_and_resolve_references()
  config.evaluate.update(protocols=("imagenet_linear",), train_examples=20)
  experiment = dataclasses.replace(experiment, config=config)
  with pytest.raises(UserError, match="batch_size is 32, but there are 20"):
    evaluation.evaluate(experiment, None, None)
