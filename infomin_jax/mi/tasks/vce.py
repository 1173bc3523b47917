"""The table of vector-copula estimation: 4 to 64 coordinates per side.

References:
  Chen et al., `Neural Mutual Information Estimation with Vector Copulas
  <https://arxiv.org/abs/2510.20968>`_, 2025, and its code.
"""

import functools

import numpy as np

from infomin_jax.mi.tasks.distortions import spiral
from infomin_jax.mi.tasks.distributions import Task, sparse, student
from infomin_jax.mi.tasks.mixtures import mixture_task, vector_copula

DIMS = (4, 8, 16, 32, 64)
_RHO = 0.7
_NOISE = 0.225


def _pairs(dim, n, rng):
  x, noise = rng.normal(size=(2, n, dim))
  return x, _RHO * x + np.sqrt(1 - _RHO**2) * noise


def _wrapped(dim, n, rng):
  """Draws tanh of x and exp of y, then running means of the coordinates."""
  x, y = _pairs(dim, n, rng)
  means = np.tril(np.ones((dim, dim))) / np.arange(1, dim + 1)[:, None]
  return np.tanh(x) @ means, np.exp(y) @ means


def _spiral(dim, n, rng):
  x, y = _pairs(dim, n, rng)
  speed = -1.57 / dim
  return spiral(x, (0, 1), speed), spiral(y, (1, 2), speed)


def _additive(dim, n, rng):
  x = rng.uniform(size=(n, dim))
  return x, x + rng.uniform(-_NOISE, _NOISE, size=(n, dim))


def tasks(dims=DIMS) -> tuple[Task, ...]:
  """Returns the families of the table, with `dims` coordinates per side."""
  all_tasks = []
  for d in dims:
    normal = -d / 2 * np.log1p(-(_RHO**2))
    uniform = d * (_NOISE - np.log(2 * _NOISE))
    for name, draw, nats in (
      ("wrapped", _wrapped, normal),
      ("spiral", _spiral, normal),
      ("smoothed_uniform", _additive, uniform),
    ):
      all_tasks.append(
        Task(
          f"{name}_{d}v{d}",
          d,
          d,
          float(nats),
          f"{name.replace('_', ' ')} {d} x {d}",
          "closed form",
          functools.partial(draw, d),
        )
      )
    dispersion = sparse(d, d, _RHO, pairs=d)
    about = f"Student-t {d} x {d} (dof=1)"
    all_tasks.append(student(f"student_{d}v{d}", dispersion, d, 1, about))
    all_tasks.append(
      mixture_task(
        f"mixture_{d}v{d}", vector_copula(d), f"five normals {d} x {d}"
      )
    )
  return tuple(all_tasks)
