"""Joint distributions with known mutual information, in nats.

`beyond_normal.TASKS` is a suite of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from infomin_jax.errors import UserError

Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
Map = Callable[[np.ndarray], np.ndarray]

_EXACT = "closed form"


@dataclasses.dataclass(frozen=True)
class Task:
  """A joint distribution to sample from, and its MI.

  Attributes:
    name: unique in its suite.
    dim_x, dim_y: sizes of one sample of x and of y.
    mi: I(X; Y) in nats.
    about: description, in the words of the benchmark.
    mi_source: where `mi` comes from, and how precise it is.
    draw: `(n, generator) -> (x [n, dim_x], y [n, dim_y])`.
    samples: number of samples in the published table.
  """

  name: str
  dim_x: int
  dim_y: int
  mi: float
  about: str
  mi_source: str
  draw: Draw = dataclasses.field(repr=False)
  samples: int = 10_000

  def sample(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `n` independent pairs, float64, the same ones for the same seed.

    Returns:
      x `[n, dim_x]` and y `[n, dim_y]`.

    Raises:
      UserError: `n` is below 1.
    """
    if n < 1:
      raise UserError(f"Expected at least one sample of {self.name}, got {n}.")
    return self.draw(n, np.random.default_rng(seed))


def gaussian_mi(covariance: np.ndarray, dim_x: int) -> float:
  """Returns MI in nats of the first `dim_x` normal coordinates and the others.

  Args:
    covariance: of all coordinates, or any multiple, `[dim, dim]`.
    dim_x: number of coordinates that are x.
  """
  logdet_x = np.linalg.slogdet(covariance[:dim_x, :dim_x])[1]
  logdet_y = np.linalg.slogdet(covariance[dim_x:, dim_x:])[1]
  return float(logdet_x + logdet_y - np.linalg.slogdet(covariance)[1]) / 2


def student_extra_mi(df: float, dim_x: int, dim_y: int) -> float:
  """Returns MI in nats of a Student-t above a normal of equal dispersion.

  All coordinates share one scale, so even uncorrelated ones are dependent.

  References:
    Arellano-Valle et al., `Shannon Entropy and Mutual Information for
    Multivariate Skew-Elliptical Distributions`, 2013, eq. 7 (entropies).
  """

  def entropy(dim):  # of the standard Student-t
    half, whole = df / 2, (df + dim) / 2
    return (
      special.gammaln(half)
      - special.gammaln(whole)
      + dim / 2 * np.log(df * np.pi)
      + whole * (special.digamma(whole) - special.digamma(half))
    )

  return float(entropy(dim_x) + entropy(dim_y) - entropy(dim_x + dim_y))


def gaussian(
  name: str, covariance: np.ndarray, dim_x: int, about: str = ""
) -> Task:
  """Returns a zero-mean normal task; the first `dim_x` coordinates are x."""
  factor, dim_y = _split(covariance, dim_x)
  draw = functools.partial(_draw_elliptical, factor, dim_x, None)
  mi = gaussian_mi(covariance, dim_x)
  return Task(name, dim_x, dim_y, mi, about, _EXACT, draw)


def student(
  name: str, dispersion: np.ndarray, dim_x: int, df: float, about: str = ""
) -> Task:
  """Returns a multivariate Student-t task with `df` degrees of freedom."""
  if df <= 0:
    raise UserError(f"A Student-t needs df > 0, got {df}.")
  factor, dim_y = _split(dispersion, dim_x)
  draw = functools.partial(_draw_elliptical, factor, dim_x, df)
  mi = gaussian_mi(dispersion, dim_x) + student_extra_mi(df, dim_x, dim_y)
  return Task(name, dim_x, dim_y, mi, about, _EXACT, draw)


def additive_noise(name: str, noise: float, about: str = "") -> Task:
  """Returns x uniform in (0, 1), y = x + uniform in (-noise, noise)."""
  if noise <= 0:
    raise UserError(f"Additive noise must be > 0, got {noise}.")
  if noise > 0.5:
    mi = 1 / (4 * noise)
  else:
    mi = noise - np.log(2 * noise)
  draw = functools.partial(_draw_additive, noise)
  return Task(name, 1, 1, float(mi), about, _EXACT, draw)


