"""Pictures of a run's page: a map of features, nearest neighbors, views."""

import jax.numpy as jnp
import numpy as np

from infomin_jax.critics import unit
from infomin_jax.eval.probes.maps import class_name, flatten
from infomin_jax.report import plots
from infomin_jax.report.page import (
  Block,
  Picture,
  Plot,
  Thumbnails,
  encoded,
  grid,
)
from infomin_jax.report.samples import Look

NEIGHBORS = 6
SIDE = 64  # pixels of a small image on the page
MOST_THUMBNAILS = 10_000


def features(found: Look, plane: str) -> list[Block]:
  """Draws a map of the images by their features, and histograms of cosines."""
  task, labels = next(iter(found.labels.items()), ("image", None))
  if labels is None:
    labels, own = np.arange(len(found.images)), None
  else:
    own = found.class_names[task]
  names = [class_name(own, int(y)) for y in labels]
  order = list(
    dict.fromkeys(class_name(own, int(y)) for y in np.unique(labels))
  )
  points = flatten(found.features, plane, seed=0)
  figure = plots.plane(points, names, task, order)
  caption = (
    f"{len(points):,} test images by their features at {found.tap} (step "
    f"{found.step:,}), flattened by {plane}."
  )
  side = found.images.shape[1]
  columns = int(np.ceil(len(points) ** 0.5))
  mapped: Block = Plot(caption, figure)
  if len(points) <= MOST_THUMBNAILS and side * columns < 16_000:
    sheet = encoded(grid(found.images, columns), "JPEG")
    mapped = Thumbnails(caption, figure, sheet, columns, side)
  histogram = plots.histograms(
    {"two views of an image": found.alike, "two images": found.apart},
    "cosine of the features",
  )
  return [
    mapped,
    Plot(
      "Similarity of the features of two views: of one image, and of two "
      "images. The less the histograms overlap, the easier it is to find the "
      "other view of an image.",
      histogram,
    ),
  ]


def neighbors(found: Look) -> list[Block]:
  """Draws images and those nearest to them, after and before training."""
  rows = np.linspace(0, len(found.images) - 1, 8).astype(int)
  blank = np.full((len(rows), 1, *found.images.shape[1:]), 255, np.uint8)
  learned, untrained = (
    found.images[_nearest(x, rows)] for x in (found.features, found.untrained)
  )
  both = np.concatenate([learned, blank, untrained[:, 1:]], axis=1)
  sheet = grid(both.reshape(-1, *both.shape[2:]), both.shape[1], gap=2)
  caption = (
    f"Each row shows an image, the {NEIGHBORS} images with the nearest learned "
    f"features by cosine and, after a gap, the {NEIGHBORS} nearest by the "
    "features of the untrained encoder."
  )
  return [Picture(caption, encoded(_enlarged(sheet, found.images.shape[1])))]


def _nearest(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Returns each row and its nearest rows by cosine, `[q, NEIGHBORS + 1]`."""
  features = np.asarray(unit(jnp.asarray(features)))
  # Stable, and the image itself first even if it has copies.
  cosines = features[rows] @ features.T
  cosines[np.arange(len(rows)), rows] = np.inf
  order = np.argsort(-cosines, axis=1, kind="stable")
  return order[:, : NEIGHBORS + 1]


def views(found: Look, config) -> list[Block]:
  """Draws images and their views."""
  originals = found.originals
  if originals.ndim == 5:  # crops that the host cut
    originals = originals[:, 0]
  columns = [originals / 255.0, *found.views]
  side = max(x.shape[1] for x in columns)
  fitted = [_fitted(x, side) for x in columns]
  stacked = np.stack(fitted, axis=1).reshape(
    -1, side, side, fitted[0].shape[-1]
  )
  sheet = grid(stacked, len(columns), gap=2)
  caption = (
    f"Each row shows an image, then its views ({config.views.name}) as the "
    "encoder gets them."
  )
  return [Picture(caption, encoded(_enlarged(sheet, side)))]


def _fitted(images: np.ndarray, side: int) -> np.ndarray:
  """Puts images in [0, 1] on white RGB squares, `[n, side, side, 3]`."""
  if images.shape[-1] not in (1, 3):
    images = images.mean(-1, keepdims=True)
  images = np.broadcast_to(images, (*images.shape[:-1], 3))
  squares = np.ones((len(images), side, side, 3))
  h, w = min(side, images.shape[1]), min(side, images.shape[2])
  squares[:, :h, :w] = images[:, :h, :w]
  return squares


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
  """Enlarges a sheet so that images of `side` pixels have about `SIDE`."""
  times = max(1, SIDE // side)
  return image.repeat(times, axis=0).repeat(times, axis=1)
