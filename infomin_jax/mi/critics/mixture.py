"""A mixture of normals: the log ratio in closed form where networks fall short.

Columns are mapped one by one, to normal quantiles of their ranks or linearly,
which leaves mutual information as it is, and then to canonical coordinates.
There EM fits k normals to x and y together. Each side of a mixture of normals
is a mixture itself, so that `log p(x, y) / p(x) p(y)` is known. Clusters,
bends and correlations that differ from place to place are such mixtures;
components may differ by nothing but correlation.

References:
  Dempster, Laird, Rubin, 1977 (EM); Fraley, Raftery, 2007 (covariances shrunk
  by a prior).
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.linalg import block_diag

from infomin_jax.mi.critics.canonical import Map, Maps, coordinates, whitener
from infomin_jax.mi.critics.normals import EM, FIRST, NARROW, Normals

# Numbers of components that are tried, while they pay.
_COUNTS = (2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Rows that a component must have for each coordinate, and a mixture at least.
_ROWS_PER_COORDINATE, _LEAST_ROWS = 8, 200
_ROWS_PER_COLUMN = 4  # else canonical coordinates are chance
# Coordinates of both sides together beyond which all are not tried.
_MOST = 160
# Pseudo-rows, for each coordinate, of the prior of a covariance. It has the
# component's own variances and canonical pairs, and nothing else.
_SHRINKS = (0.2, 1.0, 5.0, 25.0, np.inf)
_SHRINK = 1.0
_LAST = 10  # steps of EM for all rows
# How often coordinates are turned to those of the mixture's normals.
_TURNS = 3
_TURN_LEAST = 1e-3  # thin normals are not made round
# Nats of held-out pairs by which more components must be better.
_GAIN = 0.005
_FIT_ROWS, _LAST_ROWS = 8000, 20_000  # that choose, and that are fitted then
_NEGATIVES = 400  # held-out rows of which all combinations are scored


@dataclasses.dataclass(frozen=True)
class Mixture:
  """A fitted mixture of normals: `log p(x, y) / p(x) p(y)` in nats.

  Attributes:
    x_map, y_map: columns to the coordinates of the normals.
    normals: of x and y together.
    held_nats: of the pairs that chose it, by parameters without them.
  """

  x_map: Map
  y_map: Map
  normals: Normals
  held_nats: float

  @property
  def components(self) -> int:
    return len(self.normals.means)

  def pairs(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log ratios of row i of `x [n, dx]` with row i of `y`, `[n]`."""
    return self.normals.pairs(self.x_map(x), self.y_map(y))

  def matrix(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log ratios of all rows of `x [m, dx]` with all of `y`, `[m, l]`."""
    return self.normals.matrix(self.x_map(x), self.y_map(y))


def fit_mixture(
  x: np.ndarray,
  y: np.ndarray,
  x_held: np.ndarray,
  y_held: np.ndarray,
  seed: int,
  like: Mixture | None = None,
) -> Mixture | None:
  """Fits mixtures and returns the one that held-out pairs like best.

  Args:
    x: columns, `[n, dx]`.
    y: their partners, `[n, dy]`.
    x_held: pairs that choose the number of components, the coordinates and the
      shrinkage of the covariances, `[m, dx]`; the mixture that was chosen is
      fitted to them too.
    y_held: `[m, dy]`.
    seed: of the starts.
    like: a mixture whose kind of coordinates and number of components is
      taken, which saves the search for them.

  Returns:
    None if one component is best, or columns are too many for the rows.
  """
  x, y, x_held, y_held = (np.asarray(v, float) for v in (x, y, x_held, y_held))
  columns = x.shape[1] + y.shape[1]
  if len(x) < max(_LEAST_ROWS, _ROWS_PER_COLUMN * columns):
    return None
  some, held = (x[:_FIT_ROWS], y[:_FIT_ROWS]), (x_held, y_held)
  tried = [
    _Search(maps, some, held, seed, (like.components,) if like else _COUNTS)
    for ranked in ((like.x_map.ranked,) if like else (True, False))
    for maps in coordinates(*some, ranked)
    if _most(some[0], maps) > 1
  ]
  if like:
    width = like.x_map.matrix.shape[1]
    alike = [one for one in tried if one.maps.x.matrix.shape[1] == width]
    tried = alike or tried
  wide = [one for one in tried if one.wide]
  if len(wide) > 1:  # these take long
    keep = max(wide, key=lambda one: one.look.held)
    tried = [one for one in tried if one is keep or not one.wide]
  found = [one.best() for one in tried]
  best = max(found, key=lambda one: one.held, default=None)
  if best is None or best.components == 1 or best.held <= _GAIN:
    return None
  return _refit(best, (x, y), (x_held, y_held))


class _Choice(NamedTuple):
  held: float
  normals: Normals
  shrink: float
  maps: Maps

  @property
  def components(self) -> int:
    return len(self.normals.means)


def _most(x, maps):
  """Returns how many components the rows allow in these coordinates."""
  coordinates = sum(m.matrix.shape[1] for m in (maps.x, maps.y))
  if coordinates > _MOST:
    return 0
  return len(x) // (_ROWS_PER_COORDINATE * coordinates)


class _Search:
  """The best mixture in some coordinates."""

  def __init__(self, maps, fitted, held, seed, counts):
    self.maps, self.fitted, self.held, self.seed = maps, fitted, held, seed
    self.counts = counts
    u, v = maps.x(fitted[0]), maps.y(fitted[1])
    self.em = EM(np.concatenate([u, v], axis=1), u.shape[1], maps.rho)
    self.apart = maps.x(held[0]), maps.y(held[1])

  @property
  def wide(self) -> bool:
    return self.em.z.shape[1] > NARROW

  @functools.cached_property
  def look(self) -> _Choice:
    """One or two components."""
    ones = np.ones((len(self.em.z), 1))
    start = self._choice(self.em.run(ones, 1, _SHRINK), _SHRINK)
    return self._grown(start, self.counts[:1])

  def best(self) -> _Choice:
    """The best number of components and the best covariances."""
    best, search = self._grown(self.look, self.counts), self
    for _ in range(_TURNS if self.em.z.shape[1] > 4 else 0):
      if best.components == 1:
        break
      search, new = search._turned(best)
      if new.held < best.held + _GAIN:
        break
      best = search._grown(new, self.counts)
    return best

  def _grown(self, best, counts) -> _Choice:
    """More components, while they pay."""
    rng = np.random.default_rng(self.seed)
    most, worse = _most(self.em.z, self.maps), 0
    for count in [c for c in counts if best.components < c <= most]:
      new = self.em.best_start(count, best.normals, best.shrink, rng)
      new = self._choice(new, best.shrink)
      if new.held > best.held + _GAIN:
        first = best.components == 1
        best, worse = new, 0
        if first and self.em.z.shape[1] > 4:
          best = self._tuned(best)
        continue
      worse += 1
      if worse == 2 or (self.wide and best.components > 1):
        break
    return best

  def _choice(self, normals, shrink) -> _Choice:
    return _Choice(_value(normals, *self.apart), normals, shrink, self.maps)

  def _tuned(self, best) -> _Choice:
    """The same number of components, with other covariances."""
    at = _SHRINKS.index(best.shrink)
    for shrinks in (_SHRINKS[at + 1 :], _SHRINKS[:at][::-1]):
      for shrink in shrinks:
        new = self.em.go_on(best.normals, FIRST, shrink)
        new = self._choice(new, shrink)
        if new.held <= best.held:
          break
        best = new
      if best.shrink != _SHRINKS[at]:
        break
    return best

  def _turned(self, best):
    """A search in canonical coordinates of one normal, and the same mixture.

    It is the one that adds most to the dependence. Normals often share them.
    """
    normals, dx = best.normals, self.em.dx
    covariances = normals.covariances
    sides = covariances[:, :dx, :dx], covariances[:, dx:, dx:]
    x_log, y_log, both = (
      np.linalg.slogdet(c)[1] for c in (*sides, covariances)
    )
    i = int(np.argmax(np.exp(normals.log_weights) * (x_log + y_log - both)))
    whites = [whitener(side[i], _TURN_LEAST) for side in sides]
    between = whites[0].T @ covariances[i, :dx, dx:] @ whites[1]
    left, rho, right = np.linalg.svd(between)
    left, right = whites[0] @ left, whites[1] @ right.T
    turn = block_diag(left, right)
    maps = Maps(self.maps.x.turned(left), self.maps.y.turned(right), rho)
    search = _Search(maps, self.fitted, self.held, self.seed, self.counts)
    new = Normals(
      normals.log_weights, normals.means @ turn, turn.T @ covariances @ turn
    )
    new = search.em.go_on(new, FIRST, best.shrink)
    return search, search._tuned(search._choice(new, best.shrink))


def _value(normals, u, v) -> float:
  """Nats of held-out pairs, less what the model's partition is above one.

  Marginals that misfit would raise the mean log ratio; the partition tells.
  """
  few = slice(None, _NEGATIVES)
  matrix = normals.matrix(u[few], v[few])
  matrix = matrix[~np.eye(len(matrix), dtype=bool)]
  partition = special.logsumexp(matrix) - np.log(len(matrix))
  return float(np.mean(normals.pairs(u, v)) - max(partition, 0.0))


def _refit(best, fitted, held) -> Mixture:
  """The mixture of all rows, which EM reaches from the chosen one."""
  x, y = (
    np.concatenate([b, a])[:_LAST_ROWS]
    for a, b in zip(fitted, held, strict=True)
  )
  u, v = best.maps.x(x), best.maps.y(y)
  em = EM(np.concatenate([u, v], axis=1), u.shape[1], best.maps.rho)
  normals = em.go_on(best.normals, _LAST, best.shrink)
  return Mixture(best.maps.x, best.maps.y, normals, best.held)
