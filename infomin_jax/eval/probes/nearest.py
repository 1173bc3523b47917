"""A picture of test images and their nearest training images."""

import os
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from infomin_jax.eval.probes.protocol import Protocol
from infomin_jax.eval.probes.shares import known
from infomin_jax.views.sheet import sheet

NEIGHBOURS = 4
ROWS = 20  # at most, chosen evenly if there are more classes


def neighbor_rows(
  train_features: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns one test image per class, and its nearest training images by L1.

  Args:
    train_features: `[n, d]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    seed: of the choice of the test images.

  Returns:
    Rows of the test set, one per class in order of the classes, `[q]`. Rows of
    the training set, nearest first, `[q, 4]`. q is at most 20.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    appendix.
  """
  order = np.random.default_rng(seed).permutation(len(test_labels))
  _, first = np.unique(test_labels[order], return_index=True)
  samples = order[first]
  if len(samples) > ROWS:
    samples = samples[np.linspace(0, len(samples) - 1, ROWS).astype(int)]
  count = min(NEIGHBOURS, len(train_features))
  search: Any = NearestNeighbors(
    n_neighbors=count, algorithm="brute", metric="manhattan"
  )
  search.fit(train_features)
  return samples, search.kneighbors(
    test_features[samples], return_distance=False
  )


def draw_neighbors(
  train_images: np.ndarray,
  test_images: np.ndarray,
  asked: np.ndarray,
  nearest: np.ndarray,
  path: str | os.PathLike,
  title: str,
) -> None:
  """Writes a PNG with one row per test image, followed by its neighbors.

  Args:
    train_images: uint8 `[n, h, w, c]`.
    test_images: uint8 `[m, h, w, c]`.
    asked: rows of test images, `[q]`.
    nearest: rows of training images, `[q, k]`.
    path: of the PNG.
    title: above it.
  """
  columns = [train_images[rows] for rows in nearest.T]
  sheet(test_images[asked], columns, path, title, heading="nearest")


def protocol(options) -> Protocol:
  """Draws test images with their nearest training images."""
  del options
  name = f"neighbours (one test image a class, {NEIGHBOURS} nearest, L1)"

  def run(case):
    labels = next(iter(case.test.labels.values()))
    some = known(labels) if (labels >= 0).any() else slice(None)
    rows = neighbor_rows(
      case.train.x, case.test.x[some], labels[some], seed=case.seed
    )
    draw_neighbors(
      case.train.images,
      case.test.images[some],
      *rows,
      case.picture("neighbours"),
      f"{case.name}: {name}",
    )
    return {}

  return Protocol(name, run, frozenset({"labels", "images"}))
