"""Contact sheets: a picture of images and their views."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def sheet(
  images,
  views,
  path: str | os.PathLike,
  title: str,
  heading: str | Sequence[str] = "view",
) -> None:
  """Writes a PNG with one row per image: the original, then its views.

  Args:
    images: `[n, h, w, c]`, uint8 or floats in [0, 1]. For crops that the host
      has cut, `[n, v, h, w, c]`, the first crop of each image is shown.
    views: arrays `[n, h, w, c]` in [0, 1], one per column.
    path: the PNG file.
    title: title of the picture, such as the recipe's name and size. If images
      are neither gray nor RGB, the mean of the channels is shown, and a note
      is added to the title.
    heading: heading of the views' columns, to which their numbers are added; or
      one heading per view.
  """
  images = np.asarray(images)
  if images.ndim == 5:
    images = images[:, 0]
  columns = [images, *(np.asarray(x) for x in views)]
  channels = columns[0].shape[-1]
  if channels not in (1, 3):
    title += f" (mean of {channels} channels)"
  n = len(columns[0])
  if isinstance(heading, str):
    heading = [f"{heading} {j}" for j in range(1, len(columns))]
  figure = Figure(
    figsize=(1.3 * len(columns), 1.3 * n + 0.6), layout="constrained"
  )
  figure.suptitle(title, fontsize=10)
  grid = figure.subplots(n, len(columns), squeeze=False)
  for j, column in enumerate(columns):
    grid[0, j].set_title(["image", *heading][j], fontsize=8)
    for i in range(n):
      grid[i, j].set_axis_off()
      grid[i, j].imshow(drawable(column[i]), cmap="gray", vmin=0, vmax=1)
  figure.savefig(path, dpi=120)


def stretched(images):
  """Scales each channel to [0, 1], for a sheet of images of any range.

  Args:
    images: `[n, h, w, c]`; the range of a channel is over all images.

  Returns:
    `[n, h, w, c]`.
  """
  images = np.asarray(images)
  low, high = images.min((0, 1, 2)), images.max((0, 1, 2))
  return (images - low) / np.where(high > low, high - low, 1)


def in_colors(images):
  """Shows two channels as red and green; other images are unchanged."""
  if images.shape[-1] == 2:
    images = np.concatenate([images, np.zeros_like(images[..., :1])], axis=-1)
  return images


def drawable(image):
  """Converts to floats in [0, 1], `[h, w, 3]` or `[h, w]`."""
  if image.dtype == np.uint8:
    image = image / 255
  return image if image.shape[-1] == 3 else image.mean(-1)
