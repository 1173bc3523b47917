"""A picture of all features in the plane, by PCA or t-SNE."""

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from infomin_jax.eval.probes.protocol import Protocol

MAPPED = 2000  # test images on a map
LEGEND = 20  # classes that a legend can distinguish


def flatten(features: np.ndarray, method: str, seed: int) -> np.ndarray:
  """Maps features `[n, d]` to points of a plane, `[n, 2]`.

  Args:
    features: rows; `tsne` needs at least 4.
    method: `pca` for the two directions of the largest variance. `tsne` for
      t-SNE of the first 50 such directions, at perplexity 30 or, with few rows,
      a third of the number of rows.
    seed: of t-SNE.

  References:
    van der Maaten, Hinton, Visualizing data using t-SNE, 2008.
  """
  if features.shape[1] == 1:
    # PCA cannot give two directions of one column.
    features = np.pad(features, ((0, 0), (0, 1)))
  directions = min(50, *features.shape) if method == "tsne" else 2
  points = PCA(directions, random_state=seed).fit_transform(features)
  if method == "pca":
    return points
  perplexity = min(30.0, (len(points) - 1) / 3)
  tsne = TSNE(perplexity=perplexity, random_state=seed)
  # In one thread: the order of sums is then always the same, and no thread
  # spins while it waits for another, which can take minutes on a busy machine.
  with threadpool_limits(limits=1):
    return tsne.fit_transform(points)


def class_name(names: Sequence[str] | None, label: int) -> str:
  """Returns a class's name; its number, if it has no name or is unknown."""
  return names[label] if names and 0 <= label < len(names) else str(label)


def draw_map(
  points: np.ndarray,
  labels: Mapping[str, np.ndarray],
  path: str | os.PathLike,
  title: str,
  names: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
  """Writes a PNG: the points once per task, in the colors of its classes.

  Args:
    points: `[n, 2]`.
    labels: `[n]` of each task.
    path: of the PNG.
    title: above it.
    names: of the classes, of tasks whose classes have names.
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
      some, name = points[y == label], class_name(names.get(task), label)
      panel.scatter(*some.T, s=4, color=colors(i), label=name)
    panel.legend(title="class", markerscale=3, fontsize=8, loc="best")
  figure.savefig(path, dpi=120)


def protocol_of(method: str) -> Callable[..., Protocol]:
  """Returns the protocol that draws a map by `pca` or `tsne`."""

  def protocol(options):
    del options
    name = f"{method} (at most {MAPPED} test images)"

    def run(case):
      count = min(MAPPED, len(case.test.x))
      some = np.linspace(0, len(case.test.x) - 1, count).astype(int)
      draw_map(
        flatten(case.test.x[some], method, case.seed),
        {task: y[some] for task, y in case.test.labels.items()},
        case.picture(method),
        f"{case.name}: {name}",
        case.class_names,
      )
      return {}

    return Protocol(name, run)

  return protocol
