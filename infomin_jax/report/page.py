"""A page in one file: words, tables, plots and pictures, all escaped."""

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
  """Rows of cells under headings; `folded` hides it behind its caption."""

  caption: str
  headings: Sequence[str]
  rows: Sequence[Sequence[Any]]
  folded: bool = False


class Plot(NamedTuple):
  """A figure to hover over and zoom into, and what it shows."""

  caption: str
  figure: go.Figure


class Picture(NamedTuple):
  """An image of the page itself, and what it shows."""

  caption: str
  data: str


class Thumbnails(NamedTuple):
  """A plot whose points show pieces of one picture.

  Attributes:
    caption: what it shows.
    figure: whose points have their number as `customdata`.
    data: the picture, pieces in rows.
    columns: pieces in a row.
    side: pixels of a piece.
  """

  caption: str
  figure: go.Figure
  data: str
  columns: int
  side: int


Block = Words | Table | Plot | Picture | Thumbnails


def page(title: str, sections: Mapping[str, Sequence[Block]]) -> str:
  """The text of the page, sections by heading."""
  environment = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True
  )
  template = importlib.resources.files("infomin_jax.report") / "page.html"
  made = environment.from_string(template.read_text())
  return made.render(
    title=title,
    sections={name: blocks for name, blocks in sections.items() if blocks},
    plotly=markupsafe.Markup(plotly.offline.get_plotlyjs()),
    kind=lambda block: type(block).__name__,
    drawn=_drawn,
  )


def _drawn(figure: go.Figure, name: str) -> markupsafe.Markup:
  """A figure's HTML; plotly writes its data so that no `<` is left in it."""
  layout: Any = figure.layout
  figure.update_layout(
    margin=dict(l=56, r=16, t=16, b=84),
    paper_bgcolor="rgba(0,0,0,0)",
    plot_bgcolor="rgba(0,0,0,0)",
    height=layout.height or 360,
    font=dict(size=13),
    # Below, since the buttons are above.
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
  """An image `[h, w, c]`, uint8 or in [0, 1], as a `data:` address."""
  if image.dtype != np.uint8:
    image = np.clip(np.round(255 * image), 0, 255).astype(np.uint8)
  if image.shape[-1] not in (1, 3):
    image = image.mean(-1, keepdims=True).astype(np.uint8)
  made = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  content = io.BytesIO()
  made.save(content, form, **({"quality": 80} if form == "JPEG" else {}))
  text = base64.b64encode(content.getvalue()).decode()
  return f"data:image/{form.lower()};base64,{text}"


def file_data(path: pathlib.Path) -> str:
  """A PNG file as a `data:` address."""
  return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def grid(images: np.ndarray, columns: int, gap: int = 0) -> np.ndarray:
  """Images `[n, s, s, c]` beside and below each other, one image."""
  n, h, w, c = images.shape
  rows = -(-n // columns)
  padded = np.full((rows * columns, h + gap, w + gap, c), 255, images.dtype)
  if images.dtype != np.uint8:
    padded = np.ones(padded.shape, images.dtype)
  padded[:n, :h, :w] = images
  padded = padded.reshape(rows, columns, h + gap, w + gap, c)
  return padded.swapaxes(1, 2).reshape(rows * (h + gap), columns * (w + gap), c)
