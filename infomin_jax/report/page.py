"""HTML pages in one file, made of text, tables, plots and pictures."""

import base64
import importlib.resources
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import markupsafe
import numpy as np
import plotly.graph_objects as go
import plotly.io
import plotly.offline
from PIL import Image


class Words(NamedTuple):
  """A paragraph; `kind` is `plain`, `good`, `warn` or `code`."""

  text: str
  kind: str = "plain"


class Table(NamedTuple):
  """Rows of cells under headings; `folded` shows only its caption at first."""

  caption: str
  headings: Sequence[str]
  rows: Sequence[Sequence[Any]]
  folded: bool = False


class Plot(NamedTuple):
  """An interactive figure and its caption."""

  caption: str
  figure: go.Figure


class Picture(NamedTuple):
  """An image and its caption; `data` is a `data:` address."""

  caption: str
  data: str


class Thumbnails(NamedTuple):
  """A plot that shows a thumbnail when the pointer is over a point.

  Attributes:
    caption: what the plot shows.
    figure: its points have the number of their thumbnail as `customdata`.
    data: one picture with all thumbnails in rows, a `data:` address.
    columns: thumbnails per row.
    side: side of a thumbnail in pixels.
  """

  caption: str
  figure: go.Figure
  data: str
  columns: int
  side: int


Block = Words | Table | Plot | Picture | Thumbnails


def page(title: str, sections: Mapping[str, Sequence[Block]]) -> str:
  """Returns the text of the page; `sections` maps headings to blocks."""
  environment = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True
  )
  path = importlib.resources.files("infomin_jax.report") / "page.html"
  template = environment.from_string(path.read_text())
  return template.render(
    title=title,
    sections={name: blocks for name, blocks in sections.items() if blocks},
    plotly=markupsafe.Markup(plotly.offline.get_plotlyjs()),
    kind=lambda block: type(block).__name__,
    drawn=_drawn,
  )


def _drawn(figure: go.Figure, name: str) -> markupsafe.Markup:
  """Returns a figure's HTML."""
  # Safe as Markup: Plotly escapes `<` in the data that it writes.
  layout: Any = figure.layout
  figure.update_layout(
    margin=dict(l=56, r=16, t=40, b=84),  # the top has room for the buttons
    paper_bgcolor="rgba(0,0,0,0)",
    plot_bgcolor="rgba(0,0,0,0)",
    height=layout.height or 360,
    font=dict(size=13),
    # Below the plot, since the buttons of Plotly are above it.
    legend=dict(orientation="h", yref="container", y=0, yanchor="bottom"),
  )
  return markupsafe.Markup(
    plotly.io.to_html(
      figure,
      include_plotlyjs=False,
      full_html=False,
      div_id=name,
      config={"displaylogo": False, "responsive": True},
    )
  )


def encoded(image: np.ndarray, form: str = "PNG") -> str:
  """Encodes an image `[h, w, c]`, uint8 or in [0, 1], as a `data:` address."""
  if image.dtype != np.uint8:
    image = np.clip(np.round(255 * image), 0, 255).astype(np.uint8)
  if image.shape[-1] not in (1, 3):
    image = image.mean(-1, keepdims=True).astype(np.uint8)
  picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  content = io.BytesIO()
  picture.save(content, form, **({"quality": 80} if form == "JPEG" else {}))
  text = base64.b64encode(content.getvalue()).decode()
  return f"data:image/{form.lower()};base64,{text}"


def file_data(path: pathlib.Path) -> str:
  """Encodes a PNG file as a `data:` address."""
  return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def grid(images: np.ndarray, columns: int, gap: int = 0) -> np.ndarray:
  """Arranges images `[n, h, w, c]` in rows of `columns`, as one image."""
  n, h, w, c = images.shape
  rows = -(-n // columns)
  padded = np.full((rows * columns, h + gap, w + gap, c), 255, images.dtype)
  if images.dtype != np.uint8:
    padded = np.ones(padded.shape, images.dtype)
  padded[:n, :h, :w] = images
  padded = padded.reshape(rows, columns, h + gap, w + gap, c)
  return padded.swapaxes(1, 2).reshape(rows * (h + gap), columns * (w + gap), c)
