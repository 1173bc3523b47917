"""Canonical coordinates of two sides, in which mixtures are fitted.

Columns are mapped one by one, which leaves mutual information unchanged. The
map is to normal quantiles of the ranks, or linear, which keeps the shape of
clusters. Then each side is whitened and rotated, so that only pairs of
coordinates correlate.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from infomin_jax.mi.columns import quantiles, uniform_ranks

# Correlations below this multiple of what chance gives are left out.
_CHANCE = 1.1


@dataclasses.dataclass(frozen=True)
class Map:
  """Maps columns of one side to canonical coordinates.

  Attributes:
    fitted: each fitted column in ascending order, `[n, d]`.
    ranked: whether columns become normal quantiles of their ranks. If not, they
      are scaled, and clipped to the fitted range.
    center: subtracted before the rotation, `[d]`.
    matrix: whitening and rotation, `[d, d]`.
  """

  fitted: np.ndarray
  ranked: bool
  center: np.ndarray
  matrix: np.ndarray

  def __call__(self, values: np.ndarray) -> np.ndarray:
    scores = _scores(self.fitted, values, self.ranked)
    return (scores - self.center) @ self.matrix

  def turned(self, turn: np.ndarray) -> "Map":
    return dataclasses.replace(self, matrix=self.matrix @ turn)


class Maps(NamedTuple):
  x: Map
  y: Map
  rho: np.ndarray  # canonical correlations


def coordinates(x, y, ranked) -> list[Maps]:
  """Returns maps to all canonical coordinates, and to the correlated few."""
  maps = _canonical(x, y, ranked)
  chance = (np.sqrt(x.shape[1]) + np.sqrt(y.shape[1])) / np.sqrt(len(x))
  few = max(int(np.sum(maps.rho > _CHANCE * chance)), 1)
  if 2 * few > len(maps.rho):
    return [maps]
  x_map, y_map = (
    side.turned(np.eye(side.matrix.shape[1], few)) for side in maps[:2]
  )
  return [maps, Maps(x_map, y_map, maps.rho[:few])]


def _scores(fitted, values, ranked):
  if ranked:
    return quantiles(uniform_ranks(fitted, values), np.inf)
  # Halves of the values, whose differences do not overflow.
  middle = fitted[len(fitted) // 2] / 2
  reach = np.maximum(fitted[-1] / 2 - middle, middle - fitted[0] / 2)
  reach = np.where(reach > 0, reach, 1)
  scaled = (fitted / 2 - middle) / reach
  values = (np.clip(values, fitted[0], fitted[-1]) / 2 - middle) / reach
  # 1e-9, since a constant column has no deviation.
  return (values - np.mean(scaled, axis=0)) / (np.std(scaled, axis=0) + 1e-9)


def _canonical(x, y, ranked) -> Maps:
  """Returns the maps of both sides to all of their canonical coordinates."""
  sides = [np.sort(v, axis=0) for v in (x, y)]
  scores = [_scores(s, v, ranked) for s, v in zip(sides, (x, y), strict=True)]
  centers = [s.mean(axis=0) for s in scores]
  scores = [s - c for s, c in zip(scores, centers, strict=True)]
  whites = [whitener(s.T @ s / len(s)) for s in scores]
  u, v = (s @ w for s, w in zip(scores, whites, strict=True))
  left, rho, right = np.linalg.svd(u.T @ v / len(u))
  turns = whites[0] @ left, whites[1] @ right.T
  x_map, y_map = (
    Map(s, ranked, c, t) for s, c, t in zip(sides, centers, turns, strict=True)
  )
  return Maps(x_map, y_map, rho)


def whitener(covariance: np.ndarray, least: float = 1e-6) -> np.ndarray:
  """Returns a matrix that whitens columns; copies and constants stay small."""
  values, vectors = np.linalg.eigh(covariance)
  return vectors / np.sqrt(np.maximum(values, least * max(values[-1], 1e-6)))
