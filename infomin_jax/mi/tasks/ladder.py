"""Families of distributions at any MI: the ladder, and high MI.

`I` is spread evenly over d pairs of coordinates, `m = I / d` for each.

References:
  Butakov et al., `mutinfo <https://github.com/VanessB/mutinfo>`_, 2024 to 2026
  (the families and the ladder); Kholkin et al., `InfoBridge
  <https://arxiv.org/abs/2502.01383>`_, 2026 (80 nats).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, special

from infomin_jax.mi.tasks.distortions import rotation
from infomin_jax.mi.tasks.distributions import Task, student_extra_mi

STEPS = (1, 2, 3, 5, 7, 10)  # nats


def _normal(nats, dim, n, rng):
  """Draws correlated normal coordinates, with a random rotation per side."""
  rho = np.sqrt(-np.expm1(-2 * nats / dim))
  x, noise = rng.normal(size=(2, n, dim))
  y = rho * x + np.sqrt(1 - rho**2) * noise
  if dim == 1:
    return x, y
  seeds = rng.integers(2**31, size=2)
  return x @ rotation(dim, seeds[0]), y @ rotation(dim, seeds[1])


def _mapped(change, nats, dim, n, rng):
  x, y = _normal(nats, dim, n, rng)
  return change(x), change(y)


def _stretched(z):
  return np.sign(z) * np.abs(z) ** 1.5


def _student(df, nats, dim, n, rng):
  x, y = _normal(nats - student_extra_mi(df, dim, dim), dim, n, rng)
  scale = np.sqrt(rng.chisquare(df, size=(n, 1)) / df)
  return x / scale, y / scale


def _smoothed_uniform(nats, dim, n, rng):
  """Draws y = s x + noise from uniform x and noise in (0, 1).

  Both terms are divided by the larger of s and 1.
  """
  s = uniform_slope(nats / dim)
  x, noise = rng.uniform(size=(2, n, dim))
  return x, x * min(1.0, s) + noise / max(1.0, s)


def uniform_slope(nats: float) -> float:
  """Returns s at which x and s x + e share `nats`; x, e uniform in (0, 1)."""
  if nats <= 0.5:
    return 2 * nats
  return _root(lambda s: 1 / (2 * s) + np.log(s) - nats, 1, np.exp(nats))


def _root(missing: Callable[[float], float], low: float, high: float) -> float:
  return float(optimize.root_scalar(missing, bracket=(low, high)).root)


def _log_gamma_exp(nats, dim, n, rng):
  """Draws x, the log of a gamma variable, and y, a log exponential minus x.

  I = digamma(1/k) + k + log k for shape 1/k.
  """

  def missing(log_k):
    k = np.exp(log_k)
    return special.digamma(1 / k) + k + log_k - nats / dim

  k = np.exp(_root(missing, -20, nats / dim + 3))
  # A gamma variable of shape 1/k is one of shape 1/k + 1 times U^k. The log of
  # this product is finite even where the variable is below the smallest float.
  x = np.log(rng.gamma(1 / k + 1, size=(n, dim)))
  x += k * np.log(rng.uniform(size=(n, dim))) - special.digamma(1 / k)
  return x, np.log(rng.exponential(size=(n, dim))) - x


def level_shares(nats: float) -> np.ndarray:
  """Returns probabilities of entropy `nats`: equal ones, and one smaller."""
  count = int(np.ceil(np.exp(nats) - 1e-9))
  if count < 2:
    return np.ones(1)

  def shares(last):
    return np.append(np.full(count - 1, (1 - last) / (count - 1)), last)

  def missing(last):
    return float(np.sum(special.entr(shares(last)))) - nats

  if missing(1 / count) <= 0:
    return shares(1 / count)
  return shares(_root(missing, 0, 1 / count))


def _quantised(nats, dim, n, rng):
  """Draws uniform x, and y, the number of its interval in (0, 1)."""
  edges = np.cumsum(level_shares(nats / dim))[:-1]
  x = rng.uniform(size=(n, dim))
  return x, np.searchsorted(edges, x).astype(np.float64)


def _smoothed_levels(nats, dim, n, rng):
  """Draws whole numbers x of entropy m, and y = x + noise in (0, 1)."""
  shares = level_shares(nats / dim)
  x = rng.choice(len(shares), size=(n, dim), p=shares).astype(np.float64)
  return x, x + rng.uniform(size=(n, dim))


# name -> `(nats, dim, n, generator) -> (x [n, dim], y [n, dim])`.
FAMILIES: dict[str, Callable] = {
  "corr_normal": _normal,
  "corr_uniform": functools.partial(_mapped, special.ndtr),
  "stretched": functools.partial(_mapped, _stretched),
  "student_df1": functools.partial(_student, 1),
  "student_df2": functools.partial(_student, 2),
  "smoothed_uniform": _smoothed_uniform,
  "log_gamma_exp": _log_gamma_exp,
  "quantised": _quantised,
  "smoothed_levels": _smoothed_levels,
}


def rung(family: str, nats: float, dim: int) -> Task:
  """Returns the task of a family at `nats`, with `dim` coordinates per side."""
  return Task(
    f"{family}_{dim}v{dim}_{nats:g}",
    dim,
    dim,
    float(nats),
    f"{family.replace('_', ' ')} {dim} x {dim}, {nats:g} nats",
    "by construction",
    functools.partial(FAMILIES[family], nats, dim),
  )


def tasks(dims: Sequence[int] = (2,)) -> tuple[Task, ...]:
  """Returns the ladder: every family at every step."""
  return tuple(
    rung(family, nats, dim)
    for family in FAMILIES
    for dim in dims
    for nats in STEPS
  )


def high() -> tuple[Task, ...]:
  """Returns the InfoBridge tasks: 10 to 160 nats in 20 to 160 coordinates."""
  return tuple(
    dataclasses.replace(rung(family, each * dim, dim), samples=100_000)
    for family in ("corr_normal", "corr_uniform", "smoothed_uniform")
    for dim in (20, 40, 80, 160)
    for each in (0.5, 1.0)
  )
