"""Plots of a report, in colors that colorblind readers can distinguish."""

import html
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

# https://jfly.uni-koeln.de/color, without black and yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MANY = 5000  # with more points than this, the graphics card draws them
POINTS = 2000  # per curve at most: more than a screen can separate
FEWEST = 200  # per curve at least, if many curves share `TOGETHER` points
TOGETHER = 20_000  # points of all curves of a plot


def curves(
  lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  across: str,
  up: str,
  *,
  flat: Mapping[str, float] | None = None,
  bands: Mapping[str, Sequence[float]] | None = None,
) -> go.Figure:
  """Draws lines over one axis.

  A line of more points than a screen can separate is thinned by `thinned`; the
  title of the x axis then mentions it.

  Args:
    lines: `name -> (x, y)`.
    across: title of the x axis.
    up: title of the y axis, with its unit.
    flat: `name -> value` of horizontal lines, such as a ceiling.
    bands: `name -> half width` of a band around a line, one value per point.
  """
  figure = go.Figure()
  most = min(POINTS, max(FEWEST, TOGETHER // max(len(lines), 1)))
  if any(len(x) > most for x, _ in lines.values()):
    across += f" (the lowest and highest value of each 1/{most // 2} of a run)"
  for i, (name, (x, y)) in enumerate(lines.items()):
    color = COLOURS[i % len(COLOURS)]
    drawn = thinned(y, most)
    x, y = np.asarray(x)[drawn], np.asarray(y)[drawn]
    if bands and name in bands:
      half = np.asarray(bands[name])[drawn]
      edges = [*(y + half), *(y - half)[::-1]]
      figure.add_scatter(
        x=[*x, *list(x)[::-1]],
        y=edges,
        fill="toself",
        line=dict(width=0),
        fillcolor=color,
        opacity=0.2,
        hoverinfo="skip",
        showlegend=False,
      )
    figure.add_scatter(
      x=x.tolist(),
      y=y.tolist(),
      name=html.escape(name),
      mode="lines+markers" if len(x) < 40 else "lines",
      line=dict(color=color),
    )
  ends = [x for xs, _ in lines.values() if len(xs) for x in (xs[0], xs[-1])]
  for name, value in (flat or {}).items() if ends else ():
    figure.add_scatter(
      x=[min(ends), max(ends)],
      y=[value, value],
      name=html.escape(name),
      # A line between two equal points would be invisible.
      mode="lines" if min(ends) < max(ends) else "markers",
      line=dict(dash="dash", color="#8a8f98"),
    )
  figure.update_layout(xaxis_title=across, yaxis_title=up)
  return figure


def thinned(y: Sequence[float], most: int) -> np.ndarray:
  """Returns the indices of a long curve to draw, so that no spike is lost.

  Args:
    y: `[n]` values in order. Non-finite values count as neither lowest nor
      highest.
    most: number of values to keep, at least 4.

  Returns:
    Sorted indices. They are all if n <= most, else the first, the last, and the
    lowest and highest value of `most // 2 - 1` equal intervals.
  """
  n = len(y)
  if n <= most:
    return np.arange(n)
  values = np.asarray(y, float)
  finite = np.isfinite(values)
  low, high = (np.where(finite, values, end) for end in (np.inf, -np.inf))
  edges = np.linspace(0, n, most // 2, dtype=int)
  indices = {0, n - 1}
  for start, stop in itertools.pairwise(edges):
    indices |= {
      start + int(np.argmin(low[start:stop])),
      start + int(np.argmax(high[start:stop])),
    }
  return np.array(sorted(indices))


def histograms(
  values: Mapping[str, np.ndarray], across: str, bins: int = 60
) -> go.Figure:
  """Draws overlaid histograms, each of area one."""
  ends = np.concatenate(list(values.values()))
  edges = np.linspace(ends.min(), ends.max() + 1e-9, bins + 1)
  figure = go.Figure()
  for i, (name, numbers) in enumerate(values.items()):
    heights, _ = np.histogram(numbers, edges, density=True)
    figure.add_bar(
      x=(edges[1:] + edges[:-1]) / 2,
      y=heights,
      name=name,
      opacity=0.6,
      marker_color=COLOURS[i % len(COLOURS)],
    )
  figure.update_layout(
    barmode="overlay", bargap=0, xaxis_title=across, yaxis_title="density"
  )
  return figure


def intervals(
  names: Sequence[str],
  values: Sequence[float],
  ends: Sequence[Sequence[float]],
  verdicts: Sequence[str],
  thresholds: Sequence[float],
) -> go.Figure:
  """Draws one point and its interval per row.

  The x axis is the distance from the row's threshold, in units of half the
  interval's width.

  Args:
    names: of the rows.
    values: effects.
    ends: lower and upper end of each interval.
    verdicts: `holds`, `fails` or another word; each has a color.
    thresholds: the value that each effect is compared with, drawn at 0.
  """
  figure = go.Figure()
  colors = {"holds": COLOURS[2], "fails": COLOURS[1]}
  for verdict in dict.fromkeys(verdicts):
    rows = [i for i, v in enumerate(verdicts) if v == verdict]
    half = [max((ends[i][1] - ends[i][0]) / 2, 1e-12) for i in rows]
    figure.add_scatter(
      x=[
        (values[i] - thresholds[i]) / h for i, h in zip(rows, half, strict=True)
      ],
      y=[html.escape(names[i]) for i in rows],
      text=[
        f"{values[i]:.4g} ({ends[i][0]:.4g} to {ends[i][1]:.4g})" for i in rows
      ],
      hovertemplate="%{y}: %{text}<extra></extra>",
      error_x=dict(type="constant", value=1),
      mode="markers",
      name=verdict,
      marker_color=colors.get(verdict, "#8a8f98"),
    )
  figure.add_vline(x=0, line_dash="dash", line_color="#8a8f98")
  figure.update_yaxes(automargin=True, autorange="reversed")
  figure.update_layout(height=120 + 22 * len(names))
  return figure


def plane(
  points: np.ndarray,
  labels: Sequence[str],
  task: str = "",
  order: Sequence[str] = (),
) -> go.Figure:
  """Draws points of a plane, colored by label.

  The `customdata` of a point is its row.

  Args:
    points: `[n, 2]`.
    labels: `[n]`, shown when the pointer is over a point. Up to 20 different
      labels get a legend.
    task: name of the labels.
    order: all labels, in the order of the legend; if empty, sorted.
  """
  figure, names = go.Figure(), list(order) or sorted(set(labels))
  kind = go.Scattergl if len(points) > MANY else go.Scatter
  numbers = {name: i for i, name in enumerate(names)}
  which = np.array([numbers[label] for label in labels])
  few = len(names) <= 20
  # If every point has its own label, colors carry no information.
  many = which if len(names) < len(points) else COLOURS[0]
  for i, label in enumerate(names if few else [""]):
    rows = np.flatnonzero(which == i) if few else np.arange(len(points))
    figure.add_trace(
      kind(
        x=points[rows, 0],
        y=points[rows, 1],
        customdata=rows,
        text=[html.escape(f"{task} {labels[row]}") for row in rows.tolist()],
        hovertemplate="%{text}<extra></extra>",
        name=html.escape(label),
        mode="markers",
        marker=dict(
          size=5,
          opacity=0.75,
          color=_color(i, len(names)) if few else many,
          colorscale="Viridis",
        ),
      )
    )
  figure.update_layout(showlegend=few and len(names) > 1)
  figure.update_xaxes(showticklabels=False, title=None)
  figure.update_yaxes(showticklabels=False, title=None)
  return figure


def _color(i: int, count: int) -> str:
  if count <= len(COLOURS):
    return COLOURS[i]
  return f"hsl({360 * i / count:.0f}, 65%, {45 if i % 2 else 58}%)"
