"""Cross-fitting: every pair is scored by a critic that has not seen it.

The pairs are dealt into folds. For each fold a critic is fitted to the other
folds (most of their pairs train it, an eighth tell when to stop and which
critic to take) and scores the fold's own pairs.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from infomin_jax.errors import lookup
from infomin_jax.estimation import images
from infomin_jax.estimation.blend import Blend, Critic, weights
from infomin_jax.estimation.columns import Columns, columns
from infomin_jax.estimation.copula import Copula, fit_copula
from infomin_jax.estimation.fit import HIGHEST, fit_critic, scores
from infomin_jax.estimation.held import Held, donsker_varadhan, shown
from infomin_jax.estimation.mixture import Mixture, fit_mixture
from infomin_jax.estimation.networks import Joined, Parametric, Warped
from infomin_jax.estimation.partition import ENOUGH, carried, exponentials

# Pairs to fit to, from which networks of columns are tried: of fewer they learn
# by heart.
_ENOUGH_TO_TRAIN = 400
# Pairs that choose, from which critics are added up.
_ENOUGH_TO_BLEND = 200
# Pairs of a fold of which all combinations are scored, as negatives.
_NEGATIVES = 1000
# Positives that are scored at once.
_CHUNK = 4096
# Nats that a network must add to the copula to be worth its noise.
_GAIN = 0.01
# Training failed where it gains less than this share of the first fold's nats,
# or fell by so many nats and gained none. It is tried once more, at this rate.
_SHARE, _FELL, _SLOWER = 0.5, 0.5, 0.3
_AGAIN = 10_000  # added to the seed then
# Nats below zero from which a copula is left out: more than the noise of few.
_WORSE = 0.05
_MOST_OTHERS = 128  # columns, or components, that networks read as well
# Columns of a side up to which networks read ranks too.
_FEW = 4

# What is added to the copula, or for images alone: name -> (critic, training).
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
CRITICS = ("auto", "copula", "mixture", *NETWORKS)


@dataclasses.dataclass(frozen=True)
class CrossFit:
  """All folds.

  Attributes:
    critics: names of those whose sum is the critic.
    name: of it, in words.
    held: what each fold gave.
    tried: critic -> nats on the first fold's choosing pairs.
    curves: network -> nats on these pairs after each 50 steps.
    rise: nats that the first fold's pairs gain where the critic is fitted to
      all others instead of half of them.
  """

  critics: tuple[str, ...]
  name: str
  held: list[Held]
  tried: dict[str, float]
  curves: dict[str, list[float]]
  rise: float = 0.0


class Rows(NamedTuple):
  """Rows of a fold: to fit to, to choose by, and held back."""

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
    return isinstance(self.x, Columns) and isinstance(self.y, Columns)

  @functools.cached_property
  def components(self) -> tuple[dict, dict]:
    """Both sides as networks for images read them."""
    x, y = (v.values if isinstance(v, Columns) else v for v in (self.x, self.y))
    return images.side(x), images.side(y)


def cross_fit(
  x: np.ndarray,
  y: np.ndarray,
  *,
  folds: int = 5,
  seed: int = 0,
  critic: str = "auto",
  say: Callable[[str], None] = lambda text: None,
) -> CrossFit:
  """Scores all pairs of `x [n, dx]` or images `[n, h, w, c]`, and y likewise.

  Args:
    x: floats; images in [0, 1].
    y: floats; images in [0, 1].
    folds: at least 2.
    seed: of the folds, the initial parameters and the batches.
    critic: one of `CRITICS`. With `auto`, another critic than the copula is
      taken if on the first fold it beats the copula, on pairs that neither was
      fitted to, by more than the standard error of the difference, and enough
      negatives carry its partition for that to be known.
    say: told what is being done.
  """
  lookup("critic", critic, dict.fromkeys(CRITICS))
  data = Data(*(columns(v) if v.ndim == 2 else v for v in (x, y)))
  parts = _dealt(len(x), folds, seed)

  def models(i, names, least=0.0, like=None):
    say(f"fold {i + 1} of {folds}: {', '.join(('copula', *names))}")
    return _models(names, data, parts[i], seed * folds + i, least, like)

  first = models(0, _candidates(data, critic, len(parts[0].fitted)))
  names, tried = _best(first, parts[0], critic)
  networks = {k: v for k, v in first.items() if isinstance(v, Network)}
  gains = [model.gain for name, model in networks.items() if name in names]
  held = [_score(_joint(first, names, parts[0]), parts[0])]
  say("half of the pairs")
  rise = _rise(names, data, parts[0], held[0], seed * folds, first)
  for i in range(1, folds):
    found = models(i, names, _SHARE * max(gains, default=0.0), first)
    held.append(_score(_joint(found, names, parts[i]), parts[i]))
  curves = {name: model.curve for name, model in networks.items()}
  words = _named(names, first["copula"])
  return CrossFit(tuple(names), words, held, tried, curves, rise)


def _models(names, data, rows, seed, least, like) -> dict[str, Critic]:
  """The copula of a fold, and the critics of these names, where they fit.

  Args:
    names: of the critics.
    data: all of it.
    rows: of the fold.
    seed: of the fold.
    least: nats that a network must gain, or it is trained once more.
    like: models of the first fold, whose settings are taken over.
  """
  found: dict[str, Critic] = {}
  for name in dict.fromkeys(("copula", *names)):
    copula = found.get("copula")
    if name == "copula":
      model = _copula(data, rows)
    elif name == "mixture":
      model = _mixed(data, rows, seed, like and like.get(name))
    else:
      model = _train(name, copula, data, rows, seed, least)
    if model is not None:
      found[name] = model
  return found


def _dealt(count, folds, seed) -> list[Rows]:
  order = np.random.default_rng(seed).permutation(count)
  parts = np.array_split(order, folds)
  found = []
  for i, part in enumerate(parts):
    rest = np.concatenate([p for j, p in enumerate(parts) if j != i])
    # The folds may differ by one pair; of one length, all share a program.
    rest = rest[: count - len(parts[0])]
    choose = max(len(rest) // 8, 2)
    found.append(Rows(rest[choose:], rest[:choose], part))
  return found


def _candidates(data, critic, pairs) -> list[str]:
  if critic != "auto":
    return [critic] if critic != "copula" else []
  if not data.vectors:
    return ["distances"]
  return ["mixture", "warped"] if pairs >= _ENOUGH_TO_TRAIN else ["mixture"]


def _mixed(data, rows, seed, like) -> "Mixed | None":
  if not data.vectors:
    return None
  x, y = data.x.values, data.y.values
  fit, choose = rows.fitted, rows.choose
  like = like and like.mixture
  found = fit_mixture(x[fit], y[fit], x[choose], y[choose], seed, like)
  return None if found is None else Mixed(found, x, y)


def _copula(data, rows) -> "Copula | Nothing":
  if data.vectors:
    found = fit_copula(data.x, data.y, rows.fitted, rows.choose)
    if not _misfits(found, rows.fitted):
      return found
  return Nothing()


def _misfits(copula, fitted) -> bool:
  """Whether the copula is worse than no critic on the pairs it was fitted to.

  So it is where few rows of a column differ: no copula has such ties.
  """
  nats = _nats(copula, fitted)
  return nats < -_WORSE - 10 / len(fitted)


class Nothing:
  """A critic that scores nothing: images, and where no copula fits."""

  normalised = False

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Zeros `[n]`."""
    return np.zeros(len(rows))

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Zeros `[n, n]`."""
    return np.zeros((len(rows), len(rows)))


@dataclasses.dataclass(frozen=True)
class Mixed:
  """A mixture of normals, of columns `x [n, dx]` and `y [n, dy]`."""

  mixture: Mixture
  x: np.ndarray
  y: np.ndarray
  normalised: bool = True

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Log ratios, `[n]`."""
    return self.mixture.pairs(self.x[rows], self.y[rows])

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Log ratios, `[n, n]`."""
    return self.mixture.matrix(self.x[rows], self.y[rows])


@dataclasses.dataclass(frozen=True)
class Network:
  """A trained network, added to the copula.

  Attributes:
    critic: of `networks`.
    params: its parameters.
    curve: nats on the choosing pairs.
    sides: of all rows.
    highest: where scores end; beyond, it extrapolates.
  """

  critic: Any
  params: dict
  curve: list[float]
  sides: tuple
  highest: float = np.inf
  normalised: bool = False

  @property
  def gain(self) -> float:
    """Nats that training added on the choosing pairs."""
    return float(np.nanmax(self.curve) - self.curve[0])

  @property
  def failed(self) -> bool:
    """Whether training only lost."""
    fell = np.nanmin(self.curve) < self.curve[0] - _FELL
    return bool(fell) and self.gain == 0

  def pairs(self, rows: np.ndarray) -> np.ndarray:
    """Scores of row i with row i, `[n]`, in chunks of one shape."""
    found = []
    for i in range(0, len(rows), _CHUNK):
      some = rows[i : i + _CHUNK]
      padded = np.pad(some, (0, _CHUNK - len(some)), "edge")
      found.append(np.asarray(self._apply("pairs", padded))[: len(some)])
    return np.minimum(np.concatenate(found), self.highest)

  def matrix(self, rows: np.ndarray) -> np.ndarray:
    """Scores of all combinations, `[n, n]`."""
    return np.minimum(np.asarray(self._apply("__call__", rows)), self.highest)

  def _apply(self, method, rows):
    return scores(self.critic, method, self.params, _at(self.sides, rows))


def _train(name, copula, data, rows, seed, least) -> Network:
  """Trains, and once more if that failed or gained less than `least` nats."""
  sides, start = _sides(name, data, copula)
  found = _train_once(name, start, sides, rows, seed, 1.0)
  if found.gain < least or found.failed:
    again = _train_once(name, start, sides, rows, seed + _AGAIN, _SLOWER)
    found = again if again.gain > found.gain else found
  known = found.pairs(rows.fitted)
  return dataclasses.replace(
    found, highest=float(np.percentile(known, HIGHEST))
  )


def _sides(name, data, copula):
  """What networks read of both sides, all rows, and the critic they add to."""
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
      # A dependence that is no correlation may lie in other columns.
      side["others"] = values.first(_MOST_OTHERS).astype(np.float32)
    if values.ranks.shape[1] <= _FEW:
      # Edges of a support are sharp in ranks, in quantiles they are not.
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


def _scores(model, rows) -> tuple[np.ndarray, np.ndarray]:
  """Scores of pairs, and of all combinations of the first."""
  count = len(rows) - len(rows) % 2
  return model.pairs(rows), model.matrix(rows[: min(count, _NEGATIVES)])


def _nats(model, rows) -> float:
  """Donsker-Varadhan of rows."""
  return shown(*_scores(model, rows), model.normalised)


def _best(found, rows, asked) -> tuple[list[str], dict[str, float]]:
  """The critics to go on with, and nats of all.

  Args:
    found: critic -> model of the first fold.
    rows: of that fold.
    asked: the critic that the caller wants, or `auto`.
  """
  looks = {name: _scores(model, rows.choose) for name, model in found.items()}
  tried = {
    name: shown(*looks[name], model.normalised) for name, model in found.items()
  }
  if asked != "auto":
    return [asked if asked in found else "copula"], tried
  start, _ = looks["copula"]
  best, gain = "copula", _GAIN
  for name in found:
    pairs, matrix = looks[name]
    more = pairs - start
    error = np.std(more) / np.sqrt(len(more))
    better = tried[name] - tried["copula"]
    known = carried(exponentials(matrix)[0]) >= ENOUGH
    if (known or found[name].normalised) and better > max(gain, error):
      best, gain = name, better
  if best == "copula" or len(rows.choose) < _ENOUGH_TO_BLEND:
    return [best], tried
  if carried(exponentials(looks[best][1])[0]) < ENOUGH:
    return [best], tried
  some = [name for name in found if not isinstance(found[name], Nothing)]
  size = weights([found[name] for name in some], rows.choose)
  blend = [name for name, w in zip(some, size, strict=True) if w > 0]
  return (blend if best in blend else [best]), tried


def _joint(found, names, rows) -> Critic:
  """The critic of these names, or their sum."""
  critics = [found[name] for name in names if name in found]
  if len(critics) < 2:
    return critics[0] if critics else found["copula"]
  size = weights(critics, rows.choose)
  kept = [(c, w) for c, w in zip(critics, size, strict=True) if w > 0]
  if not kept:
    return found["copula"]
  return Blend([c for c, _ in kept], [w for _, w in kept])


def _named(names, copula) -> str:
  """The critics of these names, in words."""
  base = copula.form.words if isinstance(copula, Copula) else "no start"
  words = {"copula": base, "mixture": "mixture of normals"}
  words["distances"] = "network of distances"
  known = [words.get(name, f"{base} + {name} network") for name in names]
  return known[0] if len(known) == 1 else "sum of " + ", ".join(known)


def _score(model, rows) -> Held:
  pairs, matrix = _scores(model, rows.held)
  fitted = _nats(model, rows.fitted)
  return Held(rows.held, pairs, matrix, fitted, model.normalised)


def _rise(names, data, rows, held, seed, first) -> float:
  """Nats of the held pairs less those of critics fitted to half as many."""
  half = rows._replace(fitted=rows.fitted[: len(rows.fitted) // 2])
  parts = [name for name in names if name not in NETWORKS]
  found = _models(parts, data, half, seed, 0.0, first)
  # Twice the half: of one length, networks share a program.
  half = rows._replace(fitted=np.resize(half.fitted, len(rows.fitted)))
  for name in names:
    if name in NETWORKS:
      found[name] = _train(name, found["copula"], data, half, seed, 0.0)
  model = _joint(found, names, half)
  before = shown(*_scores(model, rows.held), model.normalised)
  return donsker_varadhan(held) - before
