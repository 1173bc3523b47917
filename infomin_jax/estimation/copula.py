"""The parametric start of every estimate: a Student-t copula.

Mutual information does not change when each coordinate of x and of y is mapped
monotonically. So every coordinate is replaced by its rank, and the rank by the
quantile of a Student t with nu degrees of freedom; what is left is modelled by
one multivariate t: correlation within x and within y is whitened away, and
between the two there are canonical correlations, of which held-out data keep
the first few. `nu = inf` is the Gaussian copula, where no tail is heavier than
a Gaussian's; a small nu has dependence without correlation.

References:
  Demarta, McNeil, `The t Copula and Related Copulas
  <https://doi.org/10.1111/j.1751-5823.2005.tb00254.x>`_, 2005; the Gaussian
  case is canonical correlation analysis.
"""

import dataclasses
import functools

import numpy as np
from scipy import special

# Degrees of freedom that are tried.
FREEDOMS = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0, np.inf)
_EM_STEPS = 8
_RIDGE = 1e-6
# Scatter of a column at least; a continuous one has about 1, and a column that
# is zero in nine rows of ten has 0.3.
_LEAST = 0.3
# Pairs that choose among them: more would not change the choice.
_FEW = 4000


@dataclasses.dataclass(frozen=True)
class Copula:
  """A fitted copula: `log q(x, y) / q(x) q(y)` as a function of coordinates.

  Attributes:
    x_sorted: the fitted sample of each coordinate, `[n, dx]`, in order.
    y_sorted: likewise, `[n, dy]`.
    nu: degrees of freedom.
    x_map: quantiles to canonical coordinates, `[dx, dx]`.
    y_map: likewise, `[dy, dy]`.
    rho: canonical correlations that are kept, `[r]`.
  """

  x_sorted: np.ndarray
  y_sorted: np.ndarray
  nu: float
  x_map: np.ndarray
  y_map: np.ndarray
  rho: np.ndarray

  def sides(
    self, x: np.ndarray, y: np.ndarray
  ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What critics read of `x [n, dx]` and `y [n, dy]`, float32 (`networks`).

    `u` are canonical coordinates and `q` their squared length; the quadratic
    form of the joint density is `q_x + q_y + a_x + a_y + <b_x, b_y>`, and `c`
    the log of the normalising constants.
    """
    slope = self.rho / (1 - self.rho**2)
    x_side = self._side(x, self.x_sorted, self.x_map, -2 * slope)
    y_side = self._side(y, self.y_sorted, self.y_map, np.ones_like(slope))
    x_side["c"] = np.full(len(x), self._constant(), np.float32)
    return x_side, y_side

  def _side(self, values, fitted, to_canonical, slope):
    ranks = uniform_ranks(fitted, values)
    u = quantiles(ranks, self.nu) @ to_canonical
    first = u[:, : len(self.rho)]
    # Of one width in all folds, so that nothing is compiled anew.
    width = min(len(self.x_map), len(self.y_map))
    side = {
      "ranks": ranks,
      "u": u,
      "q": np.sum(u**2, axis=1),
      "a": first**2 @ (1 / (1 - self.rho**2) - 1),
      "b": np.pad(first * slope, ((0, 0), (0, width - len(slope)))),
    }
    return {name: a.astype(np.float32) for name, a in side.items()}

  def _constant(self):
    dx, dy = len(self.x_map), len(self.y_map)
    joint = _log_t(0.0, dx + dy, self.nu) - _log_t(0.0, dx, self.nu)
    half = 0.5 * np.sum(np.log1p(-(self.rho**2)))
    return joint - _log_t(0.0, dy, self.nu) - half


def marginal_side(fitted: np.ndarray, values: np.ndarray) -> dict:
  """A side without a copula: normal quantiles of `values [n, d]`."""
  ranks = uniform_ranks(np.sort(fitted, axis=0), values)
  u = quantiles(ranks, np.inf)
  side = {"ranks": ranks, "u": u, "q": np.sum(u**2, axis=1)}
  return {name: a.astype(np.float32) for name, a in side.items()}


def uniform_ranks(fitted: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Empirical distribution function of each column, in (0, 1), `[n, d]`.

  Args:
    fitted: `[m, d]`, each column in order.
    values: `[n, d]`; between two fitted values it is interpolated, tied values
      share their mean rank, and outside it is that of the nearest.
  """
  m = len(fitted)
  grid = (np.arange(m) + 0.5) / m
  ranks = np.empty(values.shape)
  for j, column in enumerate(fitted.T):
    levels, inverse = np.unique(column, return_inverse=True)
    mean_rank = np.bincount(inverse, grid) / np.bincount(inverse)
    ranks[:, j] = np.interp(values[:, j], levels, mean_rank)
  return ranks


def quantiles(ranks: np.ndarray, nu: float) -> np.ndarray:
  """Quantiles of a Student t with `nu` degrees of freedom, shape of `ranks`."""
  grid, values = _quantile_table(nu)
  return np.interp(ranks, grid, values)


@functools.lru_cache
def _quantile_table(nu):
  tail = np.geomspace(1e-7, 1e-2, 600)
  grid = np.concatenate(
    [tail, np.linspace(1e-2, 0.99, 4000)[1:-1], 1 - tail[::-1]]
  )
  exact = special.ndtri(grid) if np.isinf(nu) else special.stdtrit(nu, grid)
  return grid, exact


def fit_copula(
  x: np.ndarray, y: np.ndarray, x_held: np.ndarray, y_held: np.ndarray
) -> Copula:
  """The copula of `x [n, dx]`, `y [n, dy]` that held-out pairs like best.

  Degrees of freedom and number of canonical pairs maximise the log likelihood
  of `x_held`, `y_held`; both are then fitted again with all four.
  """
  dx = x.shape[1]
  ranks, held = _ranks(x, y, x, y), _ranks(x, y, x_held, y_held)

  def likelihood(nu, count):
    fitted, other = quantiles(ranks[:count], nu), quantiles(held[:count], nu)
    return _held_out(fitted, other, dx, nu)

  nu = max(FREEDOMS, key=lambda nu: likelihood(nu, _FEW)[0])
  _, rank = likelihood(nu, len(ranks))
  x, y = np.concatenate([x, x_held]), np.concatenate([y, y_held])
  z = quantiles(_ranks(x, y, x, y), nu)
  x_map, y_map, rho, _ = _canonical(z, dx, nu)
  return Copula(
    np.sort(x, axis=0), np.sort(y, axis=0), nu, x_map, y_map, rho[:rank]
  )


def _ranks(x, y, x_new, y_new):
  """Uniform ranks of new pairs among fitted ones, `[n, dx + dy]`."""
  sides = ((x, x_new), (y, y_new))
  each = [uniform_ranks(np.sort(a, axis=0), new) for a, new in sides]
  return np.concatenate(each, axis=1)


def _held_out(z, held, dx, nu):
  """`(log likelihood, rank)` of the best rank, per held-out pair."""
  x_map, y_map, rho, half_log_det = _canonical(z, dx, nu)
  k, d = len(rho), z.shape[1]
  u, v = held[:, :dx] @ x_map, held[:, dx:] @ y_map
  apart = np.sum(u**2, axis=1) + np.sum(v**2, axis=1)  # [n]
  u, v = u[:, :k], v[:, :k]
  more = (u**2 + v**2 - 2 * rho * u * v) / (1 - rho**2) - u**2 - v**2
  form = apart[:, None] + np.pad(np.cumsum(more, axis=1), ((0, 0), (1, 0)))
  half = np.cumsum(0.5 * np.log1p(-(np.append(0.0, rho) ** 2)))
  joint = np.mean(_log_t(form, d, nu), axis=0) - half - half_log_det
  single = np.mean(np.sum(_log_t(held**2, 1, nu), axis=1))
  rank = int(np.argmax(joint))
  return float(joint[rank] - single), rank


def _canonical(z, dx, nu):
  """Canonical maps and correlations of quantiles `[n, dx + dy]`.

  Returns:
    `x_map [dx, dx]`, `y_map [dy, dy]`, all canonical correlations, and half
    the log determinants of the scatter within x and within y.
  """
  scatter = _scatter(z, nu)
  x_root = np.linalg.cholesky(scatter[:dx, :dx])
  y_root = np.linalg.cholesky(scatter[dx:, dx:])
  between = np.linalg.solve(x_root, scatter[:dx, dx:])
  between = np.linalg.solve(y_root, between.T).T
  left, rho, right = np.linalg.svd(between, full_matrices=True)
  rho = np.clip(rho, 0, 1 - 1e-6)
  x_map = np.linalg.solve(x_root.T, left)
  y_map = np.linalg.solve(y_root.T, right.T)
  roots = np.concatenate([np.diag(x_root), np.diag(y_root)])
  return x_map, y_map, rho, np.sum(np.log(roots))


def _scatter(z, nu):
  """Maximum-likelihood scatter of a t with known nu and centre 0, `[d, d]`.

  References:
    Kent, Tyler, Vardi, 1994: dividing by the sum of the weights converges
    faster than by n.
  """
  n, d = z.shape
  if np.isinf(nu):
    return _ridged(z.T @ z / n)
  bounded = np.tanh(z / 2)
  bounded -= bounded.mean(axis=0)
  length = np.linalg.norm(bounded, axis=0)
  # What is constant in these rows correlates with nothing.
  bounded /= np.where(length > 0, length, 1)
  scatter = bounded.T @ bounded + _RIDGE * np.eye(d)
  for _ in range(_EM_STEPS):
    white = np.linalg.solve(np.linalg.cholesky(scatter), z.T)
    weight = (nu + d) / (nu + np.sum(white**2, axis=0))
    scatter = _ridged((z.T * weight) @ z / np.sum(weight))
  return scatter


def _ridged(scatter):
  """Adds to the diagonal: a little, and up to `_LEAST` where it is smaller.

  Only columns of few levels have less than that. Without it, the one row in
  which such a column differs would lie 30 deviations from the others.
  """
  short = np.maximum(_LEAST - np.diag(scatter), 0)
  return scatter + np.diag(_RIDGE + short)


def _log_t(form, d, nu):
  """Log density of a d-dimensional t with unit scatter, of the squared form."""
  if np.isinf(nu):
    return -0.5 * (form + d * np.log(2 * np.pi))
  constant = special.gammaln((nu + d) / 2) - special.gammaln(nu / 2)
  constant = constant - 0.5 * d * np.log(nu * np.pi)
  return constant - 0.5 * (nu + d) * np.log1p(form / nu)
