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
import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import lookup
from infomin_jax.estimation.copula import Copula, fit_copula, marginal_side
from infomin_jax.estimation.fit import HIGHEST, fit_critic
from infomin_jax.estimation.networks import Joined, Parametric, Warped
from infomin_jax.estimation.partition import ENOUGH, carried, exponentials
from infomin_jax.estimators.scores import log_mean_exp

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
# Dimensions of x and y together up to which `joined` is tried.
_FEW = 4

# What can be added to the copula: name -> (critic, training settings).
NETWORKS: dict[str, tuple[Callable, dict]] = {
  "warped": (Warped, dict(steps=800, batch=256, rate=1e-2, negatives=1000)),
  "joined": (Joined, dict(steps=1000, batch=64, rate=5e-3, negatives=200)),
}
CRITICS = ("auto", "copula", *NETWORKS)


@dataclasses.dataclass(frozen=True)
class Held:
  """The scores of one fold, by the critic that was fitted to the others.

  Attributes:
    rows: which pairs they are, `[n]`.
    pairs: their scores, `[n]`.
    matrix: scores of all combinations of the first m, `[m, m]`.
    fitted_nats: Donsker-Varadhan value of the pairs it was fitted to.
    copula: of the fold; None for images, and where it misfits.
    normalised: whether the scores are a ratio of densities, a copula's without
      a network, whose partition is 1.
  """

  rows: np.ndarray
  pairs: np.ndarray
  matrix: np.ndarray
  fitted_nats: float
  copula: Copula | None
  normalised: bool


@dataclasses.dataclass(frozen=True)
class CrossFit:
  """All folds.

  Attributes:
    critic: `copula`, or the network that was added to it.
    held: what each fold gave.
    tried: critic -> nats on the first fold's choosing pairs.
    curves: network -> nats on these pairs after each 50 steps.
  """

  critic: str
  held: list[Held]
  tried: dict[str, float]
  curves: dict[str, list[float]]


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
    critic: one of `CRITICS`. With `auto`, a network is taken if on the first
      fold it beats the copula, on pairs that neither was fitted to, by more
      than the standard error of the difference, and enough negatives carry its
      partition for that to be known.
    say: told what is being done.
  """
  lookup("critic", critic, dict.fromkeys(CRITICS))
  order = np.random.default_rng(seed).permutation(len(x))
  parts = np.array_split(order, folds)
  names = _candidates(x, y, critic)
  held, tried, curves, best, least = [], {}, {}, "copula", 0.0
  for i, part in enumerate(parts):
    rest = np.concatenate([p for j, p in enumerate(parts) if j != i])
    # The folds may differ by one pair; of one length, all share a program.
    rest = rest[: len(x) - len(parts[0])]
    choose = max(len(rest) // 8, 2)
    rows = {"choose": rest[:choose], "fitted": rest[choose:], "held": part}
    say(f"fold {i + 1} of {folds}: copula")
    copula, start, sides = _start(x, y, rows)
    trained = {"copula": _Trained(start, {}, [])}
    for name in names:
      say(f"fold {i + 1} of {folds}: {name}")
      trained[name] = _train(name, start, sides, seed * folds + i, least)
    if i == 0:
      looks = {name: _look(found, sides) for name, found in trained.items()}
      tried = {name: _nats(*look) for name, look in looks.items()}
      curves = {name: trained[name].curve for name in names}
      best = _best(looks, tried, critic)
      names = [best] if best in NETWORKS else []
      least = _SHARE * trained[best].gain
    held.append(_score(trained[best], sides, part, copula))
  return CrossFit(best, held, tried, curves)


def _candidates(x, y, critic):
  if critic != "auto":
    return [critic] if critic in NETWORKS else []
  if x.ndim == y.ndim == 2 and x.shape[1] + y.shape[1] <= _FEW:
    return ["warped", "joined"]
  return ["warped"]


def _start(x, y, rows):
  """The copula of a fold, as a critic, and the sides of all its pairs."""
  fitted, choose = rows["fitted"], rows["choose"]
  if x.ndim == y.ndim == 2:
    copula = fit_copula(x[fitted], y[fitted], x[choose], y[choose])
    start = Parametric((x.shape[1], y.shape[1]), float(copula.nu))
    sides = {name: copula.sides(x[r], y[r]) for name, r in rows.items()}
    if _misfits(start, sides["fitted"]):
      return None, start, {name: _bare(both) for name, both in sides.items()}
    return copula, start, sides

  def side(values, r):
    if values.ndim == 2:
      return marginal_side(values[fitted], values[r])
    return {"image": values[r].astype(np.float32)}

  sides = {name: (side(x, r), side(y, r)) for name, r in rows.items()}
  return None, Parametric((0, 0), float("inf")), sides


def _misfits(start, sides) -> bool:
  """Whether the copula is worse than no critic on the pairs it was fitted to.

  So it is where few rows of a column differ: no copula has such ties.
  """
  critic = _Trained(start, {}, [])
  nats = _nats(_pairs(critic, sides), _matrix(critic, _some(sides)))
  return nats < -_WORSE - 10 / len(_first(sides))


def _bare(sides):
  """The sides without a copula's terms, which scores nothing then."""
  return tuple({k: side[k] for k in ("ranks", "u", "q")} for side in sides)


