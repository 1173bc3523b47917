"""Mixtures of normals: their log ratio of x and y, and EM.

`z [n, d]` holds the coordinates of x, then those of y. Two components may
differ only in the correlation of x with y, which k-means cannot detect. So EM
also starts from products of coordinates.
"""

import dataclasses
import warnings
from typing import NamedTuple

import numpy as np
from scipy import special
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

# Pseudo-rows of unit variance, which keep components from collapsing.
_SPREAD = 0.1
_FLOOR = 1e-6
# Steps of EM: of each start, and further ones of the best start.
FIRST, _MORE = 10, 30
# Components beyond which two kinds of starts are tried instead of four.
_SIMPLE = 12
_START_ROWS = 3000  # rows that the starts use if coordinates are many
_CHUNK = 100  # rows of the matrix at a time
# Coordinates up to which products of all columns are faster than a loop over
# components, and how many of these products are held at a time.
NARROW = 6
_FEATURES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Normals:
  """k weighted normals: log weights `[k]`, means `[k, d]`, covariances."""

  log_weights: np.ndarray
  means: np.ndarray
  covariances: np.ndarray  # [k, d, d]

  def log_joint(self, z: np.ndarray) -> np.ndarray:
    """Returns log weight plus log density up to a constant, `[n, k]`."""
    if z.shape[1] <= NARROW:
      slope = self._slope()
      return np.concatenate([f @ slope for f in _features(z)])
    forms = np.empty((len(z), len(self.means)))
    roots = np.linalg.cholesky(self.covariances)
    inverses = np.linalg.inv(roots)
    for i, inverse in enumerate(inverses):
      white = z @ inverse.T - inverse @ self.means[i]
      forms[:, i] = -0.5 * np.einsum("ij,ij->i", white, white)
    logs = np.log(np.diagonal(roots, axis1=1, axis2=2))
    return forms + self.log_weights - np.sum(logs, axis=1)

  def log_density(self, z: np.ndarray) -> np.ndarray:
    """Returns log densities of the mixture, up to a constant, `[n]`."""
    return _log_sum(self.log_joint(z).T)

  def _slope(self) -> np.ndarray:
    """Returns `log_joint` as a linear function of `_features`."""
    precision = np.linalg.inv(self.covariances)
    linear = np.einsum("kij,kj->ki", precision, self.means)  # [k, d]
    constant = self.log_weights - 0.5 * np.sum(linear * self.means, axis=1)
    constant -= 0.5 * np.linalg.slogdet(self.covariances)[1]
    flat = -0.5 * precision.reshape(len(precision), -1)
    return np.concatenate([flat, linear, constant[:, None]], axis=1).T

  def pairs(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns log ratios of the rows of `u [n, dx]` and `v [n, dy]`, `[n]`."""
    x_side, y_side = self._sides(u.shape[1])
    joint = self.log_density(np.concatenate([u, v], axis=1))
    return joint - x_side.log_density(u) - y_side.log_density(v)

  def matrix(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns log ratios of all rows of `u` with all of `v`, nats `[m, l]`.

    The joint density is the sum over k of exp(a_k(x) + b_k(y) + <l_k(x),
    r_k(y)>).
    """
    dx = u.shape[1]
    precision = np.linalg.inv(self.covariances)
    left = u[None] - self.means[:, None, :dx]  # [k, m, dx]
    right = v[None] - self.means[:, None, dx:]  # [k, l, dy]
    a = _form(left, precision[:, :dx, :dx])  # [k, m]
    b = _form(right, precision[:, dx:, dx:])  # [k, l]
    constant = np.linalg.slogdet(self.covariances)[1] / 2
    a += (self.log_weights - constant)[:, None]
    left = left @ -precision[:, :dx, dx:]
    right = np.swapaxes(right, 1, 2)  # [k, dy, l]
    logs = np.empty((len(u), len(v)))
    # In chunks: all rows at once would hold k matrices `[m, l]`.
    for i in range(0, len(u), _CHUNK):
      rows = slice(i, i + _CHUNK)
      parts = left[:, rows] @ right  # [k, chunk, l]
      parts += a[:, rows, None] + b[:, None]
      logs[rows] = _log_sum(parts)
    x_side, y_side = self._sides(dx)
    return logs - x_side.log_density(u)[:, None] - y_side.log_density(v)

  def _sides(self, dx) -> tuple["Normals", "Normals"]:
    """Returns the mixtures of x alone and of y alone."""
    x, y = (
      Normals(self.log_weights, self.means[:, c], self.covariances[:, c, c])
      for c in (slice(None, dx), slice(dx, None))
    )
    return x, y


class EM(NamedTuple):
  """Expectation maximization on canonical coordinates.

  Attributes:
    z: coordinates of x, then of y, `[n, d]`.
    dx: number of coordinates of x.
    rho: canonical correlations, `[min(dx, dy)]`.
  """

  z: np.ndarray
  dx: int
  rho: np.ndarray

  def run(self, shares, steps, shrink) -> Normals:
    """Runs EM from responsibilities `[n, k]`."""
    for _ in range(steps - 1):
      normals = self._maximize(shares, shrink)
      shares = _softmax(normals.log_joint(self.z))
    return self._maximize(shares, shrink)

  def go_on(self, normals, steps, shrink) -> Normals:
    """Runs EM from a mixture."""
    return self.run(_softmax(normals.log_joint(self.z)), steps, shrink)

  def _maximize(self, shares, shrink) -> Normals:
    d = self.z.shape[1]
    # 1e-9, since a component may have lost all of its rows.
    rows = shares.sum(axis=0)[:, None] + 1e-9
    means = shares.T @ self.z / rows
    scatter = _squares(self.z, shares) / rows[:, :, None]
    scatter = scatter - means[:, :, None] * means[:, None]
    rows = rows[:, :, None]
    prior = shrink * d
    keep = 0.0 if np.isinf(prior) else rows / (rows + prior)
    # The prior has zeros outside the pattern, so only those entries shrink.
    scatter = np.where(_pattern(self.dx, d), scatter, keep * scatter)
    spread = _SPREAD / (rows + _SPREAD)
    eye = np.eye(d)
    covariances = (1 - spread) * scatter + (spread + _FLOOR) * eye
    weights = (rows[:, 0, 0] + 1) / np.sum(rows + 1)
    return Normals(np.log(weights), means, covariances)

  def best_start(self, count, before, shrink, rng) -> Normals:
    """Runs EM from several starts and continues the likeliest."""
    if self.z.shape[1] > NARROW:
      few, more = EM(self.z[:_START_ROWS], self.dx, self.rho), _MORE // 2
    else:
      few, more = self, _MORE
    starts = few._starts(count, before, rng)
    candidates = [few.run(start, FIRST, shrink) for start in starts]
    likelihoods = [
      np.mean(normals.log_density(self.z)) for normals in candidates
    ]
    return self.go_on(candidates[int(np.argmax(likelihoods))], more, shrink)

  def _starts(self, count, before, rng):
    """Yields responsibilities `[n, k]`: by splitting, by place, by products."""
    yield _split(self.z, _softmax(before.log_joint(self.z)), count)
    yield _clusters(self.z, count, rng)
    if count > _SIMPLE:
      return
    pairs = len(self.rho)
    products = self.z[:, :pairs] * self.z[:, self.dx : self.dx + pairs]
    few = products[:, :3]
    # Components that differ only in correlation differ in these products.
    yield _clusters(np.sign(few) * np.sqrt(np.abs(few)), count, rng)
    # 1e-3: without any correlation all totals would be 0.
    total = products @ (self.rho + 1e-3)
    cuts = np.quantile(total, np.arange(1, count) / count)
    yield _one_hot(np.searchsorted(cuts, total), count)


def _features(z):
  """Yields products of all columns, the columns and 1, in chunks of rows."""
  n, d = z.shape
  rows = max(_FEATURES // (d * d), 1)
  for i in range(0, n, rows):
    some = z[i : i + rows]
    products = (some[:, :, None] * some[:, None]).reshape(len(some), -1)
    yield np.concatenate([products, some, np.ones((len(some), 1))], axis=1)


def _squares(z, shares):
  """Returns sums of `z z'` with the weights of each component, `[k, d, d]`."""
  d = z.shape[1]
  if d > NARROW:
    return np.stack([(z.T * share) @ z for share in shares.T])
  sums, at = np.zeros((shares.shape[1], d * d)), 0
  for features in _features(z):
    some = shares[at : at + len(features)]
    sums += some.T @ features[:, : d * d]
    at += len(features)
  return sums.reshape(-1, d, d)


def _clusters(z, count, rng):
  seed = int(rng.integers(2**31))
  with warnings.catch_warnings():
    # With ties, there may be fewer distinct rows than clusters.
    warnings.simplefilter("ignore", ConvergenceWarning)
    means = KMeans(count, n_init=1, max_iter=20, random_state=seed)
    return _one_hot(means.fit_predict(z), count)


def _one_hot(labels, count):
  # Soft responsibilities, so that EM can leave every start.
  return (labels[:, None] == np.arange(count)) * 0.9 + 0.1 / count


def _split(z, shares, count):
  """Returns responsibilities with the heaviest components cut in two."""
  columns = list(shares.T)
  while len(columns) < count:
    heaviest = int(np.argmax([column.sum() for column in columns]))
    share = columns.pop(heaviest)
    centered = z - share @ z / share.sum()
    # Along the longest axis, which `eigh` gives last.
    along = centered @ np.linalg.eigh((centered.T * share) @ centered)[1][:, -1]
    half = special.expit(4 * along / max(np.std(along), 1e-9))
    columns += [share * half, share * (1 - half)]
  return np.stack(columns, axis=1)


def _pattern(dx, d):
  """Returns a mask of the prior covariance: variances and canonical pairs."""
  mask = np.eye(d, dtype=bool)
  pairs = np.arange(min(dx, d - dx))
  mask[pairs, dx + pairs] = mask[dx + pairs, pairs] = True
  return mask


def _softmax(logits):
  logits -= logits.max(axis=1, keepdims=True)
  np.exp(logits, out=logits)
  logits /= logits.sum(axis=1, keepdims=True)
  return logits


def _log_sum(parts):
  """Returns log sum exp over the first axis."""
  top = parts.max(axis=0)
  return np.log(np.sum(np.exp(parts - top), axis=0)) + top


def _form(apart, precision):
  return -0.5 * np.sum((apart @ precision) * apart, axis=-1)
