"""Pictures: the right neighbors in the right places."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from infomin_jax.eval.probes.maps import class_name, draw_map, flatten
from infomin_jax.eval.probes.nearest import (
  ROWS,
  draw_neighbors,
  neighbor_rows,
)


def test_neighbors_are_the_nearest_in_l1():
  rng = np.random.default_rng(0)
  x, test_x = rng.normal(size=(50, 3)), rng.normal(size=(30, 3))
  labels = rng.integers(0, 5, 30)
  asked, nearest = neighbor_rows(x, test_x, labels)
  np.testing.assert_array_equal(labels[asked], np.unique(labels))
  for row, found in zip(asked, nearest, strict=True):
    distance = np.abs(x - test_x[row]).sum(1)
    np.testing.assert_array_equal(found, np.argsort(distance)[:4])


def test_l1_is_not_l2():
  x = np.array([[3.0, 0.0], [2.0, 2.0]])
  _, nearest = neighbor_rows(x, np.zeros((1, 2)), np.zeros(1, int))
  np.testing.assert_array_equal(nearest, [[0, 1]])  # L2 would turn them round


def test_another_seed_asks_of_other_images():
  x, y = load_digits(return_X_y=True)
  first, _ = neighbor_rows(x[:900], x[900:], y[900:], seed=0)
  second, _ = neighbor_rows(x[:900], x[900:], y[900:], seed=1)
  assert (first != second).any()
  assert len(first) == 10


def test_many_classes_fill_one_sheet():
  x = np.random.default_rng(0).normal(size=(100, 2))
  asked, _ = neighbor_rows(x, x, np.arange(100))
  assert len(set(asked)) == ROWS


def test_a_sheet_shows_each_image_beside_its_neighbors(tmp_path):
  # Every image has a gray level of its own; the sheet must show them in order.
  train = np.broadcast_to(
    np.arange(10, 210, 25, np.uint8)[:, None, None, None], (8, 8, 8, 1)
  )
  test = np.broadcast_to(np.uint8([240, 5])[:, None, None, None], (2, 8, 8, 1))
  asked = np.array([1, 0])
  nearest = np.array([[0, 1, 2, 3], [7, 6, 5, 4]])
  path = tmp_path / "sheet.png"
  draw_neighbors(train, test, asked, nearest, path, "sheet")
  assert path.read_bytes().startswith(b"\x89PNG")
  with Image.open(path) as image:
    gray = np.asarray(image.convert("L"))
  wanted = [
    [5, *train[nearest[0], 0, 0, 0]],
    [240, *train[nearest[1], 0, 0, 0]],
  ]
  places = np.array(
    [[np.argwhere(gray == level).mean(0) for level in row] for row in wanted]
  )
  rows, columns = places[..., 0], places[..., 1]
  assert (np.abs(rows - rows[:, :1]) < 5).all()
  assert rows[1, 0] > rows[0, 0] + 50
  assert (np.diff(columns, axis=1) > 50).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_far_clusters_apart(method, tmp_path):
  rng = np.random.default_rng(0)
  centers = 20 * np.eye(3, 8)
  labels = rng.integers(0, 3, 90)
  features = (centers[labels] + rng.normal(size=(90, 8))).astype(np.float32)
  points = flatten(features, method, seed=0)
  assert points.shape == (90, 2)
  np.testing.assert_array_equal(points, flatten(features, method, seed=0))
  means = np.stack([points[labels == i].mean(0) for i in range(3)])
  spread = max(points[labels == i].std() for i in range(3))
  gaps = [np.linalg.norm(means[i] - means[i - 1]) for i in range(3)]
  own = np.linalg.norm(points - means[labels], axis=1)
  assert np.median(own) < min(gaps) / 3, spread
  path = tmp_path / "map.png"
  many = rng.integers(0, 100, 90)  # more than a legend can show
  draw_map(points, {"shape": labels, "name": many}, path, method)
  assert path.read_bytes().startswith(b"\x89PNG")


def test_one_number_an_image_is_mapped_too():
  line = np.arange(12, dtype=np.float32)[:, None]
  points = flatten(line, "pca", seed=0)
  assert points.shape == (12, 2)
  assert np.abs(np.diff(points[:, 0])) == pytest.approx(np.ones(11), rel=1e-5)


def test_a_class_without_a_name_has_its_number():
  assert class_name(("cat", "dog"), 1) == "dog"
  assert class_name(("cat", "dog"), -1) == "-1"  # unknown
  assert class_name((), 3) == class_name(None, 3) == "3"
