"""Probes of streamed images, of maps, and of what labels are told of."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import encoded, tiny_config, write_set
from scipy.special import log_softmax

from infomin_jax import data
from infomin_jax.data.decode import resize_crop
from infomin_jax.data.masks import nearest_crop
from infomin_jax.data.sources import Subset
from infomin_jax.encoders.convnet import Output
from infomin_jax.errors import UserError
from infomin_jax.eval import cases
from infomin_jax.eval import evaluate as evaluation
from infomin_jax.eval.embed import (
  embed,
  encoder_variables,
  held_out_batches,
  small_images,
  small_masks,
  some_of,
)
from infomin_jax.eval.probes import PROTOCOLS
from infomin_jax.eval.probes.augmented import augmented_features
from infomin_jax.eval.probes.label_information import label_information
from infomin_jax.eval.probes.protocol import Augmented
from infomin_jax.eval.probes.segmentation import (
  confusion,
  mean_iou,
  pixel_logits,
  pixel_loss,
  segmentation_scores,
)
from infomin_jax.eval.probes.sgd_linear import (
  RECIPES,
  fit_heads,
  top_accuracies,
)
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.mesh import make_mesh, replicate
from infomin_jax.views.image_ops import nearest_center, resize_center

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
  return experiment, experiment.init()


def changed(experiment, **evaluate):
  config = experiment.config.copy_and_resolve_references()
  config.evaluate.update(evaluate)
  return dataclasses.replace(experiment, config=config)


def streamed(tiny, views, epochs, source=None):
  experiment, state = tiny
  variables = encoder_variables(state, "online")
  source = source or some_of(experiment.source, 104)
  batches = augmented_features(experiment, variables, source, "pool")
  return list(batches(views, epochs))


def test_without_augmentation_it_is_softmax_regression(tiny):
  experiment, state = tiny
  variables = encoder_variables(state, "online")
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
  experiment, state = tiny
  config = experiment.config.copy_and_resolve_references()
  config.data.host_crops = host_crops
  tiny = dataclasses.replace(experiment, config=config), state
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
  experiment, state = tiny
  devices = jax.devices()[:4]
  many = dataclasses.replace(experiment, mesh=make_mesh(devices))
  many = many, replicate(many.mesh, state)
  source = some_of(experiment.source, 32)
  ((_, x, labels),) = streamed(tiny, CROPS, 1, source)
  ((_, shared, same),) = streamed(many, CROPS, 1, source)
  assert set(shared.devices()) == set(devices)
  np.testing.assert_allclose(shared, x, atol=1e-5)
  np.testing.assert_array_equal(same["digit"], labels["digit"])


def test_it_runs_without_training_features(tiny, monkeypatch, tmp_path):
  experiment, state = tiny
  experiment = changed(
    experiment, protocols=("imagenet_linear",), test_examples=60
  )
  limits = []

  def noted(*args, limit, **options):
    limits.append(limit)
    return embed(*args, limit=limit, **options)

  monkeypatch.setattr(cases, "embed", noted)
  rows = evaluation.evaluate(experiment, state, state, features=("learned",))
  assert limits == [60]  # the test set's alone
  assert [(r["task"], r["metric"]) for r in rows] == [
    (task, metric)
    for task in ("digit", "position", "background")
    for metric in ("accuracy", "accuracy, top 5")
  ]
  assert all(0 <= row["value"] <= 1 for row in rows)


def test_too_few_images_are_refused_at_once(tiny):
  experiment = changed(
    tiny[0], protocols=("imagenet_linear",), train_examples=20
  )
  with pytest.raises(UserError, match="batch_size is 32, but there are 20"):
    evaluation.evaluate(experiment, None, None)


# --- masks -------------------------------------------------------------------


def step_edge(height, width, row, column):
  """A mask of two classes, and the image that shows it."""
  mask = np.zeros((height, width), np.uint8)
  mask[row:, column:] = 1
  return mask, np.repeat(255 * mask[..., None], 3, -1)


@pytest.mark.parametrize(
  "shape,resize,size",
  [((40, 40), 0, 20), ((31, 47), 24, 20), ((15, 20), 0, 32), ((20, 20), 0, 20)],
)
def test_masks_are_cut_as_images_are(shape, resize, size):
  mask, image = step_edge(*shape, shape[0] // 3, shape[1] // 2)
  seen = jax.jit(lambda x: resize_center(x[None], resize, size)[0, ..., 0])(
    image
  )
  cut = jax.jit(lambda x: nearest_center(x[None], resize, size)[0])(mask)
  # Not where the image is blurred.
  sure = np.abs(np.asarray(seen) - 0.5) > 0.3
  np.testing.assert_array_equal(cut[sure], (seen > 0.5)[sure])
  assert sure.mean() > 0.8
  by_host = nearest_crop(mask, resize or size, size)
  seen = resize_crop(image, resize or size, size)[..., 0] / 255
  sure = np.abs(seen - 0.5) > 0.3
  np.testing.assert_array_equal(by_host[sure], (seen > 0.5)[sure])
  assert sure.mean() > 0.8


def test_the_nearest_class_by_loops():
  mask = np.random.default_rng(0).integers(0, 9, (13, 17), np.uint8)
  # The middle 8 x 8 of what is brought to a height of 11.
  want, side = np.zeros((8, 8), int), 13 * 8 / 11
  for i in range(8):
    for j in range(8):
      row = (13 - side) / 2 + (i + 0.5) * side / 8
      column = (17 - side) / 2 + (j + 0.5) * side / 8
      want[i, j] = mask[int(row), int(column)]
  got = nearest_center(jnp.asarray(mask)[None], 11, 8)[0]
  np.testing.assert_array_equal(got, want)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
  """Records of oxford_iiit_pet's format, of three sizes."""
  folder = tmp_path_factory.mktemp("pets")
  rows = []
  for i in range(6):
    mask, image = step_edge(30 + i % 3, 40, 10, 20)
    rows.append(
      {
        "image": encoded(image, ".png"),
        "segmentation_mask": encoded(1 + mask[..., None]),
        "label": i,
        "species": i % 2,
        "file_name": str(i),
        "head_bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
      }
    )
  write_set("oxford_iiit_pet", folder, {"train": rows, "test": rows})
  return {
    "name": "tfds",
    "builder": "oxford_iiit_pet",
    "data_dir": str(folder),
    "mask": "segmentation_mask",
  }


