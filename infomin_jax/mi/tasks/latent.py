"""Suites in which many columns or pixels share a few signals.

They have copies of signals, nuisance columns, random networks and images.

References:
  Gowri et al., `Approximating Mutual Information of High-Dimensional Variables
  Using Learned Representations <https://arxiv.org/abs/2409.02732>`_, 2024 (the
  grid); Butakov et al., `mutinfo <https://github.com/VanessB/mutinfo>`_ (blobs
  and rectangles); Abdelaleem et al., `Accurate Estimation of Mutual Information
  in High Dimensional Data <https://arxiv.org/abs/2506.00330>`_, 2025 (a frozen
  net).
"""

import functools

import numpy as np
from scipy import special

from infomin_jax.mi.tasks.distributions import Task

BITS = (0.0, 2 / 3, 4 / 3, 2.0)


def _signals(nats, count, n, rng):
  rho = np.sqrt(-np.expm1(-2 * nats / count))
  x, noise = rng.normal(size=(2, n, count))
  return x, rho * x + np.sqrt(1 - rho**2) * noise


def _grid(ambient, count, nats, n, rng):
  """Draws signals, exact copies of them, and noise in half of the columns."""
  nuisance = (ambient - count) // 2
  copies = ambient - count - nuisance

  def wide(z):
    copied = z[:, rng.integers(count, size=copies)]
    return np.hstack([z, copied, rng.normal(size=(n, nuisance))])

  x, y = _signals(nats, count, n, rng)
  return wide(x), wide(y)


def grid(ambient: int, count: int, bits: float) -> Task:
  """Returns a task of `count` signals that share `bits` in total."""
  nats = bits * np.log(2)
  return Task(
    f"grid_{ambient}_{count}_{bits:.2g}",
    ambient,
    ambient,
    float(nats),
    f"{count} signals in {ambient} columns, {bits:.2g} bits",
    "closed form",
    functools.partial(_grid, ambient, count, nats),
    2_000,
  )


def tasks() -> tuple[Task, ...]:
  """Returns a subset of the published grid: 10 to 5,000 columns."""
  return tuple(
    grid(ambient, count, bits)
    for ambient in (10, 100, 1000, 5000)
    for count in (1, 3, 9)
    for bits in BITS
  )


def _net(nats, count, observed, hidden, n, rng):
  """Draws signals through a random network with one hidden softplus layer."""

  def through(z):
    for width in (hidden, observed):
      bound = 1 / np.sqrt(z.shape[1])
      weights = rng.uniform(-bound, bound, size=(z.shape[1], width))
      z = z @ weights + rng.uniform(-bound, bound, size=width)
      if width == hidden:
        z = np.logaddexp(0, z)
    return z

  x, y = _signals(nats, count, n, rng)
  return through(x), through(y)


def net(nats: float, count: int = 10, observed: int = 100) -> Task:
  """Returns `count` signals seen through a network, in `observed` columns."""
  draw = functools.partial(_net, nats, count, observed, 64)
  about = f"{count} signals through a net, {nats:g} nats"
  name = f"net_{count}_{observed}_{nats:.3g}"
  return Task(name, observed, observed, nats, about, "closed form", draw, 2_500)


def _places(nats, count, n, rng):
  """Draws coordinates in (0, 1) that correlate between x and y only."""
  x, y = _signals(nats, count, n, rng)
  return special.ndtr(x), special.ndtr(y)


def _blobs(nats, size, n, rng):
  """Draws images of a Gaussian blob of deviation 0.2 at a random place."""
  t = np.linspace(0, 1, size)

  def drawn(place):
    across = np.exp(-((t - place[:, :1]) ** 2) / (2 * 0.2**2))
    down = np.exp(-((t - place[:, 1:]) ** 2) / (2 * 0.2**2))
    return (down[:, :, None] * across[:, None, :]).astype(np.float32)

  x, y = _places(nats, 2, n, rng)
  return drawn(x), drawn(y)


def _rectangles(nats, size, n, rng):
  """Draws images of a soft-edged rectangle whose four edges are random."""
  t = (np.arange(size) + 0.5) / size

  def edges(low, length):
    length = 0.2 + 0.8 * length
    start = low * (1 - length)
    low, high = start[:, None], (start + length)[:, None]
    soft = size * np.stack([t - low, high - t])
    return np.clip(soft + 0.5, 0, 1).min(axis=0)

  def drawn(place):
    across = edges(place[:, 0], place[:, 1])
    down = edges(place[:, 2], place[:, 3])
    return (down[:, :, None] * across[:, None, :]).astype(np.float32)

  x, y = _places(nats, 4, n, rng)
  return drawn(x), drawn(y)


def images(size: int = 16) -> tuple[Task, ...]:
  """Returns blobs and rectangles of `size` x `size` pixels."""
  rows = [
    (name, nats, draw)
    for name, draw in (("blobs", _blobs), ("rectangles", _rectangles))
    for nats in (0.1, 1.0, 2.5, 5.0, 7.0)
  ]
  return tuple(
    Task(
      f"{name}_{size}_{nats:g}",
      size * size,
      size * size,
      nats,
      f"{name}, {size} x {size} pixels, {nats:g} nats",
      "closed form",
      functools.partial(draw, nats, size),
    )
    for name, nats, draw in rows
  )
