"""What a run's encoder makes of images: a map, neighbors, views."""

import jax.numpy as jnp
import numpy as np

from infomin_jax.critics import unit
from infomin_jax.eval.probes.neighbors import flatten
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

NEIGHBOURS = 6
MOST_THUMBNAILS = 10_000


def features(found: Look, plane: str) -> list[Block]:
  """A map of the images by their features, and how alike these are."""
  task, labels = next(iter(found.labels.items()), ("image", None))
  names = range(len(found.images)) if labels is None else labels
  points = flatten(found.features, plane, seed=0)
  figure = plots.plane(points, list(map(str, names)), task)
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
      "How alike features are, of two views of an image and of two images: the "
      "further apart, the easier they are told.",
      histogram,
    ),
  ]


def neighbors(found: Look) -> list[Block]:
  """Rows of an image and the images nearest to it."""
  rows = np.linspace(0, len(found.images) - 1, 8).astype(int)
  features = np.asarray(unit(jnp.asarray(found.features)))
  order = np.argsort(-features[rows] @ features.T, axis=1)
  near = order[:, : NEIGHBOURS + 1]
  sheet = grid(found.images[near.ravel()], near.shape[1], gap=2)
  caption = (
    "Each row an image, then those whose features are nearest by cosine."
  )
  return [Picture(caption, encoded(_enlarged(sheet)))]


def views(found: Look, config) -> list[Block]:
  """Shows the views of the encoder."""
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
    f"Each row an image, then its views ({config.views.name}) as the encoder "
    "was shown them."
  )
  return [Picture(caption, encoded(_enlarged(sheet)))]


def _fitted(images: np.ndarray, side: int) -> np.ndarray:
  """Images in [0, 1] on white squares of a side, gray ones as RGB."""
  if images.shape[-1] not in (1, 3):
    images = images.mean(-1, keepdims=True)
  images = np.broadcast_to(images, (*images.shape[:-1], 3))
  made = np.ones((len(images), side, side, 3))
  h, w = min(side, images.shape[1]), min(side, images.shape[2])
  made[:, :h, :w] = images[:, :h, :w]
  return made


def _enlarged(image: np.ndarray) -> np.ndarray:
  """Small pictures two or three times as large."""
  times = max(1, min(3, 500 // max(image.shape[:2])))
  return image.repeat(times, axis=0).repeat(times, axis=1)
