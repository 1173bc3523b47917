"""A picture of images that a generator draws from noise."""

import os

import jax
import numpy as np
from matplotlib.figure import Figure

from infomin_jax.eval.probes.protocol import Protocol
from infomin_jax.views.sheet import drawable

SAMPLES = 64  # images of a picture


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


def protocol(options) -> Protocol:
  """Draws images that the generator of the run makes of noise."""
  del options
  name = f"samples ({SAMPLES} images of noise)"

  def run(case):
    if case.encoder is not None and case.encoder.sample is not None:
      key = jax.random.key(case.seed)
      images = case.encoder.sample(case.encoder.variables, key, SAMPLES)
      draw_samples(images, case.picture("samples"), f"{case.name}: {name}")
    return {}

  return Protocol(name, run, frozenset())
