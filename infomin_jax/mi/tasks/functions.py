"""A function of one number plus noise: bends, steps and heavy tails."""

import functools

import numpy as np
from scipy import special, stats

from infomin_jax.mi.tasks.distributions import Task

NOISE = 0.1


def _steps(x):
  return np.floor(2 * x)


def _sine(x):
  return np.sin(6 * x)


def _cube(x):
  return x**3


# name -> (f, distribution of x): y = f(x) + normal noise of deviation `NOISE`.
FUNCTIONS = {
  "square": (np.square, stats.norm()),
  "square_uniform": (np.square, stats.uniform(-1, 2)),
  "cube": (_cube, stats.norm()),
  "sine": (_sine, stats.norm()),
  "steps": (_steps, stats.norm()),
  "absolute": (np.abs, stats.t(3)),
}


def added_mi(name: str) -> float:
  """Returns I(X; f(X) + noise) = h(Y) - h(noise) for `FUNCTIONS`, nats."""
  f, x = FUNCTIONS[name]
  shares = (np.arange(1_000_000) + 0.5) / 1_000_000
  points = f(x.ppf(shares))
  width = NOISE / 20
  reach = 8 * NOISE
  low, high = points.min() - reach, points.max() + reach
  counts, _ = np.histogram(points, np.arange(low, high, width))
  kernel = np.arange(-reach, reach + width / 2, width)
  kernel = stats.norm.pdf(kernel, scale=NOISE) * width
  share = np.convolve(counts / len(points), kernel / kernel.sum(), "same")
  entropy = np.sum(special.entr(share)) + np.log(width)
  return float(entropy - stats.norm(scale=NOISE).entropy())


def _added(name, n, rng):
  f, x = FUNCTIONS[name]
  x = x.rvs(size=(n, 1), random_state=rng)
  return x, f(x) + NOISE * rng.normal(size=(n, 1))


def _circle(n, rng):
  """Draws points of the unit circle; x and y are noisy coordinates."""
  angle = rng.uniform(0, 2 * np.pi, size=(n, 1))
  noise = NOISE * rng.normal(size=(2, n, 1))
  return np.cos(angle) + noise[0], np.sin(angle) + noise[1]


def circle_mi() -> float:
  """Returns the MI of `_circle` in nats, by quadrature."""
  grid, width = np.linspace(-1.8, 1.8, 721, retstep=True)
  angle = 2 * np.pi * (np.arange(2880) + 0.5) / 2880
  x = stats.norm.pdf(grid[:, None], np.cos(angle), NOISE)
  y = stats.norm.pdf(grid[:, None], np.sin(angle), NOISE)
  joint = x @ y.T / len(angle)
  product = np.outer(x.mean(axis=1), y.mean(axis=1))
  return float(np.sum(special.rel_entr(joint, product)) * width**2)


def _cauchy(n, rng):
  """Draws Cauchy x, and y = x + Cauchy noise of a tenth of the width."""
  x, noise = rng.standard_cauchy(size=(2, n, 1))
  return x, x + NOISE * noise


def _log_normal(n, rng):
  """Draws a normal pair of correlation 0.9, mapped by exp(3 z)."""
  x, noise = rng.normal(size=(2, n, 1))
  return np.exp(3 * x), np.exp(3 * (0.9 * x + np.sqrt(0.19) * noise))


def _nearly_same(n, rng):
  """Draws y = x + noise of deviation 1e-4."""
  x, noise = rng.normal(size=(2, n, 1))
  return x, x + 1e-4 * noise


def tasks() -> tuple[Task, ...]:
  """Returns all tasks, with one coordinate per side."""
  rows = [
    (name, added_mi(name), "quadrature", functools.partial(_added, name))
    for name in FUNCTIONS
  ]
  rows += [
    ("circle", circle_mi(), "quadrature", _circle),
    ("cauchy", float(np.log(1 / NOISE + 1)), "closed form", _cauchy),
    ("log_normal", float(-0.5 * np.log(0.19)), "closed form", _log_normal),
    ("nearly_same", float(0.5 * np.log1p(1e8)), "closed form", _nearly_same),
  ]
  return tuple(
    Task(name, 1, 1, mi, name.replace("_", " "), source, draw, 5_000)
    for name, mi, source, draw in rows
  )