def test_tfds_masks_are_named_and_cut_on_the_host(pets):
  source = data.load(pets, "train")
  for record in source:
    assert record["mask"].dtype == np.uint8
    np.testing.assert_array_equal(
      record["mask"], 1 + record["image"][..., 0] // 255
    )
  config = tiny_config(resize=16, batch_size=4)
  config.data.host_crops, config.views.size = True, 16
  config.views.crop_scale = (0.2, 1.0)
  masks = small_masks(source, config)
  images = small_images(source, config)
  assert masks.shape == (6, 16, 16)
  assert (masks == 1 + (images[..., 0] > 127)).mean() > 0.97
  assert "mask" not in next(held_out_batches(source, 4, config, crops=True))
  with pytest.raises(UserError, match="did you mean segmentation_mask"):
    data.load(pets | {"mask": "segmentation"}, "train")
  with pytest.raises(UserError, match="no effect on 'cifar10'"):
    data.load(pets | {"name": "cifar10", "builder": ""}, "train")


def test_photos_of_many_sizes_are_streamed(tiny, pets):
  config = tiny[0].config.copy_and_resolve_references()
  config.data.host_crops, config.evaluate.batch_size = True, 2
  experiment = dataclasses.replace(tiny[0], config=config)
  source = data.load(pets, "train")
  batches = streamed((experiment, tiny[1]), CROPS, 2, source)
  assert [batch.epoch for batch in batches] == [0, 0, 0, 1, 1, 1]
  for epoch in (batches[:3], batches[3:]):
    labels = np.concatenate([batch.labels["label"] for batch in epoch])
    np.testing.assert_array_equal(np.sort(labels), np.arange(6))
  assert batches[0].x.shape == (2, 8)


def test_a_mask_of_colors_is_refused(pets):
  with pytest.raises(UserError, match="one channel and the image's size"):
    data.load(pets | {"mask": "image"}, "train")[0]


# --- segmentation ------------------------------------------------------------


