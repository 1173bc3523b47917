"""The 40-task benchmark, and tasks of our own.

`TASKS` holds all tasks by name. `PUBLISHED` names the 40 tasks of Czyz et al.,
`Beyond Normal: On the Evaluation of Mutual Information Estimators
<https://arxiv.org/abs/2306.11078>`_, 2023, in its order. A name has the form
`distortion_distribution_dims`; `3v3` means three coordinates of x and of y.

Differs from the paper: it standardizes the samples of every task before
estimation. These samples are not standardized.
"""

import functools

import numpy as np

from infomin_jax.mi.tasks import distortions
from infomin_jax.mi.tasks.distributions import (
  Map,
  Task,
  additive_noise,
  correlated_gaussian,
  dense,
  distorted,
  gaussian,
  gaussian_stairs,
  sparse,
  student,
)

CORRELATION = 0.75  # of the normal tasks with one coordinate


def _same(map_: Map) -> tuple[Map, Map]:
  return map_, map_


def _spirals(dim: int) -> tuple[Map, Map]:
  # Slower in more dimensions, where |x|^2 is larger: about one radian in all.
  turn = functools.partial(distortions.spiral, speed=1 / dim)
  return (
    functools.partial(turn, plane=(0, 1)),
    functools.partial(turn, plane=(1, 2)),
  )


def _rotations(seed: int) -> tuple[Map, Map]:
  return (
    functools.partial(distortions.rotate, seed=2 * seed),
    functools.partial(distortions.rotate, seed=2 * seed + 1),
  )


def _bimodal(weights, means) -> Map:
  return functools.partial(distortions.mixture, weights=weights, means=means)


_UNIFORM = _same(distortions.normal_cdf)
_HALF_CUBE = _same(distortions.half_cube)
_WIGGLY = (distortions.wiggly_x, distortions.wiggly_y)
_ASINH = _same(np.arcsinh)
_BIMODAL = (
  _bimodal((0.3, 0.7), (0.0, 5.0)),
  _bimodal((0.5, 0.5), (-1.0, 3.0)),
)


def _normal_tasks(rho: float = CORRELATION) -> list[Task]:
  """Returns tasks in which y has one dimension, and x one or two."""
  normal = gaussian(
    "normal_1v1", sparse(1, 1, rho, pairs=1), 1, "Bivariate normal 1 x 1"
  )
  uniform = distorted(normal, "uniform_1v1", *_UNIFORM, "Uniform 1 x 1")
  return [
    normal,
    uniform,
    *(
      additive_noise(f"additive_1v1_{e:g}", e, f"Uniform 1 x 1, noise {e:g}")
      for e in (0.1, 0.75)
    ),
    distorted(normal, "bimodal_1v1", *_BIMODAL, "Bimodal 1 x 1"),
    distorted(normal, "wiggly_1v1", *_WIGGLY, "Wiggly @ normal 1 x 1"),
    distorted(normal, "half_cube_1v1", *_HALF_CUBE, "Half-cube @ normal 1 x 1"),
    distorted(
      uniform,
      "swiss_roll_2v1",
      distortions.swiss_roll,
      _identity,
      "Swiss roll 2 x 1",
      added_dim_x=1,
    ),
    # Ours:
    distorted(normal, "asinh_1v1", *_ASINH, "Asinh @ normal 1 x 1"),
  ]


def _identity(x):
  return x


def _multinormal_tasks() -> list[Task]:
  return [
    gaussian(
      f"{kind}_{d}v{d}", matrix(d, d), d, f"Multinormal {d} x {d} ({label})"
    )
    for kind, matrix, label in (
      ("dense", dense, "dense"),
      ("sparse", sparse, "2-pair"),
    )
    for d in (2, 3, 5, 25, 50)
  ]


def _student_tasks() -> list[Task]:
  tasks = []
  for d, df in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3)):
    name, about = f"student_{d}v{d}_df{df}", f"Student-t {d} x {d} (dof={df})"
    task = student(name, np.eye(2 * d), d, df, about)
    asinh = distorted(task, f"asinh_{name}", *_ASINH, f"Asinh @ {about}")
    tasks += [task, asinh]
  for d in (3, 5, 25):
    name, about = f"student_sparse_{d}v{d}_df5", f"Student-t {d} x {d} (2-pair)"
    tasks.append(student(name, sparse(d, d), d, 5, f"{about}, dof=5"))
  return tasks


def _distorted_tasks(bases: dict[str, Task]) -> list[Task]:
  """Returns the sparse multinormal tasks with each distortion, and with two."""
  tasks = []
  for d in (3, 5, 25):
    base = bases[f"sparse_{d}v{d}"]
    uniform = distorted(
      base,
      f"normal_cdf_{base.name}",
      *_UNIFORM,
      f"Normal CDF @ {base.about}",
    )
    tasks.append(uniform)
    for task, prefix, label, maps in (
      (base, "half_cube", "Half-cube", _HALF_CUBE),
      (base, "spiral", "Spiral", _spirals(d)),
      (uniform, "spiral", "Spiral", _spirals(d)),
      # Ours:
      (base, "asinh", "Asinh", _ASINH),
      (base, "wiggly", "Wiggly", _WIGGLY),
      (base, "rotated", "Rotated", _rotations(d)),
      (uniform, "rotated", "Rotated", _rotations(d)),
    ):
      name, about = f"{prefix}_{task.name}", f"{label} @ {task.about}"
      tasks.append(distorted(task, name, *maps, about))
  return tasks


def _suite() -> dict[str, Task]:
  tasks = {
    task.name: task
    for task in (*_normal_tasks(), *_multinormal_tasks(), *_student_tasks())
  }
  tasks |= {task.name: task for task in _distorted_tasks(tasks)}
  hard = correlated_gaussian(128, 0.5)
  return tasks | {hard.name: hard}


TASKS: dict[str, Task] = _suite()

PUBLISHED: tuple[str, ...] = (
  "normal_1v1",
  "uniform_1v1",
  "additive_1v1_0.1",
  "additive_1v1_0.75",
  "bimodal_1v1",
  "wiggly_1v1",
  "half_cube_1v1",
  "student_1v1_df1",
  "asinh_student_1v1_df1",
  "swiss_roll_2v1",
  *(f"dense_{d}v{d}" for d in (2, 3, 5, 25, 50)),
  *(f"sparse_{d}v{d}" for d in (2, 3, 5, 25)),
  "student_2v2_df1",
  "student_2v2_df2",
  "student_3v3_df2",
  "student_3v3_df3",
  "student_5v5_df2",
  "student_5v5_df3",
  *(f"normal_cdf_sparse_{d}v{d}" for d in (3, 5, 25)),
  *(f"half_cube_sparse_{d}v{d}" for d in (3, 5, 25)),
  *(f"spiral_sparse_{d}v{d}" for d in (3, 5, 25)),
  *(f"spiral_normal_cdf_sparse_{d}v{d}" for d in (3, 5, 25)),
  "asinh_student_2v2_df1",
  "asinh_student_3v3_df2",
  "asinh_student_5v5_df2",
)


def tasks() -> tuple[Task, ...]:
  """Returns the 40 published tasks."""
  return tuple(TASKS[name] for name in PUBLISHED)


__all__ = [
  "PUBLISHED",
  "TASKS",
  "Task",
  "correlated_gaussian",
  "gaussian",
  "gaussian_stairs",
]