def correlated_gaussian(dim: int, rho: float) -> Task:
  """Returns standard normal x and y `[dim]`, correlated in each coordinate.

  I(X; Y) = -dim / 2 log(1 - rho^2). At 128 and 0.5 that is 18.41 nats. No bound
  below log(n) can show this with fewer than 10^8 samples.
  """
  if dim < 1 or not -1 < rho < 1:
    raise UserError(
      "A correlated Gaussian needs dim >= 1 and rho between -1 and 1, not "
      f"included; got dim={dim}, rho={rho}."
    )
  return gaussian(
    f"gaussian_{dim}v{dim}_rho{rho:g}",
    sparse(dim, dim, rho, pairs=dim),
    dim,
    f"Gaussian {dim} x {dim}, correlation {rho:g} in each coordinate",
  )


def gaussian_stairs(
  dim: int = 20, nats: Sequence[float] = (2, 4, 6, 8, 10)
) -> tuple[Task, ...]:
  """Returns correlated Gaussians whose MI takes the values `nats` in turn.

  References:
    Poole et al., `On Variational Bounds of Mutual Information
    <https://arxiv.org/abs/1905.06922>`_, 2019, section 4.
  """
  steps = np.asarray(nats, float)
  if dim < 1 or (steps < 0).any():
    raise UserError(f"Expected dim >= 1 and nats >= 0; got {dim}, {nats}.")
  rhos = np.sqrt(-np.expm1(-2 * steps / dim))
  return tuple(correlated_gaussian(dim, float(rho)) for rho in rhos)


def dense(dim_x: int, dim_y: int, rho: float = 0.5) -> np.ndarray:
  """Returns a correlation matrix with `rho` between any two coordinates."""
  dim = dim_x + dim_y
  return np.eye(dim) * (1 - rho) + rho


def sparse(
  dim_x: int, dim_y: int, rho: float = 0.8, pairs: int = 2
) -> np.ndarray:
  """Returns correlations in which only `pairs` of x_i, y_i correlate."""
  matrix = np.eye(dim_x + dim_y)
  i = np.arange(pairs)
  matrix[i, dim_x + i] = matrix[dim_x + i, i] = rho
  return matrix


def distorted(
  task: Task,
  name: str,
  map_x: Map,
  map_y: Map,
  about: str,
  added_dim_x: int = 0,
) -> Task:
  """Returns the task with injective maps of x and y, which keep its MI."""
  return dataclasses.replace(
    task,
    name=name,
    dim_x=task.dim_x + added_dim_x,
    about=about,
    mi_source=f"{_EXACT} (kept by injective maps)",
    draw=functools.partial(_draw_distorted, task.draw, map_x, map_y),
  )


def _split(covariance, dim_x):
  """Returns the Cholesky factor and dim_y, after checks of the matrix."""
  shape = np.shape(covariance)
  if len(shape) != 2 or shape[0] != shape[1] or not 0 < dim_x < shape[0]:
    raise UserError(
      "Expected a covariance of shape [dim, dim] and 0 < dim_x < dim; got "
      f"shape {list(shape)} and dim_x={dim_x}."
    )
  try:
    if np.allclose(covariance, np.transpose(covariance)):
      return np.linalg.cholesky(covariance), shape[0] - dim_x
  except np.linalg.LinAlgError:
    pass
  raise UserError(
    f"The {shape[0]} x {shape[0]} covariance is not symmetric and positive "
    "definite: no normal variables have it."
  )


def _draw_elliptical(factor, dim_x, df, n, rng):
  z = rng.normal(size=(n, len(factor))) @ factor.T
  if df is not None:
    z /= np.sqrt(rng.chisquare(df, size=(n, 1)) / df)
  return z[:, :dim_x], z[:, dim_x:]


def _draw_additive(noise, n, rng):
  x = rng.uniform(size=(n, 1))
  return x, x + rng.uniform(-noise, noise, size=(n, 1))


def _draw_distorted(draw, map_x, map_y, n, rng):
  x, y = draw(n, rng)
  return map_x(x), map_y(y)
