"""Few samples of many families of distributions, with random parameters.

References:
  Gritsai et al., `MIST: Mutual Information Via Supervised Training
  <https://arxiv.org/abs/2511.18945>`_, 2025: the families that its network was
  trained on (`INSIDE`), other families (`OUTSIDE`), and the ranges of their
  parameters.
"""

import dataclasses
import functools

import numpy as np

from infomin_jax.mi.tasks import distortions
from infomin_jax.mi.tasks.distributions import (
  Task,
  distorted,
  gaussian,
  sparse,
  student,
)

INSIDE = (
  "normal_dense",
  "normal_dense_half_cube",
  "student_dense",
  "student_sparse",
  "student_sparse_asinh",
)
OUTSIDE = (
  "normal_dense_wiggly",
  "normal_sparse_half_cube",
  "normal_sparse_asinh",
  "student_sparse_wiggly",
  "student_dense_half_cube",
  "additive",
  "additive_half_cube",
)
MAPS = {
  "half_cube": (distortions.half_cube, distortions.half_cube),
  "asinh": (np.arcsinh, np.arcsinh),
  "wiggly": (distortions.wiggly_x, distortions.wiggly_y),
}


def _additive(dim, noise, n, rng):
  x = rng.uniform(size=(n, dim))
  return x, x + rng.uniform(-noise, noise, size=(n, dim))


def drawn(family: str, seed: int) -> Task:
  """Returns a task of a family with random parameters and sample size.

  Args:
    family: one of `INSIDE` or `OUTSIDE`.
    seed: seed of dimension, parameters and size.
  """
  rng = np.random.default_rng(seed)
  dim = int(rng.integers(2, 33))
  size = int(rng.integers(40, 501))
  kind, _, change = family.partition("_")
  layout = "dense"
  if kind != "additive":
    layout, _, change = change.partition("_")
  name = f"{family}_{dim}v{dim}_{seed}"
  about = f"{family.replace('_', ' ')} {dim} x {dim}"
  if kind == "additive":
    task = _additive_task(name, about, dim, float(rng.uniform(0.1, 2)))
  else:
    if layout == "dense":
      rho = float(rng.uniform(0, 0.5))
      matrix = np.eye(2 * dim) * (1 - rho) + rho
    else:
      strength = rng.uniform(0.1, 5)
      rho = float(strength**2 / (1 + strength**2))
      matrix = sparse(dim, dim, rho, pairs=int(rng.integers(1, dim + 1)))
    if kind == "normal":
      task = gaussian(name, matrix, dim, about)
    else:
      task = student(name, matrix, dim, float(rng.integers(1, 11)), about)
  if change:
    task = distorted(task, name, *MAPS[change], about)
  return dataclasses.replace(task, samples=size)


def _additive_task(name, about, dim, noise):
  each = 1 / (4 * noise) if noise > 0.5 else noise - np.log(2 * noise)
  draw = functools.partial(_additive, dim, noise)
  return Task(name, dim, dim, float(dim * each), about, "closed form", draw)


def tasks(count: int = 5) -> tuple[Task, ...]:
  """Returns `count` tasks of each family."""
  families = (*INSIDE, *OUTSIDE)
  return tuple(
    drawn(family, 1000 * i + j)
    for i, family in enumerate(families)
    for j in range(count)
  )
