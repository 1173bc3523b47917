"""The parametric start of every estimate: a Student-t copula.

Mutual information does not change under monotone maps of each coordinate of x
and of y. So every coordinate is replaced by its rank, and the rank by the
quantile of a Student t with nu degrees of freedom. One multivariate t models
these quantiles. Correlation within x and within y is whitened away. Canonical
correlations between the two remain, and held-out data decide how many of them
to use. `nu = inf` is the Gaussian copula, whose tails are those of a Gaussian.
With a small nu, coordinates are dependent even without correlation.

With few samples for the columns, held-out data choose between all columns, the
first principal components, and the columns that correlate with the other side.
The correlations of all columns may be shrunk. Held-out data may also choose
values instead of ranks, because the ranks of rotated columns are noisy. They
may choose canonical coordinates that are ranked a second time.

References:
  Demarta, McNeil, `The t Copula and Related Copulas
  <https://doi.org/10.1111/j.1751-5823.2005.tb00254.x>`_, 2005; the Gaussian
  case is canonical correlation analysis.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import special

from infomin_jax.mi import columns
from infomin_jax.mi.columns import quantiles, uniform_ranks

_EM_STEPS, _LAST = 8, 3  # all steps, and the last ones, which use all rows
# Rows of the first steps: at least, and per column.
_FEW, _FEW_PER_COLUMN = 4000, 20
# Keeps the Cholesky factor of a singular scatter finite.
RIDGE = 1e-9
# Highest canonical correlation in float32, in the terms that networks read.
_NEAR_ONE = 1 - 1e-6
# Least scatter of a column. A continuous column has about 1, and a column that
# is zero in nine rows of ten has 0.3.
_LEAST = 0.3


@dataclasses.dataclass(frozen=True)
class Form:
  """The choice of columns and scales that a copula is fitted to.

  Attributes:
    nu: degrees of freedom.
    base: `all`, `correlated`, or a number of principal components.
    ridge: added to the scatter within a side.
    values: whether values are fitted instead of quantiles of the ranks.
    again: whether canonical coordinates are ranked a second time.
  """

  nu: float = np.inf
  base: str | int = "all"
  ridge: float = RIDGE
  values: bool = False
  again: bool = False

  @property
  def words(self) -> str:
    """Returns the name that users read."""
    if self.base == "all":
      return "t copula"
    if self.base == "correlated":
      return "t copula of correlated columns"
    return f"t copula of {self.base} component{'s' * (self.base != 1)}"


@dataclasses.dataclass(frozen=True)
class Copula:
  """A fitted copula: `log q(x, y) / q(x) q(y)` as a function of coordinates.

  Attributes:
    form: what it was fitted to.
    u: canonical coordinates of all rows of x, `[n, dx]`.
    v: canonical coordinates of all rows of y, `[n, dy]`.
    rho: canonical correlations that are used, `[r]`.
  """

  form: Form
  u: np.ndarray
  v: np.ndarray
  rho: np.ndarray

  @property
  def normalized(self) -> bool:
    """Returns whether its partition is 1 by construction."""
    return True

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns log ratios of row i with row i, nats `[n]`."""
    return log_ratio(self.u[rows], self.v[rows], self.rho, self.form.nu)[:, -1]

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns log ratios of all combinations, nats `[n, n]`."""
    u, v, rho, nu = self.u[rows], self.v[rows], self.rho, self.form.nu
    x, y = np.sum(u**2, axis=1)[:, None], np.sum(v**2, axis=1)[None]
    u, v = u[:, : len(rho)], v[:, : len(rho)]
    # Products instead of differences (`log_ratio`): one matmul gives all
    # combinations.
    more = 1 / (1 - rho**2) - 1
    form = x + y + (u**2 @ more)[:, None] + (v**2 @ more)[None]
    form -= 2 * (u * (rho / (1 - rho**2))) @ v.T
    return _of_forms(form, x, y, self._dims, nu) - _half_log(rho)

  def sides(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the inputs of `networks` for all rows, float32.

    `u` are canonical coordinates and `q` their squared length. The quadratic
    form of the joint density is `q_x + q_y + a_x + a_y + <b_x, b_y>`. `c` is
    the log of the normalizing constants.
    """
    rho = np.minimum(self.rho, _NEAR_ONE)
    slope = rho / (1 - rho**2)
    x_side = self._side(self.u, rho, -2 * slope)
    y_side = self._side(self.v, rho, np.ones_like(slope))
    constant = _constant(self._dims, self.form.nu) - _half_log(rho)
    # One number for all, as an array, since sides are indexed by rows.
    x_side["c"] = np.full(len(self.u), constant, np.float32)
    return x_side, y_side

  @property
  def _dims(self):
    return self.u.shape[1], self.v.shape[1]

  def _side(self, u, rho, slope):
    first = u[:, : len(rho)]
    # All folds have one width, so that networks are compiled only once.
    width = min(self._dims)
    side = {
      "u": u,
      "q": np.sum(u**2, axis=1),
      "a": first**2 @ (1 / (1 - rho**2) - 1),
      "b": np.pad(first * slope, ((0, 0), (0, width - len(slope)))),
    }
    return {name: a.astype(np.float32) for name, a in side.items()}


