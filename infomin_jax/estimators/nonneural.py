"""Mutual information without a critic: `(x [n, dx], y [n, dy]) -> nats`.

On NumPy arrays, on the host, in float64. None is a bound: all are neither
upper nor lower, without a ceiling but for the one said. A vector `[n]` is read
as one column.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree
from scipy.special import digamma, xlogy

from infomin_jax.errors import UserError


def ksg(
  x: np.ndarray,
  y: np.ndarray,
  k: int = 3,
  variant: int = 1,
  noise: float = 1e-10,
  seed: int = 0,
) -> float:
  """KSG estimate of I(X; Y) from nearest neighbors, in nats; neither bound.

  For continuous x and y. Columns are scaled to variance one, which MI does not
  see; distances are the largest over columns. Saturates near log n, and needs
  many more samples than exp(I).

  Args:
    x: samples, `[n, dx]`.
    y: their partners, `[n, dy]`.
    k: neighbors; more lowers variance and raises bias.
    variant: 1 counts in a square around a point, 2 in a rectangle.
    noise: standard deviation of normal noise added to the scaled columns, so
      that equal values are not at distance zero; 0 for none.
    seed: of that noise: the same data give the same number.

  Returns:
    At most about `log n`; may be negative for independent x and y.

  Example:
    >>> import numpy as np
    >>> x, noise = np.random.default_rng(0).normal(size=(2, 1000, 1))
    >>> round(ksg(x, x + noise), 2)  # the truth is log(2) / 2 = 0.35
    0.36

  References:
    Kraskov, Stoegbauer, Grassberger, `Estimating mutual information
    <https://arxiv.org/abs/cond-mat/0305641>`_, 2004, eqs. 8 and 9.
  """
  if variant not in (1, 2):
    raise UserError(f"ksg: expected variant 1 or 2, got {variant}.")
  if variant == 1:
    return float(np.mean(ksg_each(x, y, k, noise, seed)))
  x, y = _noisy(*_paired(x, y, k), noise, seed)
  size = len(x)
  joint = KDTree(np.hstack([x, y]))
  # k + 1, since the nearest neighbor of a point is the point itself.
  _, neighbors = joint.query(joint.data, k + 1, p=np.inf)
  inside = 0.0
  for values in (x, y):
    apart = np.abs(values[neighbors] - values[:, None])  # [n, k + 1, d]
    # Eq. 9 counts points on the edge, and the k-th neighbor is on it: rounding
    # must not lose it. It does not count the point itself, as `_count` does.
    within = np.nextafter(np.max(apart, axis=(1, 2)), np.inf)
    inside += digamma(_count(values, within) - 1)
  return float(digamma(k) - 1 / k + digamma(size) - np.mean(inside))


def ksg_each(
  x: np.ndarray,
  y: np.ndarray,
  k: int = 3,
  noise: float = 1e-10,
  seed: int = 0,
) -> np.ndarray:
  """Returns what each pair adds to `ksg`, variant 1: nats `[n]`."""
  x, y = _noisy(*_paired(x, y, k), noise, seed)
  joint = KDTree(np.hstack([x, y]))
  # k + 1, since the nearest neighbor of a point is the point itself.
  distance, _ = joint.query(joint.data, k + 1, p=np.inf)
  within = np.nextafter(distance[:, k], 0)  # strictly nearer
  # Eq. 8 adds 1 to counts; here they contain the point itself.
  inside = digamma(_count(x, within)) + digamma(_count(y, within))
  return digamma(k) + digamma(len(x)) - inside


def _noisy(x, y, noise, seed):
  """Columns of variance one, with noise that separates equal values."""
  rng = np.random.default_rng(seed)
  x, y = (_scaled(v) + noise * rng.normal(size=v.shape) for v in (x, y))
  return x, y


def mixed_ksg(x: np.ndarray, y: np.ndarray, k: int = 5) -> float:
  """KSG for discrete, continuous and mixed data, in nats; neither bound.

  Where the k-th neighbor is at distance zero, points at distance zero are
  counted, and the estimate is the plug-in one; elsewhere it is `ksg`. So equal
  values must be exactly equal, and no noise is added. Columns are not scaled:
  give x and y scales on which a discrete step is not a small distance.

  Differs from the paper: digammas of counts, as in the authors' code, in the
  place of logarithms of counts plus one.

  Args:
    x: samples, `[n, dx]`.
    y: their partners, `[n, dy]`.
    k: neighbors.

  Returns:
    At most about `log n`; may be negative for independent x and y.

  References:
    Gao et al., `Estimating Mutual Information for Discrete-Continuous Mixtures
    <https://arxiv.org/abs/1709.06212>`_, 2017, algorithm 1.
  """
  return float(np.mean(mixed_ksg_each(x, y, k)))


def mixed_ksg_each(x: np.ndarray, y: np.ndarray, k: int = 5) -> np.ndarray:
  """Returns what each pair adds to `mixed_ksg`, nats `[n]`."""
  x, y = _paired(x, y, k)
  joint = KDTree(np.hstack([x, y]))
  distance = joint.query(joint.data, k + 1, p=np.inf)[0][:, k]
  tied = distance == 0
  within = np.where(tied, 0, np.nextafter(distance, 0))
  equal = joint.query_ball_point(joint.data, within, np.inf, return_length=True)
  nearest = np.where(tied, equal, k)
  inside = digamma(_count(x, within)) + digamma(_count(y, within))
  return digamma(nearest) - inside + np.log(len(x))


def gaussian(x: np.ndarray, y: np.ndarray, correct: bool = False) -> float:
  """I(X; Y) if (x, y) were Gaussian, from canonical correlations, in nats.

  Neither bound: for data that are not Gaussian it sees linear dependence only.
  The plain value is biased upwards by about dx dy / 2n; the correction is
  exact for Gaussian data, by the expected log determinants of their
  covariances (Wishart).

  Args:
    x: samples, `[n, dx]`, n > dx + dy.
    y: their partners, `[n, dy]`.
    correct: remove the bias; values may then be negative.

  Returns:
    -1/2 of the sum of log(1 - rho_i^2) over canonical correlations rho_i.

  Example:
    >>> import numpy as np
    >>> x, noise = np.random.default_rng(0).normal(size=(2, 1000, 1))
    >>> round(gaussian(x, x + noise), 2)  # the truth is log(2) / 2 = 0.35
    0.35

  References:
    Gelfand, Yaglom, 1957, for the value; Misra, Singh, Demchuk, `Estimation of
    the entropy of a multivariate normal distribution
    <https://doi.org/10.1016/j.jmva.2003.10.003>`_, 2005, for the correction.
  """
  x, y = _paired(x, y)
  rho = canonical_correlations(x, y)
  # log1p keeps the digits of small correlations.
  nats = -0.5 * np.sum(np.log1p(-(rho**2)))
  if correct:
    freedom, dx, dy = len(x) - 1, x.shape[1], y.shape[1]
    # E log det of a covariance less the true one's, up to parts that cancel.
    each = digamma((freedom - np.arange(dx + dy)) / 2)
    bias = np.sum(each[:dx]) + np.sum(each[:dy]) - np.sum(each)
    nats -= 0.5 * bias
  return float(nats)


def canonical_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Correlations of the best correlated projections of x and y, descending.

  Args:
    x: samples, `[n, dx]`, n > dx + dy.
    y: their partners, `[n, dy]`.

  Returns:
    `[min(dx, dy)]`, in [0, 1].

  References:
    Hotelling, Relations between two sets of variates, 1936.
  """
  x, y = _paired(x, y)
  if len(x) <= x.shape[1] + y.shape[1]:
    raise UserError(
      f"Expected more samples than the {x.shape[1]} + {y.shape[1]} columns of "
      f"x and y, got {len(x)}: correlations would be 1 by chance."
    )
  # QR of the columns, not their covariances: squares lose half of the digits.
  qx, qy = (np.linalg.qr(v - v.mean(axis=0))[0] for v in (x, y))
  rho = np.linalg.svd(qx.T @ qy, compute_uv=False)
  # Rounding may leave [0, 1].
  return np.clip(rho, 0, 1)