def blobs(count, seed, size=8, classes=4):
  """Random masks of large patches."""
  rng = np.random.default_rng(seed)
  small = rng.integers(0, classes, (count, size // 4, size // 4))
  return np.kron(small, np.ones((1, 4, 4), int)).astype(np.uint8)


def one_hot(masks, classes=4):
  return np.eye(classes, dtype=np.float32)[masks]


def test_a_map_that_is_the_mask_is_read_without_error():
  train, test = blobs(48, 0), blobs(20, 1)
  found = segmentation_scores(
    one_hot(train), train, one_hot(test), test, epochs=30
  )
  assert found == {"mean_iou": 1.0, "pixel_accuracy": 1.0}


def test_a_map_of_noise_is_of_no_use():
  train, test = blobs(48, 0), blobs(20, 1)
  rng = np.random.default_rng(0)
  maps = [
    rng.normal(size=(len(x), 2, 2, 3)).astype(np.float32) for x in (train, test)
  ]
  found = segmentation_scores(maps[0], train, maps[1], test, epochs=10)
  assert found["pixel_accuracy"] < 0.4 and found["mean_iou"] < 0.25


def test_logits_are_interpolated_between_the_places_centers():
  maps = np.random.default_rng(0).normal(size=(1, 3, 2, 2)).astype(np.float32)
  head = Output(2)
  params = {"params": {"dense": {"kernel": np.eye(2), "bias": np.zeros(2)}}}
  one = np.ones((1, 1, 1, 2), np.float32)
  got = pixel_logits(head, 0 * one, one, (9, 4), params, maps)[0]
  want = np.zeros((9, 4, 2))
  for i in range(9):
    for j in range(4):
      y = min(max((i + 0.5) / 3 - 0.5, 0), 2)
      x = min(max((j + 0.5) / 2 - 0.5, 0), 1)
      for a in range(3):
        for b in range(2):
          weight = max(0, 1 - abs(y - a)) * max(0, 1 - abs(x - b))
          want[i, j] += weight * maps[0, a, b]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_mean_iou_by_loops_and_void():
  rng = np.random.default_rng(0)
  truth = rng.integers(0, 4, (5, 6, 6)).astype(np.uint8)  # never 4 or 5
  guess = np.where(rng.random(truth.shape) < 0.6, truth, 5).astype(np.uint8)
  truth[rng.random(truth.shape) < 0.2] = 255
  ious = []
  for c in range(6):
    both = either = 0
    for t, g in zip(truth.ravel(), guess.ravel(), strict=True):
      if t != 255:
        both += int(t == c and g == c)
        either += int(t == c or g == c)
    if either:
      ious.append(both / either)
  counts = confusion(truth, guess, 6)
  assert len(ious) == 5 and counts.sum() == (truth != 255).sum()
  assert mean_iou(counts) == pytest.approx(np.mean(ious))


def test_void_pixels_change_no_gradient():
  rng = np.random.default_rng(0)
  masks = blobs(4, 0)
  masks[rng.random(masks.shape) < 0.3] = 255
  maps = rng.normal(size=(*masks.shape, 3)).astype(np.float32)
  changed = np.where((masks == 255)[..., None], 9, maps)
  head, one = Output(4), np.ones((1, 1, 1, 3), np.float32)
  params = head.init(jax.random.key(0), jnp.asarray(maps))
  logits = functools.partial(pixel_logits, head, 0 * one, one, (8, 8))
  loss = pixel_loss(logits)
  grads = [
    jax.jit(
      jax.grad(lambda p, x=x: loss(p, {}, {"maps": x, "masks": masks}, None)[0])
    )(params)
    for x in (maps, changed)
  ]
  jax.tree.map(np.testing.assert_array_equal, *grads)
  p = jax.nn.softmax(logits(params, maps))
  here = masks != 255
  want = -np.log(np.asarray(p)[here, masks[here]]).mean()
  found, _ = loss(params, {}, {"maps": maps, "masks": masks}, None)
  assert found == pytest.approx(want, rel=1e-5)


def test_only_void_is_refused():
  void = np.full((2, 4, 4), 255, np.uint8)
  with pytest.raises(UserError, match="All pixels of the training masks"):
    segmentation_scores(
      one_hot(0 * void), void, one_hot(0 * void), 0 * void, epochs=1
    )


def test_taps_that_are_maps_are_segmented(tiny):
  experiment, state = tiny
  options = dict(taps=("pool", "conv"), epochs=1, test_examples=40)
  experiment = changed(experiment, protocols=("segmentation",), **options)
  rows = evaluation.evaluate(
    experiment, state, state, features=("pixels", "learned")
  )
  assert [(r["task"], r["tap"], r["metric"]) for r in rows] == [
    ("mask", tap, metric)
    for tap in ("pixels", "conv")
    for metric in ("mean_iou", "pixel_accuracy")
  ]
  assert all(0 <= row["value"] <= 1 for row in rows)


def test_what_cannot_be_segmented_gets_one_line(tiny, monkeypatch):
  experiment = changed(tiny[0], protocols=("segmentation",), taps=("pool",))
  with pytest.raises(
    UserError, match="of this encoder are: conv, local, pixels"
  ):
    evaluation.evaluate(experiment, None, None)

  class Bare(Subset):
    def __getitem__(self, index):
      record = super().__getitem__(index)
      return {k: x for k, x in record.items() if k != "mask"}

  bare = Bare(experiment.source, np.arange(50))
  monkeypatch.setattr(data, "load", lambda options, split: bare)
  with pytest.raises(UserError, match="has no classes of pixels"):
    evaluation.evaluate(experiment, None, None)


# --- information about labels -------------------------------------------------


def mixture(count, seed, scale=1.0, weights=(0.5, 0.3, 0.2)):
  """Gaussians around three centers, their labels, and `log p(y|x) / p(y)`."""
  rng = np.random.default_rng(seed)
  y = rng.choice(3, count, p=weights)
  centers = scale * np.eye(3, 6)
  x = centers[y] + rng.normal(0, 0.5, (count, 6))
  log_p = -2 * ((x[:, None] - centers) ** 2).sum(-1) + np.log(weights)
  log_p = log_softmax(log_p, axis=1)[np.arange(count), y]
  return x.astype(np.float32), y, log_p - np.log(weights)[y]


def information(train, test, **options):
  options = dict(classes=3, iterations=50) | options
  return label_information(*train[:2], *test[:2], **options)


def test_information_of_a_mixture_of_gaussians_is_found():
  train, test = mixture(3000, 0), mixture(3000, 1)
  truth = mixture(200_000, 2)[2].mean()  # 0.71 of 1.03 nats
  found = information(train, test)
  assert found.low < truth < found.nats + 0.05
  # On the very rows: what the best classifier would show, and no more.
  shares = np.bincount(test[1]) / 3000
  posterior = test[2] + np.log([0.5, 0.3, 0.2])[test[1]]
  best = np.mean(posterior - np.log(shares)[test[1]])
  assert best - 0.015 < found.nats < best + 0.005
  assert found.ceiling == pytest.approx(1.03, abs=0.02)
  # The interval is that of a mean over test rows.
  spread = 3.92 * np.std(test[2]) / np.sqrt(3000)
  assert found.high - found.low == pytest.approx(spread, rel=0.2)


def test_features_of_nothing_tell_nothing():
  train, test = mixture(400, 0, scale=0.0), mixture(2000, 1, scale=0.0)
  found = information(train, test)
  assert abs(found.nats) < 0.01 and found.low < 0.01


def test_a_classifier_that_is_wrong_elsewhere_tells_nothing_there():
  (x, y, _), test = mixture(600, 0), mixture(2000, 1)
  assert abs(information((x, (y + 1) % 3), test).nats) < 0.01


def test_an_overfitted_classifier_is_calibrated():
  # 40 rows of 60 features are told apart by noise alone.
  rng = np.random.default_rng(0)
  train, test = mixture(40, 0), mixture(2000, 1)
  noisy = [
    (np.concatenate([x, rng.normal(size=(len(x), 54))], 1), y, None)
    for x, y, _ in (train, test)
  ]
  assert -0.1 < information(*noisy).nats < test[2].mean()


def test_classes_that_were_never_seen_are_possible():
  (x, y, _), test = mixture(600, 0), mixture(500, 1)
  two = x[y < 2], y[y < 2]
  found = information(two, test)
  assert -2 < found.nats < information((x, y), test).nats