class _Trained(NamedTuple):
  """A critic with its parameters; the copula has none and no curve."""

  critic: Any
  params: dict
  curve: list[float]

  @property
  def gain(self) -> float:
    """Nats that training added on the choosing pairs."""
    return float(np.nanmax(self.curve) - self.curve[0]) if self.curve else 0.0

  @property
  def failed(self) -> bool:
    """Whether training only lost."""
    fell = bool(self.curve) and np.nanmin(self.curve) < self.curve[0] - _FELL
    return fell and self.gain == 0


def _train(name, start, sides, seed, least) -> _Trained:
  """Trains, and once more if that failed or gained less than `least` nats."""
  found = _train_once(name, start, sides, seed, 1.0)
  if found.gain >= least and not found.failed:
    return found
  again = _train_once(name, start, sides, seed + _AGAIN, _SLOWER)
  return again if again.gain > found.gain else found


def _train_once(name, start, sides, seed, slower) -> _Trained:
  make, settings = NETWORKS[name]
  batch = min(settings["batch"], len(_first(sides["fitted"])) // 2)
  changed = {"batch": batch, "rate": slower * settings["rate"]}
  fit = fit_critic(
    make(start),
    sides["fitted"],
    sides["choose"],
    **{**settings, **changed},
    seed=seed,
  )
  return _Trained(make(start), fit.params, fit.curve)


def _look(trained, sides) -> tuple[np.ndarray, np.ndarray]:
  """Returns scores of the choosing pairs, and of combinations of some."""
  highest = _highest(trained, _pairs(trained, sides["fitted"]))
  pairs = _pairs(trained, sides["choose"])
  matrix = _matrix(trained, _some(sides["choose"]))
  return np.minimum(pairs, highest), np.minimum(matrix, highest)


def _highest(trained, fitted) -> float:
  """Returns where scores end, given those of the fitted pairs."""
  return float(np.percentile(fitted, HIGHEST)) if trained.params else np.inf


def _nats(pairs, matrix) -> float:
  """Donsker-Varadhan of all pairs, with the combinations of some."""
  return float(np.mean(pairs) - log_mean_exp(jnp.asarray(matrix)))


def _best(looks, tried, asked) -> str:
  """The critic to go on with.

  Args:
    looks: critic -> scores of the choosing pairs, and of combinations of some.
    tried: critic -> nats.
    asked: the critic that the caller wants, or `auto`.
  """
  if asked != "auto":
    return asked
  start, _ = looks["copula"]
  best, gain = "copula", _GAIN
  for name in NETWORKS:
    if name in looks:
      pairs, matrix = looks[name]
      more = pairs - start
      error = np.std(more) / np.sqrt(len(more))
      better = tried[name] - tried["copula"]
      known = carried(exponentials(matrix)[0]) >= ENOUGH
      if known and better > max(gain, error):
        best, gain = name, better
  return best


def _score(trained, sides, part, copula) -> Held:
  count = len(part) - len(part) % 2

  def scores(which):
    some = _some(sides[which], count)
    return _pairs(trained, sides[which]), _matrix(trained, some)

  fitted, fitted_matrix = scores("fitted")
  pairs, matrix = scores("held")
  highest = _highest(trained, fitted)
  fitted, fitted_matrix, pairs, matrix = (
    np.minimum(a, highest) for a in (fitted, fitted_matrix, pairs, matrix)
  )
  partition = float(log_mean_exp(jnp.asarray(fitted_matrix)))
  nats = float(np.mean(fitted)) - partition
  normalised = copula is not None and not trained.params
  return Held(part, pairs, matrix, nats, copula, normalised)


def _pairs(trained, sides) -> np.ndarray:
  """Scores of row i with row i, `[n]`, in chunks of one shape."""
  count = len(_first(sides))
  found = []
  for i in range(0, count, _CHUNK):
    some = jax.tree.map(lambda a, i=i: _padded(a[i : i + _CHUNK]), sides)
    found.append(
      np.asarray(_apply(trained.critic, "pairs", trained.params, some))
    )
  return np.concatenate(found)[:count]


def _matrix(trained, sides) -> np.ndarray:
  return np.asarray(_apply(trained.critic, "__call__", trained.params, sides))


def _some(sides, count: int = _NEGATIVES):
  """The first rows of both sides, of which all combinations are scored."""
  return jax.tree.map(lambda a: a[: min(count, _NEGATIVES)], sides)


def _first(sides):
  return jax.tree.leaves(sides)[0]


def _padded(a):
  return np.pad(a, [(0, _CHUNK - len(a))] + [(0, 0)] * (a.ndim - 1), "edge")


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(network, method, params, sides):
  return network.apply(params, *sides, method=method)
