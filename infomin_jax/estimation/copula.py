"""The parametric start of every estimate: a Student-t copula.

Mutual information does not change when each coordinate of x and of y is mapped
monotonically. So every coordinate is replaced by its rank, and the rank by the
quantile of a Student t with nu degrees of freedom; what is left is modelled by
one multivariate t: correlation within x and within y is whitened away, and
between the two there are canonical correlations, of which held-out data keep
the first few. `nu = inf` is the Gaussian copula, where no tail is heavier than
a Gaussian's; a small nu has dependence without correlation.

Where samples are few for the columns, held-out data choose among all columns,
with their correlations shrunk or not, the first principal components, and the
columns that correlate with the other side. They may also prefer values to
ranks (where they are turned, their ranks are noise), and canonical coordinates
that are ranked again.

References:
  Demarta, McNeil, `The t Copula and Related Copulas
  <https://doi.org/10.1111/j.1751-5823.2005.tb00254.x>`_, 2005; the Gaussian
  case is canonical correlation analysis.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import special

from infomin_jax.estimation import columns
from infomin_jax.estimation.columns import Columns, quantiles, uniform_ranks
from infomin_jax.estimation.partition import exponentials, log_mean

# Degrees of freedom that are tried.
FREEDOMS = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0, np.inf)
_EM_STEPS = 8
_RIDGE = 1e-9
_SHRUNK = (0.1, 0.5)  # ridges that are tried where samples are few
_COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
# Canonical correlations at most in float32, where critics add to them.
_NEAR_ONE = 1 - 1e-6
# Scatter of a column at least; a continuous one has about 1, and a column that
# is zero in nine rows of ten has 0.3.
_LEAST = 0.3
# Pairs that choose degrees of freedom: more would not change the choice.
_FEW = 4000
_MATRIX = 500  # of which all combinations measure the partition
# Pairs below which parts of all of them choose, not those set apart alone.
_SMALL, _PARTS = 2000, 4
# Nats, also for each nat, by which another form must be better than ranks.
_BETTER = 0.01


@dataclasses.dataclass(frozen=True)
class Form:
  """What of the columns a copula is fitted to.

  Attributes:
    nu: degrees of freedom.
    base: `all`, `correlated`, or a number of principal components.
    ridge: added to the scatter within a side.
    values: whether of the values, not of quantiles of the ranks.
    again: whether canonical coordinates are ranked once more.
  """

  nu: float = np.inf
  base: str | int = "all"
  ridge: float = _RIDGE
  values: bool = False
  again: bool = False

  @property
  def words(self) -> str:
    """What it is, for people."""
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
    v: likewise of y, `[n, dy]`.
    rho: canonical correlations that are kept, `[r]`.
  """

  form: Form
  u: np.ndarray
  v: np.ndarray
  rho: np.ndarray

  @property
  def normalised(self) -> bool:
    """Whether its partition is 1 by construction."""
    return True

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Log ratios of row i with row i, `[n]`."""
    return _log_ratio(self.u[rows], self.v[rows], self.rho, self.form.nu)[:, -1]

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Log ratios of all combinations, `[n, n]`."""
    u, v, rho, nu = self.u[rows], self.v[rows], self.rho, self.form.nu
    x, y = np.sum(u**2, axis=1)[:, None], np.sum(v**2, axis=1)[None]
    u, v = u[:, : len(rho)], v[:, : len(rho)]
    more = 1 / (1 - rho**2) - 1
    form = x + y + (u**2 @ more)[:, None] + (v**2 @ more)[None]
    form -= 2 * (u * (rho / (1 - rho**2))) @ v.T
    return _of_forms(form, x, y, self._dims, nu) - _half_log(rho)

  def sides(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What critics read of all rows, float32 (`networks`).

    `u` are canonical coordinates and `q` their squared length; the quadratic
    form of the joint density is `q_x + q_y + a_x + a_y + <b_x, b_y>`, and `c`
    the log of the normalising constants.
    """
    rho = np.minimum(self.rho, _NEAR_ONE)
    slope = rho / (1 - rho**2)
    x_side = self._side(self.u, rho, -2 * slope)
    y_side = self._side(self.v, rho, np.ones_like(slope))
    constant = _constant(self._dims, self.form.nu) - _half_log(rho)
    x_side["c"] = np.full(len(self.u), constant, np.float32)
    return x_side, y_side

  @property
  def _dims(self):
    return self.u.shape[1], self.v.shape[1]

  def _side(self, u, rho, slope):
    first = u[:, : len(rho)]
    # Of one width in all folds, so that nothing is compiled anew.
    width = min(self._dims)
    side = {
      "u": u,
      "q": np.sum(u**2, axis=1),
      "a": first**2 @ (1 / (1 - rho**2) - 1),
      "b": np.pad(first * slope, ((0, 0), (0, width - len(slope)))),
    }
    return {name: a.astype(np.float32) for name, a in side.items()}


def fit_copula(
  x: Columns, y: Columns, fitted: np.ndarray, choose: np.ndarray
) -> Copula:
  """The copula that held-out pairs like best.

  Args:
    x: columns of all rows.
    y: their partners.
    fitted: rows to fit to.
    choose: rows that choose the form, and how many canonical correlations are
      kept; the copula is then fitted again with both. Where these are few, the
      form is chosen by parts of both.
  """
  rows = np.concatenate([fitted, choose])
  splits = [(fitted, choose)]
  if len(rows) < _SMALL:
    parts = [rows[i::_PARTS] for i in range(_PARTS)]
    splits = [(np.setdiff1d(rows, part), part) for part in parts]
  form, rank = _chosen(x, y, splits)
  everything = np.arange(len(x.ranks))
  u, v, rho = _canonical(x, y, rows, everything, form)
  return Copula(form, u, v, rho[:rank])


def _chosen(x, y, splits) -> tuple[Form, int]:
  """The form that pairs like best that it was not fitted to, and its rank."""
  size = len(splits[0][0])
  few = [(fit[:_FEW], held) for fit, held in splits]
  dims = x.ranks.shape[1], y.ranks.shape[1]
  whole = columns.fit_whole(dims, size)
  bases = ["all"] * whole
  if not (whole and columns.few_for(x, y, size)):
    bases += [k for k in _COMPONENTS if k <= size // 8 and k < max(dims)]
    bases += ["correlated"]
  known = {}

  def nats(form, splits=splits):
    key = (form, len(splits[0][0]))
    if key not in known:
      known[key] = _judged(x, y, splits, form)
    return known[key][0]

  best = max((Form(base=base) for base in bases), key=nats)
  kinds = [dataclasses.replace(best, nu=nu) for nu in FREEDOMS]
  best = max(kinds, key=lambda form: nats(form, few))
  if len(bases) > 1:
    best = max(
      (dataclasses.replace(best, base=base) for base in bases), key=nats
    )
    ridges = (_RIDGE, *_SHRUNK)
    best = max((dataclasses.replace(best, ridge=r) for r in ridges), key=nats)
  for change in ({"values": True}, {"again": True}):
    other = dataclasses.replace(best, **change)
    if nats(other) > nats(best) + _BETTER * (1 + abs(nats(best))):
      best = other
  nats(best)
  return best, known[best, size][1]


def _judged(x, y, splits, form) -> tuple[float, int]:
  """`(nats, rank)` of the best rank, over pairs that were not fitted.

  Less the partition, where it is above 1: then the form is no ratio.
  """
  found, each = [], []
  for fit, held in splits:
    u, v, rho = _canonical(x, y, fit, held, form)
    found.append((u, v, rho))
    each.append(np.mean(_log_ratio(u, v, rho, form.nu), axis=0))
  least = min(map(len, each))
  mean = np.mean([ranks[:least] for ranks in each], axis=0)
  rank = int(np.argmax(mean))
  if rank == 0 and np.isinf(form.nu):
    return 0.0, 0
  u, v, rho = found[0]
  some = np.arange(min(len(u), _MATRIX))
  matrix = Copula(form, u, v, rho[:rank]).matrix(some)
  return float(mean[rank] - max(log_mean(*exponentials(matrix)), 0.0)), rank


def _canonical(x, y, fit, rows, form):
  """Canonical coordinates `[n, k]` of rows, and their correlations in fit."""
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
    rho = np.clip(rho, 0, 1 - _RIDGE)
  return u, v, rho


def _ranked_again(fitted, u, nu):
  order = np.sort(fitted, axis=0)
  return [quantiles(uniform_ranks(order, w), nu) for w in (fitted, u)]


def _based(x, y, fit, rows, form):
  """Columns, components, or the columns that correlate, of rows `[n, k]`."""
  sides = []
  kept = [slice(None)] * 2
  if form.base == "correlated":
    kept = _correlated(x.scores[fit], y.scores[fit])
  for side, some in zip((x, y), kept, strict=True):
    if form.values:
      z = side.values[rows][:, some]
    else:
      z = side.quantiles(form.nu, rows, some)
    sides.append(
      z if form.base in ("all", "correlated") else z @ side.axes[:, : form.base]
    )
  return sides


def _correlated(x, y) -> Sequence[np.ndarray]:
  """Columns whose largest correlation is beyond what chance gives, or one."""
  size = np.abs(x.T @ y) / len(x)
  chance = np.sqrt(2 * np.log(max(size.size, 2)) / len(x))
  kept = []
  for axis in (1, 0):
    largest = size.max(axis=axis)
    most = min(columns.MOST, max(len(x) // 8, 1))
    first = np.argsort(-largest)[:most]
    some = first[largest[first] > chance]
    kept.append(np.sort(some if len(some) else first[:1]))
  return kept


def _maps(x, y, form):
  """Canonical maps of `x [n, dx]`, `y [n, dy]`, and all correlations."""
  dx = x.shape[1]
  scatter = _scatter(np.concatenate([x, y], axis=1), form)
  x_root = np.linalg.cholesky(scatter[:dx, :dx])
  y_root = np.linalg.cholesky(scatter[dx:, dx:])
  between = np.linalg.solve(x_root, scatter[:dx, dx:])
  between = np.linalg.solve(y_root, between.T).T
  left, rho, right = np.linalg.svd(between, full_matrices=True)
  x_map = np.linalg.solve(x_root.T, left)
  y_map = np.linalg.solve(y_root.T, right.T)
  return x_map, y_map, np.clip(rho, 0, 1 - _RIDGE)


def _scatter(z, form):
  """Maximum-likelihood scatter of a t with known nu and centre 0, `[d, d]`.

  References:
    Kent, Tyler, Vardi, 1994: dividing by the sum of the weights converges
    faster than by n.
  """
  n, d = z.shape
  if np.isinf(form.nu):
    return _ridged(z.T @ z / n, form.ridge)
  bounded = np.tanh(z / 2)
  bounded -= bounded.mean(axis=0)
  length = np.linalg.norm(bounded, axis=0)
  # What is constant in these rows correlates with nothing.
  bounded /= np.where(length > 0, length, 1)
  scatter = bounded.T @ bounded + 1e-6 * np.eye(d)
  for _ in range(_EM_STEPS):
    white = np.linalg.solve(np.linalg.cholesky(scatter), z.T)
    weight = (form.nu + d) / (form.nu + np.sum(white**2, axis=0))
    scatter = _ridged((z.T * weight) @ z / np.sum(weight), form.ridge)
  return scatter


def _ridged(scatter, ridge):
  """Adds to the diagonal: a little, and up to `_LEAST` where it is smaller.

  Only columns of few levels have less than that. Without it, the one row in
  which such a column differs would lie 30 deviations from the others.
  """
  short = np.maximum(_LEAST - np.diag(scatter), 0)
  return scatter + np.diag(ridge + short)


def _log_ratio(u, v, rho, nu):
  """Log ratios of `u [n, dx]`, `v [n, dy]` with 0, 1, ... correlations kept.

  Returns:
    `[n, r + 1]`.
  """
  x, y = np.sum(u**2, axis=1)[:, None], np.sum(v**2, axis=1)[:, None]
  dims = u.shape[1], v.shape[1]
  u, v = u[:, : len(rho)], v[:, : len(rho)]
  # Differences, for near copies: their products nearly cancel.
  more = ((u - v) ** 2 + 2 * (1 - rho) * u * v) / (1 - rho**2) - u**2 - v**2
  form = x + y + np.pad(np.cumsum(more, axis=1), ((0, 0), (1, 0)))
  half = np.cumsum(0.5 * np.log1p(-(np.append(0.0, rho) ** 2)))
  return _of_forms(form, x, y, dims, nu) - half


def _of_forms(form, x, y, dims, nu):
  """Log t of the joint form less those of both sides, without correlations."""
  joint = _log_t(np.maximum(form, 0), sum(dims), nu)
  return joint - _log_t(x, dims[0], nu) - _log_t(y, dims[1], nu)


def _constant(dims, nu):
  joint = _log_t(0.0, sum(dims), nu)
  return joint - _log_t(0.0, dims[0], nu) - _log_t(0.0, dims[1], nu)


def _half_log(rho):
  return 0.5 * np.sum(np.log1p(-(rho**2)))


def _log_t(form, d, nu):
  """Log density of a d-dimensional t with unit scatter, of the squared form."""
  if np.isinf(nu):
    return -0.5 * (form + d * np.log(2 * np.pi))
  constant = special.gammaln((nu + d) / 2) - special.gammaln(nu / 2)
  constant = constant - 0.5 * d * np.log(nu * np.pi)
  return constant - 0.5 * (nu + d) * np.log1p(form / nu)