def canonical(x, y, fit, rows, form):
  """Returns canonical coordinates `[n, k]` of rows, and correlations of fit."""
  both = [_based(x, y, fit, some, form) for some in (fit, rows)]
  if form.base not in ("all", "correlated"):
    length = [np.sqrt(np.mean(side**2, axis=0)) for side in both[0]]
    both = [
      [z / s for z, s in zip(sides, length, strict=True)] for sides in both
    ]
  x_map, y_map, rho = _maps(both[0][0], both[0][1], form)
  (u_fit, v_fit), (u, v) = [(z @ x_map, w @ y_map) for z, w in both]
  if form.again:
    u_fit, u = _ranked_again(u_fit, u, form.nu)
    v_fit, v = _ranked_again(v_fit, v, form.nu)
    a, b = u_fit[:, : len(rho)], v_fit[:, : len(rho)]
    rho = np.sum(a * b, axis=0)
    rho /= np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    rho = np.clip(rho, 0, 1 - RIDGE)
  return u, v, rho


def _ranked_again(fitted, u, nu):
  order = np.sort(fitted, axis=0)
  return [quantiles(uniform_ranks(order, w), nu) for w in (fitted, u)]


def _based(x, y, fit, rows, form):
  """Returns what the form takes of the columns of both sides, `[n, k]` each."""
  sides = []
  subsets = [slice(None)] * 2
  if form.base == "correlated":
    subsets = _correlated(x.scores[fit], y.scores[fit])
  for side, subset in zip((x, y), subsets, strict=True):
    if form.values:
      z = side.values[rows][:, subset]
    else:
      z = side.quantiles(form.nu, rows, subset)
    sides.append(
      z if form.base in ("all", "correlated") else z @ side.axes[:, : form.base]
    )
  return sides


