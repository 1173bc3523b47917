"""Mixtures of normals, whose density ratio is known at every point.

The truths are Monte Carlo means of 4 million exact log ratios. `mixture_mi`
recomputes them.

References:
  Czyz et al., `On the Properties and Estimation of Pointwise Mutual Information
  Profiles <https://arxiv.org/abs/2310.10240>`_, 2025 (`fence` is called waves
  in its code, `balls` galaxy); Chen et al., `Neural Mutual Information
  Estimation with Vector Copulas <https://arxiv.org/abs/2510.20968>`_, 2025.

Differs from the paper: it scales every column to mean 0 and variance 1.
"""

import dataclasses

import numpy as np
from scipy import special

from infomin_jax.mi.tasks.distributions import Map, Task, distorted, sparse


@dataclasses.dataclass(frozen=True)
class Mixture:
  """A mixture of normals, with equal weights by default.

  Attributes:
    means: of the k components, `[k, d]`.
    covariances: `[k, d, d]`.
    dim_x: number of coordinates that are x; the others are y.
    weights: `[k]`, of sum 1.
  """

  means: np.ndarray
  covariances: np.ndarray
  dim_x: int
  weights: np.ndarray | None = None

  def draw(
    self, n: int, rng: np.random.Generator
  ) -> tuple[np.ndarray, np.ndarray]:
    """Draws x `[n, dim_x]` and y `[n, d - dim_x]`."""
    k, d = self.means.shape
    which = rng.choice(k, n, p=self.weights)
    roots = np.linalg.cholesky(self.covariances)
    z = np.empty((n, d))
    for i in range(k):
      rows = which == i
      noise = rng.normal(size=(int(rows.sum()), d))
      z[rows] = self.means[i] + noise @ roots[i].T
    return z[:, : self.dim_x], z[:, self.dim_x :]

  def log_ratio(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns log p(x, y) / p(x) p(y) of each pair, nats `[n]`."""
    dx = slice(None, self.dim_x)
    dy = slice(self.dim_x, None)
    joint = self._log_density(np.concatenate([x, y], axis=1), slice(None))
    return joint - self._log_density(x, dx) - self._log_density(y, dy)

  def _log_density(self, z, columns):
    weights = self.weights
    if weights is None:
      weights = np.full(len(self.means), 1 / len(self.means))
    parts = []
    for weight, mean, covariance in zip(
      weights, self.means, self.covariances, strict=True
    ):
      root = np.linalg.cholesky(covariance[columns, columns])
      white = np.linalg.solve(root, (z - mean[columns]).T)
      half_log_det = np.sum(np.log(np.diag(root)))
      parts.append(np.log(weight) - np.sum(white**2, 0) / 2 - half_log_det)
    constant = z.shape[1] / 2 * np.log(2 * np.pi)
    return special.logsumexp(parts, axis=0) - constant


def mixture_mi(
  mixture: Mixture, n: int = 4_000_000, seed: int = 0
) -> tuple[float, float]:
  """Returns the Monte Carlo MI of a mixture and its standard error, nats."""
  rng = np.random.default_rng(seed)
  chunks = [min(100_000, n - i) for i in range(0, n, 100_000)]
  ratios = np.concatenate(
    [mixture.log_ratio(*mixture.draw(size, rng)) for size in chunks]
  )
  return float(ratios.mean()), float(ratios.std() / np.sqrt(n))


def cross(rho: float = 0.9) -> Mixture:
  """Returns two normals of correlation +-rho: an X."""
  covariances = [[[1, s * rho], [s * rho, 1]] for s in (-1, 1)]
  return Mixture(np.zeros((2, 2)), np.array(covariances), 1)


def letters() -> Mixture:
  """Returns six normals in the plane that look like the letters AI."""
  v, u = 0.04, 0.2
  o = 0.95 * np.sqrt(v * u)
  means = [[1, 0], [1, 1], [1, -1], [-0.8, -0.2], [-1.2, 0], [-0.4, 0]]
  covariances = [
    *(np.diag(d) for d in ((0.01, 0.2), (0.05, 0.001), (0.05, 0.001))),
    *(np.diag([0.03, 0.001]), [[v, o], [o, u]], [[v, -o], [-o, u]]),
  ]
  return Mixture(np.array(means, float), np.array(covariances), 1)


def balls(distance: float = 3.0) -> Mixture:
  """Returns two unit balls, x in the plane and y on the line."""
  means = np.array([[-1.0] * 3, [1.0] * 3]) * distance / 2
  return Mixture(means, np.stack([np.eye(3)] * 2), 2)


def fence(count: int = 12) -> Mixture:
  """Returns a row of upright sticks in the plane, at one of four heights y."""
  i = np.arange(count)
  means = 1.5 * np.stack([i, 0 * i, i % 4], axis=1)
  return Mixture(means, np.stack([np.diag([0.1, 1.0, 0.1])] * count), 2)


def concentric(dim_x: int, count: int) -> Mixture:
  """Returns balls of radius 1 to `count` about 0; y is the ball number."""
  radius = np.arange(1.0, count + 1)
  means = np.hstack([np.zeros((count, dim_x)), radius[:, None]])
  covariances = [np.diag([r**2] * dim_x + [1e-4]) for r in radius]
  return Mixture(means, np.array(covariances), dim_x)


def inliers(dim: int, share: float) -> Mixture:
  """Returns two correlated pairs among `dim`; a share is independent."""
  covariances = np.stack([sparse(dim, dim), np.eye(2 * dim)])
  weights = np.array([1 - share, share])
  return Mixture(np.zeros((2, 2 * dim)), covariances, dim, weights)


def vector_copula(dim: int) -> Mixture:
  """Returns five shifted normals with different correlations."""
  means = np.outer((-0.2, -0.1, 0, 0.3, 0.4), np.ones(2 * dim))
  eye = np.eye(dim)
  covariances = [
    np.block([[eye, r * eye], [r * eye, eye]])
    for r in (-0.3, 0.5, 0.2, 0.4, 0.9)
  ]
  return Mixture(means, np.array(covariances), dim)


def swirled(x: np.ndarray) -> np.ndarray:
  """Rotates the plane by 0.5 |x|^2 radians."""
  angle = 0.5 * np.sum(x**2, axis=1)
  cos, sin = np.cos(angle), np.sin(angle)
  return np.stack(
    [cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1
  )


def waved(x: np.ndarray) -> np.ndarray:
  """Bends upright lines into waves."""
  bent = x[:, 0] + 5 * np.sin(3 * x[:, 1])
  return np.stack([0.1 * bent - 0.8, 0.5 * x[:, 1]], axis=1)


# name -> (mixture, map of x, description).
_TABLE: dict[str, tuple[Mixture, Map | None, str]] = {
  "x": (cross(), None, "X 1 x 1"),
  "ai": (letters(), None, "AI 1 x 1"),
  "galaxy": (balls(), swirled, "Galaxy 2 x 1"),
  "waves": (fence(), waved, "Waves 2 x 1"),
  **{
    f"concentric_{d}v1_{k}": (
      concentric(d, k),
      None,
      f"Concentric {d} x 1, {k} balls",
    )
    for d, k in ((3, 5), (5, 5), (3, 10), (5, 10), (25, 5))
  },
  **{
    f"inliers_{d}v{d}_{share:g}": (
      inliers(d, share),
      None,
      f"Inliers {d} x {d}, {share:.0%} independent",
    )
    for d in (5, 25)
    for share in (0.2, 0.5)
  },
}


# name -> nats and standard error, from `mixture_mi` with 4 million draws (1
# million for 32 coordinates or more).
TRUTHS: dict[str, tuple[float, float]] = {
  "x": (0.4092, 3.7e-04),
  "ai": (0.7763, 4.4e-04),
  "galaxy": (0.4942, 2.6e-04),
  "waves": (1.3068, 1.9e-04),
  "concentric_3v1_5": (0.4559, 3.3e-04),
  "concentric_5v1_5": (0.6273, 3.5e-04),
  "concentric_3v1_10": (0.5605, 3.7e-04),
  "concentric_5v1_10": (0.7514, 4.0e-04),
  "concentric_25v1_5": (1.1904, 3.2e-04),
  "inliers_5v5_0.2": (0.6355, 5.8e-04),
  "inliers_5v5_0.5": (0.2694, 4.2e-04),
  "inliers_25v25_0.2": (0.6365, 5.8e-04),
  "inliers_25v25_0.5": (0.2706, 4.2e-04),
  "mixture_4v4": (0.5680, 7.1e-04),
  "mixture_8v8": (1.3721, 1.3e-03),
  "mixture_16v16": (3.1714, 2.6e-03),
  "mixture_32v32": (6.8910, 1.0e-02),
  "mixture_64v64": (14.2971, 2.0e-02),
}


def mixture_task(
  name: str, mixture: Mixture, about: str, map_x: Map | None = None
) -> Task:
  """Returns the task of a mixture whose MI is in `TRUTHS`."""
  nats, error = TRUTHS[name]
  task = Task(
    name,
    mixture.dim_x,
    mixture.means.shape[1] - mixture.dim_x,
    nats,
    about,
    f"Monte Carlo, standard error {error:.0e} nats",
    mixture.draw,
  )
  return distorted_mixture(task, map_x) if map_x else task


def distorted_mixture(task: Task, map_x: Map) -> Task:
  """Returns the task with an injective map of x."""
  result = distorted(task, task.name, map_x, _same, task.about)
  return dataclasses.replace(result, mi_source=task.mi_source)


def _same(y):
  return y


def tasks() -> tuple[Task, ...]:
  """Returns all tasks except those of the vector-copula table."""
  all_tasks = [
    mixture_task(name, mixture, about, map_x)
    for name, (mixture, map_x, about) in _TABLE.items()
  ]
  return tuple(dataclasses.replace(task, samples=5_000) for task in all_tasks)
