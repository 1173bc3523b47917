"""Colorful digits: known factors, disjoint splits, views that share them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax import data
from infomin_jax.data import colorful_digits
from infomin_jax.views import make_views

OPTIONS = {"name": "colorful_digits"}


@pytest.fixture(scope="module")
def splits():
  return data.load(OPTIONS, "train"), data.load(OPTIONS, "test")


def field(source, name):
  return np.stack([source[i][name] for i in range(0, len(source), 4)])


def test_splits_share_neither_handwriting_nor_photograph_region(splits):
  train, test = splits
  assert (len(train), len(test)) == (11200, 1588)
  images, _ = colorful_digits.load_digit_images()
  assert len(images) == 1797
  # 1400 + 397 images, not one of them in both.
  assert train.digits == slice(0, 1400) and test.digits == slice(1400, 1797)
  right = field(train, "crop")[:, 2] + colorful_digits.SIZE
  left = field(test, "crop")[:, 2]
  assert right.max() <= colorful_digits.TEST_FROM <= left.min()


def test_labels_are_the_factors(splits):
  for source in splits:
    for i in range(0, len(source), 97):
      record = source[i]
      assert record["background"] == record["crop"][0]
      row, column = record["place"]
      span = colorful_digits.SIZE - colorful_digits.DIGIT + 1
      assert record["position"] == 3 * (3 * row // span) + 3 * column // span
      assert record["image"].dtype == np.uint8


def test_a_digit_is_drawn_as_bilinear_ink_on_the_photograph():
  digit = np.zeros((8, 8), np.uint8)
  digit[2:6, 3] = 255
  background = jnp.full((32, 32, 3), 0.25)
  place = jnp.array([5, 9])
  image = colorful_digits.compose(
    background, digit, place, jnp.eye(2, 3), jnp.array([1.0, 0.5, 0.25])
  )
  # Pixel (r, c) of the drawing reads the handwriting at (r + .5) / 2 - .5.
  ink = np.zeros((16, 16))
  for r in range(16):
    for c in range(16):
      y, x = (r + 0.5) / 2 - 0.5, (c + 0.5) / 2 - 0.5
      for i in range(8):
        for j in range(8):
          weight = max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j))
          ink[r, c] += weight * digit[i, j] / 255
  want = np.full((32, 32, 3), 0.25)
  area = want[5:21, 9:25]
  want[5:21, 9:25] = area * (1 - ink[..., None]) + ink[..., None] * np.array(
    [1.0, 0.5, 0.25]
  )
  np.testing.assert_allclose(image, want, atol=1e-5)


def test_the_mask_is_the_digit_where_its_ink_is(splits):
  (_, test), black = splits, jnp.zeros((32, 32, 3))
  for i in range(0, len(test), 400):
    record = test[i]
    ink = colorful_digits.compose(
      black, record["digit"], record["place"], jnp.eye(2, 3), jnp.ones(3)
    )
    want = np.where(ink[..., 0] > 0.5, 1 + record["label"], 0)
    np.testing.assert_array_equal(record["mask"], want)
    assert record["mask"].dtype == np.uint8 and 20 < (want > 0).sum() < 256


def views_of(share, batch, flat=0.0):
  options = {
    "name": "shared_factors",
    "share": share,
    "warp": 0.0,
    "flat": flat,
  }
  views = make_views(options, (32, 32, 3))
  return views(jax.random.key(0), batch)


def batch_of(source, count=32):
  records = [source[i * 8] for i in range(count)]
  return {k: np.stack([r[k] for r in records]) for k in records[0]}


def digit_area(batch):
  """True where some ink of the record's own digit may be, `[b, 32, 32]`."""
  area = np.zeros((len(batch["place"]), 32, 32), bool)
  for mask, (row, column) in zip(area, batch["place"], strict=True):
    mask[row : row + 16, column : column + 16] = True
  return area


def test_shared_background_and_position_are_the_records_own(splits):
  batch = batch_of(splits[0])
  views = views_of(("digit", "position", "background"), batch)
  outside = ~digit_area(batch)
  for view in views:
    gap = np.abs(np.asarray(view) - batch["image"] / 255)
    assert gap[outside].max() < 1 / 255
  # Only the color of the ink is drawn anew.
  assert np.abs(np.asarray(views[0]) - np.asarray(views[1])).max() > 0.1


def test_what_is_not_shared_differs_between_views(splits):
  batch = batch_of(splits[0])
  first, second = views_of(("digit",), batch)
  outside = ~digit_area(batch)
  same = np.isclose(first, batch["image"] / 255, atol=1 / 255)[outside]
  assert same.mean() < 0.2
  assert np.isclose(first, second, atol=1 / 255).mean() < 0.2


def test_without_the_digit_the_handwriting_is_another_records(splits):
  batch = batch_of(splits[0])
  own = views_of(("digit", "position", "background"), batch)[0]
  other = views_of(("position", "background"), batch)[0]
  strangers = batch | {"digit": np.roll(batch["digit"], 1, axis=0)}
  want = views_of(("digit", "position", "background"), strangers)[0]
  np.testing.assert_allclose(other, want, atol=1e-6)
  assert np.abs(np.asarray(own) - np.asarray(other)).max() > 0.1


def test_views_depend_on_the_record_not_on_the_batch(splits):
  batch = batch_of(splits[0])
  whole = views_of(("digit",), batch, flat=0.5)
  part = views_of(("digit",), {k: v[5:9] for k, v in batch.items()}, flat=0.5)
  for a, b in zip(whole, part, strict=True):
    np.testing.assert_allclose(a[5:9], b, atol=1e-6)


def test_flat_backgrounds_come_as_often_as_asked(splits):
  batch = batch_of(splits[0], 400)
  view = np.asarray(views_of(("digit",), batch, flat=0.5)[0])
  corners = view[:, [0, 0, 31, 31], [0, 31, 0, 31]]  # at most one has ink
  plain = np.sum(np.ptp(corners[:, :3], axis=1).max(-1) < 1e-6)
  plain_right = np.sum(np.ptp(corners[:, 1:], axis=1).max(-1) < 1e-6)
  assert abs(max(plain, plain_right) - 200) < 3 * 10 + 20
