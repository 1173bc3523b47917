"""Fits the critics of a fold: a copula, a mixture of normals, and networks."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from infomin_jax.mi.columns import Columns
from infomin_jax.mi.critics import images
from infomin_jax.mi.critics.blend import Critic
from infomin_jax.mi.critics.copula import Copula
from infomin_jax.mi.critics.forms import fit_copula
from infomin_jax.mi.critics.mixture import Mixture, fit_mixture
from infomin_jax.mi.critics.networks import Joined, Parametric, Warped
from infomin_jax.mi.critics.training import HIGHEST, fit_critic, scores
from infomin_jax.mi.held import shown
from infomin_jax.mi.partition import exponentials, log_mean

# Pairs whose combinations are all scored, as negatives.
_NEGATIVES = 1000
_LOWEST = -10.0  # nats relative to the partition
# Positives that are scored at a time.
_CHUNK = 4096
# Training has failed if it gains less than a share of the nats of the first
# fold, or if it fell by `_FELL` nats and gained none. It is then repeated once,
# at `_SLOWER` times the rate.
_FELL, _SLOWER = 0.5, 0.3
_AGAIN = 10_000  # added to the seed of the repetition
# Nats below zero from which a copula is left out: more than the noise of few
# pairs.
_WORSE = 0.05
# Most columns, or components, that networks read in addition.
_MOST_OTHERS = 128
# Most columns of a side with which networks also read ranks.
_FEW = 4

# name -> (critic, training); all but `distances` are added to the copula, if
# there is one.
NETWORKS: dict[str, tuple[Callable, dict]] = {
  "warped": (
    Warped,
    dict(steps=800, batch=256, rate=1e-2, negatives=1000, members=3),
  ),
  "joined": (
    Joined,
    dict(steps=1000, batch=64, rate=5e-3, negatives=200, members=3),
  ),
  "distances": (
    images.Distances,
    dict(
      steps=2000, batch=256, rate=5e-3, decay=0.2, negatives=1000, members=3
    ),
  ),
}


class Rows(NamedTuple):
  """Rows of a fold: to fit to, to choose by, and held out."""

  fitted: np.ndarray
  choose: np.ndarray
  held: np.ndarray


@dataclasses.dataclass(frozen=True)
class Data:
  """Both sides: columns of numbers, or images `[n, h, w, c]`."""

  x: Columns | np.ndarray
  y: Columns | np.ndarray

  @property
  def vectors(self) -> bool:
    """Returns whether both sides are columns."""
    return isinstance(self.x, Columns) and isinstance(self.y, Columns)

  @property
  def width(self) -> int:
    """Counts the columns of both sides."""
    both = [v for v in (self.x, self.y) if isinstance(v, Columns)]
    return sum(v.ranks.shape[1] for v in both)

  @functools.cached_property
  def components(self) -> tuple[dict, dict]:
    """The inputs of networks for images, of both sides."""
    return images.side(self.x), images.side(self.y)


def fit_models(names, data, rows, seed, least, like) -> dict[str, Critic]:
  """Fits the copula of a fold, and the critics of these names that apply.

  Args:
    names: names of the critics.
    data: all rows.
    rows: the rows of the fold.
    seed: seed of the fold.
    least: nats that a network must gain, or it is trained a second time.
    like: models of the first fold, whose settings are used again.
  """
  models: dict[str, Critic] = {}
  for name in dict.fromkeys(("copula", *names)):
    copula = models.get("copula")
    if name == "copula":
      model = _copula(data, rows)
    elif name == "mixture":
      model = _mixed(data, rows, seed, like and like.get(name))
    else:
      model = train(name, copula, data, rows, seed, least)
    if model is not None:
      models[name] = model
  return models


def _mixed(data, rows, seed, like) -> "Mixed | None":
  if not data.vectors:
    return None
  x, y = data.x.values, data.y.values
  fit, choose = rows.fitted, rows.choose
  like = like and like.mixture
  mixture = fit_mixture(x[fit], y[fit], x[choose], y[choose], seed, like)
  return None if mixture is None else Mixed(mixture, x, y)


def _copula(data, rows) -> "Copula | Nothing":
  if data.vectors:
    copula = fit_copula(data.x, data.y, rows.fitted, rows.choose)
    if not _misfits(copula, rows.fitted):
      return copula
  return Nothing()


def _misfits(copula, fitted) -> bool:
  """Returns whether the copula scores its own pairs worse than no critic.

  This occurs where few rows of a column differ: no copula has such ties.
  """
  return nats(copula, fitted) < -_WORSE - 10 / len(fitted)


class Nothing:
  """A critic whose scores are 0: for images, and where no copula fits."""

  normalized = False

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns zeros `[n]`."""
    return np.zeros(len(rows))

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns zeros `[n, n]`."""
    return np.zeros((len(rows), len(rows)))


@dataclasses.dataclass(frozen=True)
class Mixed:
  """A mixture of normals of the columns `x [n, dx]` and `y [n, dy]`."""

  mixture: Mixture
  x: np.ndarray
  y: np.ndarray
  normalized: bool = True

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns log ratios of row i with row i, nats `[n]`."""
    return self.mixture.pairs(self.x[rows], self.y[rows])

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns log ratios of all combinations, nats `[n, n]`."""
    return self.mixture.matrix(self.x[rows], self.y[rows])


@dataclasses.dataclass(frozen=True)
class Network:
  """A trained network, added to the copula.

  Attributes:
    critic: a module of `networks`.
    params: its parameters.
    curve: nats on the choosing pairs, during training.
    sides: inputs of all rows.
    highest: where scores are clipped; beyond it the network extrapolates.
  """

  critic: Any
  params: dict
  curve: list[float]
  sides: tuple
  highest: float = np.inf
  normalized: bool = False

  @property
  def gain(self) -> float:
    """Nats that training added on the choosing pairs."""
    return float(np.nanmax(self.curve) - self.curve[0])

  @property
  def failed(self) -> bool:
    """Returns whether training only lost nats."""
    fell = np.nanmin(self.curve) < self.curve[0] - _FELL
    return bool(fell) and self.gain == 0

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of row i with row i, `[n]`, in chunks of one shape."""
    chunks = []
    for i in range(0, len(rows), _CHUNK):
      chunk = rows[i : i + _CHUNK]
      # One shape is compiled once; the padding is cut off again.
      padded = np.pad(chunk, (0, _CHUNK - len(chunk)), "edge")
      chunks.append(np.asarray(self._apply("pairs", padded))[: len(chunk)])
    return np.minimum(np.concatenate(chunks), self.highest)

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Returns scores of all combinations, `[n, n]`."""
    return np.minimum(np.asarray(self._apply("__call__", rows)), self.highest)

  def _apply(self, method, rows):
    return scores(self.critic, method, self.params, _at(self.sides, rows))


def train(name, copula, data, rows, seed, least) -> Network:
  """Trains; a second time if that failed or gained less than `least` nats."""
  sides, start = _sides(name, data, copula)
  network = _train_once(name, start, sides, rows, seed, 1.0)
  if network.gain < least or network.failed:
    again = _train_once(name, start, sides, rows, seed + _AGAIN, _SLOWER)
    network = again if again.gain > network.gain else network
  fitted_scores = network.pairs(rows.fitted)
  return dataclasses.replace(
    network, highest=float(np.percentile(fitted_scores, HIGHEST))
  )


def _sides(name, data, copula):
  """Returns inputs of both sides, and the critic that the network adds to."""
  if name == "distances":
    return data.components, None
  if isinstance(copula, Copula):
    sides = copula.sides()
    dims = copula.u.shape[1], copula.v.shape[1]
    start = Parametric(dims, copula.form.nu)
  else:
    sides, start = ({}, {}), Parametric((0, 0), float("inf"))
  for side, values in zip(sides, (data.x, data.y), strict=True):
    if not isinstance(values, Columns):
      side["image"] = values.astype(np.float32)
      continue
    if "u" not in side:
      side["u"] = values.scores.astype(np.float32)
      side["q"] = np.sum(side["u"] ** 2, axis=1)
    elif copula.form.base != "all":
      # A dependence without correlation may be in other columns.
      side["others"] = values.first(_MOST_OTHERS).astype(np.float32)
    if values.ranks.shape[1] <= _FEW:
      # Edges of a support are sharp in ranks, and not in quantiles.
      side["ranks"] = values.ranks.astype(np.float32)
  return sides, start


def _train_once(name, start, sides, rows, seed, slower) -> Network:
  make, settings = NETWORKS[name]
  critic = make() if start is None else make(start)
  batch = min(settings["batch"], len(rows.fitted) // 2)
  changed = {"batch": batch, "rate": slower * settings["rate"]}
  fit = fit_critic(
    critic,
    _at(sides, rows.fitted),
    _at(sides, rows.choose),
    **{**settings, **changed},
    seed=seed,
  )
  return Network(critic, fit.params, fit.curve, sides)


def _at(sides, rows):
  return jax.tree.map(lambda a: a[rows], sides)


def score(model, rows) -> tuple[np.ndarray, np.ndarray]:
  """Returns scores of pairs, and of all combinations of the first ones.

  A pair scores at least `_LOWEST` nats above the partition. Otherwise one pair
  in the far tail of a wrong model would decide the mean. Negatives keep their
  scores: if most of them had the lowest one, many would seem to carry the
  partition, however few do.
  """
  count = len(rows) - len(rows) % 2
  pairs = model.pairs(rows)
  matrix = np.array(model.matrix(rows[: min(count, _NEGATIVES)]))
  level = 0.0 if model.normalized else log_mean(*exponentials(matrix))
  lowest = level + _LOWEST
  np.fill_diagonal(matrix, np.maximum(np.diagonal(matrix), lowest))
  return np.maximum(pairs, lowest), matrix


def nats(model, rows) -> float:
  """Returns the Donsker-Varadhan value of rows, in nats."""
  return shown(*score(model, rows), model.normalized)