def _correlated(x, y) -> Sequence[np.ndarray]:
  """Returns columns whose largest correlation exceeds chance, at least one."""
  size = np.abs(x.T @ y) / len(x)
  # About the largest of so many correlations if all are chance.
  chance = np.sqrt(2 * np.log(max(size.size, 2)) / len(x))
  subsets = []
  for axis in (1, 0):
    largest = size.max(axis=axis)
    most = min(columns.MOST, max(len(x) // 8, 1))
    first = np.argsort(-largest)[:most]
    subset = first[largest[first] > chance]
    subsets.append(np.sort(subset if len(subset) else first[:1]))
  return subsets


def _maps(x, y, form):
  """Returns canonical maps of `x [n, dx]`, `y [n, dy]` and correlations."""
  dx = x.shape[1]
  scatter = _scatter(np.concatenate([x, y], axis=1), form)
  x_root = np.linalg.cholesky(scatter[:dx, :dx])
  y_root = np.linalg.cholesky(scatter[dx:, dx:])
  between = np.linalg.solve(x_root, scatter[:dx, dx:])
  between = np.linalg.solve(y_root, between.T).T
  # Full: coordinates without a partner stay, and count in the density of a t.
  left, rho, right = np.linalg.svd(between, full_matrices=True)
  x_map = np.linalg.solve(x_root.T, left)
  y_map = np.linalg.solve(y_root.T, right.T)
  # Below 1, so that log(1 - rho^2) of copies is finite.
  return x_map, y_map, np.clip(rho, 0, 1 - RIDGE)


def _scatter(z, form):
  """Returns the maximum-likelihood scatter `[d, d]` of a t with center 0.

  The degrees of freedom are given.

  References:
    Kent, Tyler, Vardi, 1994: dividing by the sum of the weights converges
    faster than by n.
  """
  n, d = z.shape
  if np.isinf(form.nu):
    return _ridged(z.T @ z / n, form.ridge)
  # EM starts from correlations of bounded values, which heavy tails cannot
  # dominate.
  bounded = np.tanh(z / 2)
  bounded -= bounded.mean(axis=0)
  length = np.linalg.norm(bounded, axis=0)
  # A column that is constant in these rows correlates with nothing.
  bounded /= np.where(length > 0, length, 1)
  scatter = bounded.T @ bounded + 1e-6 * np.eye(d)
  # With many rows, a part of them is enough for the first steps.
  some = z[: max(_FEW, _FEW_PER_COLUMN * d)]
  for step in range(_EM_STEPS):
    rows = some if step < _EM_STEPS - _LAST else z
    white = np.linalg.solve(np.linalg.cholesky(scatter), rows.T)
    weight = (form.nu + d) / (form.nu + np.sum(white**2, axis=0))
    scatter = (rows.T * weight) @ rows / np.sum(weight)
    scatter = _ridged(scatter, form.ridge)
  return scatter


def _ridged(scatter, ridge):
  """Adds a ridge to the diagonal, and raises small entries to `_LEAST`.

  Only columns of few levels are below `_LEAST`. Otherwise the one row in which
  such a column differs would lie 30 deviations from the others.
  """
  short = np.maximum(_LEAST - np.diag(scatter), 0)
  return scatter + np.diag(ridge + short)


def log_ratio(u, v, rho, nu):
  """Returns log ratios with the first 0, 1, ... correlations, nats.

  Args:
    u: canonical coordinates, `[n, dx]`.
    v: their partners, `[n, dy]`.
    rho: canonical correlations, `[r]`.
    nu: degrees of freedom.

  Returns:
    `[n, r + 1]`.
  """
  x, y = np.sum(u**2, axis=1)[:, None], np.sum(v**2, axis=1)[:, None]
  dims = u.shape[1], v.shape[1]
  # Other coordinates are in `x` and `y` alone: their correlation is 0.
  u, v = u[:, : len(rho)], v[:, : len(rho)]
  # Differences of coordinates: the products of near copies nearly cancel.
  more = ((u - v) ** 2 + 2 * (1 - rho) * u * v) / (1 - rho**2) - u**2 - v**2
  # Cumulative: one pass gives the ratio for each number of correlations.
  form = x + y + np.pad(np.cumsum(more, axis=1), ((0, 0), (1, 0)))
  half = np.cumsum(0.5 * np.log1p(-(np.append(0.0, rho) ** 2)))
  return _of_forms(form, x, y, dims, nu) - half


def _of_forms(form, x, y, dims, nu):
  """Returns log t of the joint form minus both sides, before determinants."""
  # Rounding may make the form of near copies negative.
  joint = _log_t(np.maximum(form, 0), sum(dims), nu)
  return joint - _log_t(x, dims[0], nu) - _log_t(y, dims[1], nu)


def _constant(dims, nu):
  joint = _log_t(0.0, sum(dims), nu)
  return joint - _log_t(0.0, dims[0], nu) - _log_t(0.0, dims[1], nu)


def _half_log(rho):
  return 0.5 * np.sum(np.log1p(-(rho**2)))


def _log_t(form, d, nu):
  """Returns the log density of a unit t in d dimensions at squared length."""
  if np.isinf(nu):
    return -0.5 * (form + d * np.log(2 * np.pi))
  constant = special.gammaln((nu + d) / 2) - special.gammaln(nu / 2)
  constant = constant - 0.5 * d * np.log(nu * np.pi)
  return constant - 0.5 * (nu + d) * np.log1p(form / nu)
