"""A mixture of normals: a closed-form log ratio where networks fall short.

Columns are mapped one by one, to normal quantiles of their ranks or linearly,
which leaves mutual information unchanged. They are then mapped to canonical
coordinates. There EM fits k normals to x and y together. Each side of a mixture
of normals is a mixture itself, so `log p(x, y) / p(x) p(y)` has a closed form.
Such mixtures describe clusters, bends, and correlations that differ between
places. Components may differ only in correlation.

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

# Numbers of components that are tried while more of them help.
_COUNTS = (2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Rows that a component needs per coordinate, and rows that a mixture needs.
_ROWS_PER_COORDINATE, _LEAST_ROWS = 8, 200
_ROWS_PER_COLUMN = 4  # with fewer, canonical coordinates are chance
# With more coordinates of both sides together, not all are tried.
_MOST = 160
# Pseudo-rows, per coordinate, of the prior of a covariance. The prior has the
# variances and canonical pairs of the component, and zeros elsewhere.
_SHRINKS = (0.2, 1.0, 5.0, 25.0, np.inf)
_SHRINK = 1.0
_LAST = 10  # steps of EM in the last fit
# How often coordinates are rotated to canonical ones of one normal.
_TURNS = 3
_TURN_LEAST = 1e-3  # relative eigenvalue below which a normal is not whitened
# Nats on held-out pairs by which more components must be better.
_GAIN = 0.005
_FIT_ROWS, _LAST_ROWS = 8000, 20_000  # rows of the search, and of the last fit
_NEGATIVES = 400  # held-out rows whose combinations are all scored


@dataclasses.dataclass(frozen=True)
class Mixture:
  """A fitted mixture of normals: `log p(x, y) / p(x) p(y)` in nats.

  Attributes:
    x_map, y_map: columns to the coordinates of the normals.
    normals: the mixture of x and y together.
    held_nats: nats on the pairs that chose it, with parameters fitted without
      them.
  """

  x_map: Map
  y_map: Map
  normals: Normals
  held_nats: float

  @property
  def components(self) -> int:
    return len(self.normals.means)

  def pairs(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns log ratios of row i of `x [n, dx]` with row i of `y`, `[n]`."""
    return self.normals.pairs(self.x_map(x), self.y_map(y))

  def matrix(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns log ratios of all combinations of `x [m, dx]`, `y`, `[m, l]`."""
    return self.normals.matrix(self.x_map(x), self.y_map(y))


def fit_mixture(
  x: np.ndarray,
  y: np.ndarray,
  x_held: np.ndarray,
  y_held: np.ndarray,
  seed: int,
  like: Mixture | None = None,
) -> Mixture | None:
  """Fits mixtures and returns the one that scores highest on held-out pairs.

  Args:
    x: columns, `[n, dx]`.
    y: their partners, `[n, dy]`.
    x_held: pairs that choose the number of components, the coordinates and the
      shrinkage of the covariances, `[m, dx]`. The chosen mixture is finally
      fitted to them too.
    y_held: `[m, dy]`.
    seed: of the starts.
    like: a mixture whose kind of coordinates and number of components are used,
      which saves the search for them.

  Returns:
    None if one component is best, or there are too many columns for the rows.
  """
  x, y, x_held, y_held = (np.asarray(v, float) for v in (x, y, x_held, y_held))
  columns = x.shape[1] + y.shape[1]
  if len(x) < max(_LEAST_ROWS, _ROWS_PER_COLUMN * columns):
    return None
  fitted, held = (x[:_FIT_ROWS], y[:_FIT_ROWS]), (x_held, y_held)
  searches = [
    _Search(maps, fitted, held, seed, (like.components,) if like else _COUNTS)
    for ranked in ((like.x_map.ranked,) if like else (True, False))
    for maps in coordinates(*fitted, ranked)
    if _most(fitted[0], maps) > 1
  ]
  if like:
    width = like.x_map.matrix.shape[1]
    same_width = [
      one for one in searches if one.maps.x.matrix.shape[1] == width
    ]
    # Each fold counts its correlated coordinates itself, so none may have that
    # width.
    searches = same_width or searches
  wide_ones = [one for one in searches if one.wide]
  # Wide searches take long, so only the best one goes on.
  if len(wide_ones) > 1:
    keep = max(wide_ones, key=lambda one: one.look.held)
    searches = [one for one in searches if one is keep or not one.wide]
  choices = [one.best() for one in searches]
  best = max(choices, key=lambda one: one.held, default=None)
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
  """Searches the best mixture in some coordinates."""

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
    """The best choice with one component or the first count."""
    ones = np.ones((len(self.em.z), 1))
    # One step: all responsibilities of one component are 1.
    start = self._choice(self.em.run(ones, 1, _SHRINK), _SHRINK)
    return self._grown(start, self.counts[:1])

  def best(self) -> _Choice:
    """Returns the best number of components and the best covariances."""
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
    """Returns the best choice with more components, tried while they help."""
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
      # Wide searches take long: they end at the first count that does not help.
      if worse == 2 or (self.wide and best.components > 1):
        break
    return best

  def _choice(self, normals, shrink) -> _Choice:
    return _Choice(_value(normals, *self.apart), normals, shrink, self.maps)

  def _tuned(self, best) -> _Choice:
    """Returns the best shrinkage for the same number of components."""
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
    """Returns a search in canonical coordinates of one normal, and its start.

    That normal adds most to the dependence. Normals often share these
    coordinates.
    """
    normals, dx = best.normals, self.em.dx
    covariances = normals.covariances
    sides = covariances[:, :dx, :dx], covariances[:, dx:, dx:]
    x_log, y_log, both = (
      np.linalg.slogdet(c)[1] for c in (*sides, covariances)
    )
    # The difference of logarithms is twice the mutual information of a normal.
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
  """Returns nats of held-out pairs, minus the log partition if it is positive.

  Marginals that misfit raise the mean log ratio, but they raise the partition
  too.
  """
  few = slice(None, _NEGATIVES)
  matrix = normals.matrix(u[few], v[few])
  matrix = matrix[~np.eye(len(matrix), dtype=bool)]
  partition = special.logsumexp(matrix) - np.log(len(matrix))
  # A negative one only shows that rare negatives are lacking (`partition`).
  return float(np.mean(normals.pairs(u, v)) - max(partition, 0.0))


def _refit(best, fitted, held) -> Mixture:
  """Returns the mixture fitted to all rows by EM from the chosen one."""
  x, y = (
    np.concatenate([b, a])[:_LAST_ROWS]
    for a, b in zip(fitted, held, strict=True)
  )
  u, v = best.maps.x(x), best.maps.y(y)
  em = EM(np.concatenate([u, v], axis=1), u.shape[1], best.maps.rho)
  normals = em.go_on(best.normals, _LAST, best.shrink)
  return Mixture(best.maps.x, best.maps.y, normals, best.held)