def plug_in(x: np.ndarray, y: np.ndarray, correct: bool = False) -> float:
  """I(X; Y) of the observed frequencies of discrete x and y, in nats.

  Neither bound. The plain value is biased upwards by about
  (cells - rows - columns + 1) / 2n, which `correct` subtracts.

  Args:
    x: symbols, `[n]`, or `[n, dx]` with a row a symbol.
    y: their partners, `[n]` or `[n, dy]`.
    correct: Miller and Madow's correction of the three entropies.

  Returns:
    At most the log of the smaller number of symbols.

  Example:
    >>> import numpy as np
    >>> coin = np.array([0, 1] * 50)
    >>> round(float(plug_in(coin, coin)), 4)  # log(2)
    0.6931

  References:
    Miller, Note on the bias of information estimates, 1955; Paninski,
    Estimation of Entropy and Mutual Information, 2003.
  """
  x, y = _paired(x, y)
  rows, columns = (
    np.unique(v, axis=0, return_inverse=True)[1].reshape(-1) for v in (x, y)
  )
  return counted(*contingency(rows, columns), correct)


def contingency(
  rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The occupied cells of a table: their rows, columns and counts, `[cells]`.

  Args:
    rows: codes 0, 1, ... of each sample, `[n]`.
    columns: the same of its partner.
  """
  # A code for each pair. In int64, since the type of the codes may be too
  # narrow for the products.
  width = int(columns.max()) + 1
  cells, counts = np.unique(
    rows.astype(np.int64) * width + columns, return_counts=True
  )
  return cells // width, cells % width, counts


def counted(
  rows: np.ndarray,
  columns: np.ndarray,
  counts: np.ndarray,
  correct: bool = False,
) -> float:
  """`plug_in` of the cells of a `contingency` table, in nats."""
  sums = np.bincount(rows, counts), np.bincount(columns, counts)
  size = counts.sum()
  each = [entropy(part) for part in (*sums, counts)]
  nats = each[0] + each[1] - each[2]
  if correct:
    x, y, cells = (np.count_nonzero(part) for part in (*sums, counts))
    nats -= (cells - x - y + 1) / (2 * size)
  return float(nats)


def entropy(counts: np.ndarray) -> float:
  """The plug-in entropy of counts `[k]`, in nats."""
  total = counts.sum()
  # xlogy, since 0 log 0 counts as 0.
  return float(np.log(total) - np.sum(xlogy(counts, counts)) / total)


def table_information(table: np.ndarray) -> float:
  """I(X; Y) of a joint table of probabilities or counts, exact, in nats.

  Args:
    table: values >= 0 of any sum, `[symbols of x, symbols of y]`.

  Returns:
    At most the log of the shorter side.

  References:
    Cover, Thomas, Elements of Information Theory, 2006, eq. 2.28.
  """
  joint = np.asarray(table, float) / np.sum(table)
  product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
  # 0 log 0 counts as 0.
  seen = joint > 0
  return float(np.sum(joint[seen] * np.log(joint[seen] / product[seen])))


def _paired(x, y, k: int | None = None):
  """Both as finite float64 `[n, d]` of equal n, above k."""
  x, y = (np.asarray(v, dtype=np.float64) for v in (x, y))
  x, y = (v[:, None] if v.ndim == 1 else v for v in (x, y))
  if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
    raise UserError(
      "Expected paired samples x [n, dx] and y [n, dy], got shapes "
      f"{x.shape} and {y.shape}."
    )
  for name, values in (("x", x), ("y", y)):
    if not np.all(np.isfinite(values)):
      raise UserError(f"{name} holds NaN or infinity: drop those samples.")
  if k is not None and not 0 < k < len(x):
    raise UserError(
      f"Expected k between 1 and n - 1, got k={k} with {len(x)} samples."
    )
  return x, y


def _scaled(values):
  spread = values.std(axis=0)
  # A constant column has no deviation.
  return values / np.where(spread > 0, spread, 1)


def _count(values, within):
  """Counts the points within a distance of each, itself too, `[n]`."""
  if values.shape[1] == 1:
    return _count_on_line(values[:, 0], within)
  tree = KDTree(values)
  return tree.query_ball_point(values, within, np.inf, return_length=True)


def _count_on_line(values, within):
  levels, counts = np.unique(values, return_counts=True)
  before = np.append(0, np.cumsum(counts))
  last = len(levels) - 1
  # Sums round: a level at the very edge is decided by its distance.
  high = np.searchsorted(levels, values + within, "right")
  high -= levels[high - 1] - values > within
  beyond = levels[np.minimum(high, last)] - values
  high += (high <= last) & (beyond <= within)
  low = np.searchsorted(levels, values - within)
  low += values - levels[np.minimum(low, last)] > within
  beyond = values - levels[np.maximum(low - 1, 0)]
  low -= (low > 0) & (beyond <= within)
  return before[high] - before[low]


# `(x, y) -> nats` by name; options have defaults.
NONNEURAL: dict[str, Callable[..., float]] = {
  "gaussian": gaussian,
  "ksg": ksg,
  "mixed_ksg": mixed_ksg,
  "plug_in": plug_in,
}
