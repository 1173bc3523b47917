"""Variables that are partly discrete: ties, atoms, counts, classes.

References:
  Gao et al., `Estimating Mutual Information for Discrete-Continuous Mixtures
  <https://arxiv.org/abs/1709.06212>`_, 2017, section 5.

Differs from the paper: the truth of the zero-inflated Poisson is 0.2298 nats,
by quadrature. The published (1 - p) 0.3012 = 0.2560 holds only if an inflated
zero could be distinguished from a zero of the Poisson variable.
"""

import dataclasses
import functools

import numpy as np
from scipy import special, stats

from infomin_jax.mi.tasks.distributions import Task
from infomin_jax.mi.tasks.ladder import rung

_EXACT, _NUMERIC = "closed form", "quadrature"


def _half_signs(n, rng, rho=0.9, agree=0.9):
  """Draws pairs of which half are normal, and half are two signs.

  The signs agree with probability `agree`.
  """
  z = rng.normal(size=(n, 2))
  z[:, 1] = rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]
  sign = rng.choice([-1.0, 1.0], size=n)
  other = np.where(rng.uniform(size=n) < agree, sign, -sign)
  signs = np.stack([sign, other], axis=1)
  pairs = np.where(rng.uniform(size=(n, 1)) < 0.5, z, signs)
  return pairs[:, :1], pairs[:, 1:]


def half_signs_mi(rho: float = 0.9, agree: float = 0.9) -> float:
  """Returns the MI of `_half_signs`: 1.2924 nats."""
  entropy = float(special.entr(agree) + special.entr(1 - agree))
  normal = -0.5 * np.log1p(-(rho**2))
  # The kind of a pair is visible on both sides: log 2 nats.
  return float(0.5 * (normal + np.log(2) - entropy) + np.log(2))


def _level_noise(levels, n, rng):
  """Draws x from 0 .. levels - 1, and y = x + uniform in (0, 2)."""
  x = rng.integers(levels, size=(n, 1)).astype(np.float64)
  return x, x + rng.uniform(0, 2, size=(n, 1))


def level_noise_mi(levels: int) -> float:
  """Returns the MI of `_level_noise`: 1.0549 nats for 5 levels."""
  return float(np.log(levels) - (levels - 1) / levels * np.log(2))


def _both_ways(n, rng):
  """Draws two copies of `_level_noise`, one with x and y exchanged."""
  (a, b), (c, d) = (_level_noise(5, n, rng) for _ in range(2))
  return np.hstack([a, d]), np.hstack([b, c])


def _inflated_poisson(p, n, rng):
  """Draws exponential x, and y: Poisson of rate x, or 0 with probability p."""
  x = rng.exponential(size=(n, 1))
  return x, (rng.poisson(x) * (rng.uniform(size=x.shape) >= p)).astype(float)


def inflated_poisson_mi(p: float) -> float:
  """Returns the MI of `_inflated_poisson` in nats, by quadrature."""
  x = (np.arange(20_000) + 0.5) / 500
  weight = np.exp(-x) / np.sum(np.exp(-x))
  k = np.arange(120)
  conditional = (1 - p) * stats.poisson.pmf(k, x[:, None])  # [x, k]
  conditional[:, 0] += p
  count = weight @ conditional
  return float(weight @ np.sum(special.rel_entr(conditional, count), axis=1))


def _both_zero(share, n, rng):
  """Draws two normal values that are independent, and zero together."""
  x, y = rng.normal(size=(2, n, 1)) * (rng.uniform(size=(n, 1)) < share)
  return x, y


def _censored(rho, n, rng, mean=0.5):
  """Draws two correlated normals of mean 0.5; negative values become 0."""
  z = rng.normal(size=(2, n, 1))
  y = rho * z[0] + np.sqrt(1 - rho**2) * z[1]
  return np.maximum(z[0] + mean, 0), np.maximum(y + mean, 0)


def censored_mi(rho: float, mean: float = 0.5) -> float:
  """Returns the MI of `_censored` in nats, by quadrature over four parts."""
  z, width = np.linspace(0, mean + 9, 4001, retstep=True)
  z = (z[1:] + z[:-1]) / 2
  density = stats.norm.pdf(z - mean)
  zero = stats.norm.cdf(-mean)
  root = np.sqrt(1 - rho**2)
  # P(y < 0 | x)
  below = special.ndtr((-mean - rho * (z - mean)) / root)
  joint = stats.norm.pdf((z - mean)[None], rho * (z - mean)[:, None], root)
  joint = density[:, None] * joint
  both = np.sum(special.rel_entr(joint, density[:, None] * density)) * width**2
  one = np.sum(special.rel_entr(density * below, density * zero)) * width
  none = zero - np.sum(density * below) * width
  return float(both + 2 * one + special.rel_entr(none, zero**2))


def _signs_of(dim, n, rng):
  """Draws normal x in many dimensions; y is the sign of one, as a class."""
  x = rng.normal(size=(n, dim))
  return x, (x[:, :1] > 0).astype(np.int64)


def _integers(levels, n, rng):
  """Draws two independent whole numbers of many values."""
  x, y = rng.integers(levels, size=(2, n))
  return x, y


def tasks() -> tuple[Task, ...]:
  """Returns all tasks of the suite."""
  p = 0.15
  rows = (
    ("half_signs", 1, half_signs_mi(), _EXACT, _half_signs),
    *(
      (
        f"level_noise_{levels}",
        1,
        level_noise_mi(levels),
        _EXACT,
        functools.partial(_level_noise, levels),
      )
      for levels in (3, 5)
    ),
    ("both_ways", 2, 2 * level_noise_mi(5), _EXACT, _both_ways),
    (
      "inflated_poisson",
      1,
      inflated_poisson_mi(p),
      _NUMERIC,
      functools.partial(_inflated_poisson, p),
    ),
    *(
      (
        f"both_zero_{share:g}",
        1,
        float(special.entr(share) + special.entr(1 - share)),
        _EXACT,
        functools.partial(_both_zero, share),
      )
      for share in (0.01, 0.3)
    ),
    (
      "censored",
      1,
      censored_mi(0.8),
      _NUMERIC,
      functools.partial(_censored, 0.8),
    ),
    *(
      (
        f"integers_{levels}",
        1,
        0.0,
        _EXACT,
        functools.partial(_integers, levels),
      )
      for levels in (256, 400)
    ),
  )
  all_tasks = [
    Task(name, d, d, mi, name.replace("_", " "), source, draw)
    for name, d, mi, source, draw in rows
  ]
  sign = functools.partial(_signs_of, 100)
  about = "sign of one of 100"
  all_tasks.append(Task("sign_100v1", 100, 1, np.log(2), about, _EXACT, sign))
  levels = (2, 16, 100)
  all_tasks += [
    rung(family, float(np.log(count)), 1)
    for family in ("quantised", "smoothed_levels")
    for count in levels
  ]
  return tuple(dataclasses.replace(task, samples=2_000) for task in all_tasks)
