"""Pictures: what lies near what, a map of all features, generated images."""

import os
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from infomin_jax.views.sheet import drawable, sheet

NEIGHBOURS = 4
ROWS = 20  # of a sheet: classes beyond are left out evenly
MAPPED = 2000  # test images on a map
SAMPLES = 64  # images of a sheet of a generator's
LEGEND = 20  # classes that a legend can tell apart


def neighbor_rows(
  train_features: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
  """One test image a class, and the nearest training images in L1 distance.

  Args:
    train_features: `[n, d]`.
    test_features: `[m, d]`.
    test_labels: `[m]`.
    seed: of the choice of the images.

  Returns:
    Rows of the test set, one a class in its order, `[q]`; of the training set,
    the nearest first, `[q, 4]`. q is at most 20.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    appendix.
  """
  order = np.random.default_rng(seed).permutation(len(test_labels))
  _, first = np.unique(test_labels[order], return_index=True)
  asked = order[first]
  if len(asked) > ROWS:
    asked = asked[np.linspace(0, len(asked) - 1, ROWS).astype(int)]
  count = min(NEIGHBOURS, len(train_features))
  search: Any = NearestNeighbors(
    n_neighbors=count, algorithm="brute", metric="manhattan"
  )
  search.fit(train_features)
  return asked, search.kneighbors(test_features[asked], return_distance=False)


def draw_neighbors(
  train_images: np.ndarray,
  test_images: np.ndarray,
  asked: np.ndarray,
  nearest: np.ndarray,
  path: str | os.PathLike,
  title: str,
) -> None:
  """Writes a PNG: one row a test image, its neighbors beside it.

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


def draw_samples(images, path: str | os.PathLike, title: str) -> None:
  """Writes a PNG: images `[n, h, w, c]` in [0, 1] in rows of eight."""
  figure = Figure(figsize=(8, len(images) / 8 + 0.6), layout="constrained")
  figure.suptitle(title, fontsize=10)
  panels = figure.subplots(-(-len(images) // 8), 8, squeeze=False)
  for panel in panels.flat:
    panel.set_axis_off()
  for panel, image in zip(panels.flat, np.asarray(images), strict=False):
    panel.imshow(drawable(image), "gray", vmin=0, vmax=1)
  figure.savefig(path, dpi=120)


def flatten(features: np.ndarray, method: str, seed: int) -> np.ndarray:
  """Features `[n, d]` as points of a plane, `[n, 2]`.

  Args:
    features: rows; `tsne` needs at least 4.
    method: `pca`, the two directions of the largest variance; or `tsne`, at
      perplexity 30 or a third of the rows, from the first 50 of those.
    seed: of t-SNE.

  References:
    van der Maaten, Hinton, Visualizing data using t-SNE, 2008.
  """
  if features.shape[1] == 1:
    features = np.pad(features, ((0, 0), (0, 1)))  # a line has one direction
  directions = min(50, *features.shape) if method == "tsne" else 2
  points = PCA(directions, random_state=seed).fit_transform(features)
  if method == "pca":
    return points
  perplexity = min(30.0, (len(points) - 1) / 3)
  tsne = TSNE(perplexity=perplexity, random_state=seed)
  # In one thread: sums in the same order every time, and no thread that spins
  # for another, which a busy machine may not run for minutes.
  with threadpool_limits(limits=1):
    return tsne.fit_transform(points)


def draw_map(
  points: np.ndarray,
  labels: Mapping[str, np.ndarray],
  path: str | os.PathLike,
  title: str,
) -> None:
  """Writes a PNG: the points once for each task, in the colors of its classes.

  Args:
    points: `[n, 2]`.
    labels: `[n]` of each task.
    path: of the PNG.
    title: above it.
  """
  figure = Figure(figsize=(5.5 * len(labels), 5), layout="constrained")
  figure.suptitle(title, fontsize=10)
  (panels,) = figure.subplots(1, len(labels), squeeze=False)
  for panel, (task, y) in zip(panels, labels.items(), strict=True):
    panel.set(title=task, xticks=[], yticks=[])
    present = np.unique(y)
    if len(present) > LEGEND:
      dots = panel.scatter(*points.T, c=y, s=4, cmap="viridis")
      figure.colorbar(dots, ax=panel, label="class")
      continue
    colors = matplotlib.colormaps["tab10" if len(present) <= 10 else "tab20"]
    for i, label in enumerate(present):
      some = points[y == label]
      panel.scatter(*some.T, s=4, color=colors(i), label=str(label))
    panel.legend(title="class", markerscale=3, fontsize=8, loc="best")
  figure.savefig(path, dpi=120)
