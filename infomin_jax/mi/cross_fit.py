"""Cross-fitting: every pair is scored by a critic that has not seen it.

The pairs are dealt into folds. For each fold a critic is fitted to the other
folds (most of their pairs train it, an eighth tell when to stop and which
critic to take) and scores the fold's own pairs.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from infomin_jax.errors import lookup
from infomin_jax.mi.columns import columns
from infomin_jax.mi.critics.blend import Blend, Critic, weights
from infomin_jax.mi.critics.copula import Copula
from infomin_jax.mi.critics.models import (
  NETWORKS,
  Data,
  Network,
  Nothing,
  Rows,
  fit_models,
  nats,
  score,
  train,
)
from infomin_jax.mi.held import (
  Held,
  donsker_varadhan,
  log_partition,
  shown,
)
from infomin_jax.mi.partition import (
  ENOUGH,
  FEWEST,
  carried,
  chance,
  exponentials,
)

# Pairs to fit to, from which networks of columns are tried: of fewer they learn
# by heart.
_ENOUGH_TO_TRAIN = 400
# Columns of both sides, up to which networks are tried: they find nothing in
# more, and take minutes.
_WIDEST = 256
# Pairs that choose, from which critics are added up.
_ENOUGH_TO_BLEND = 200
# Nats that a critic must show more than the copula to be worth its noise.
_GAIN = 0.01
# Of the nats that training gained on the first fold: with less, it failed.
_SHARE = 0.5
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
    critic: one of `CRITICS`. With `auto`, another critic than the copula, or a
      sum, is taken if on pairs of the first fold that no critic was fitted to
      it beats the copula by more than chance, and still does in all folds.
    say: told what is being done.
  """
  lookup("critic", critic, dict.fromkeys(CRITICS))
  data = Data(*(columns(v) if v.ndim == 2 else v for v in (x, y)))
  parts = _dealt(len(x), folds, seed)

  def models(i, names, least=0.0, like=None):
    say(f"fold {i + 1} of {folds}: {', '.join(('copula', *names))}")
    return fit_models(names, data, parts[i], seed * folds + i, least, like)

  first = models(0, _candidates(data, critic, len(parts[0].fitted)))
  names, tried = _best(first, parts[0], critic)
  networks = {k: v for k, v in first.items() if isinstance(v, Network)}
  gains = [model.gain for name, model in networks.items() if name in names]
  fitted = [first]
  for i in range(1, folds):
    fitted.append(models(i, names, _SHARE * max(gains, default=0.0), first))
  names, held = _kept(fitted, names, parts, critic)
  say("half of the pairs")
  rise = _rise(names, data, parts[0], held[0], seed * folds, first)
  curves = {name: model.curve for name, model in networks.items()}
  words = _named(names, first["copula"])
  return CrossFit(tuple(names), words, held, tried, curves, rise)


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
  if data.width > _WIDEST:
    return ["mixture"]
  return ["mixture", "warped"] if pairs >= _ENOUGH_TO_TRAIN else ["mixture"]


def _best(found, rows, asked) -> tuple[list[str], dict[str, float]]:
  """The critics to go on with, and nats of all.

  Args:
    found: critic -> model of the first fold.
    rows: of that fold.
    asked: the critic that the caller wants, or `auto`.
  """
  looks = {name: score(model, rows.choose) for name, model in found.items()}
  tried = {
    name: shown(*looks[name], model.normalized) for name, model in found.items()
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
    if not found[name].normalized and found["copula"].normalized:
      error = max(error, _doubt(carried(exponentials(matrix)[0])))
    if better > max(gain, error):
      best, gain = name, better
  if len(rows.choose) < _ENOUGH_TO_BLEND:
    return [best], tried
  some = {k: v for k, v in found.items() if not isinstance(v, Nothing)}
  names, blend = _sum(some, rows)
  if len(names) < 2:
    return [best], tried
  better = shown(*score(blend, rows.choose), False) > tried[best] + _GAIN
  return (names if better else [best]), tried


def _sum(critics, rows) -> tuple[list[str], Blend]:
  """The critics that have a weight, and their sum."""
  size = weights([*critics.values()], rows.choose)
  kept = {name: w for name, w in zip(critics, size, strict=True) if w > 0}
  return [*kept], Blend([critics[name] for name in kept], [*kept.values()])


def _doubt(effective) -> float:
  """Nats that a critic's own partition may be off, where few carry it."""
  if effective < FEWEST:
    return np.inf
  return chance(effective) if effective < ENOUGH else 0.0


def _kept(fitted, names, parts, asked) -> tuple[list[str], list[Held]]:
  """The critics that stay, and what they show of all folds.

  The first fold chose by some of its pairs. If over all folds a ratio of
  densities shows as much, or as much but for the doubt of a partition that few
  negatives carry, it takes the place of a network or of a sum: at many nats
  these can show any number.
  """

  def of(names):
    return [
      _score(_joint(found, names, rows), rows)
      for found, rows in zip(fitted, parts, strict=True)
    ]

  held = of(names)
  if asked != "auto" or held[0].normalized:
    return names, held
  best = np.mean([donsker_varadhan(fold) for fold in held])
  best -= _doubt(min(log_partition(fold)[1] for fold in held))
  for name in ("copula", "mixture"):
    if not all(name in found and found[name].normalized for found in fitted):
      continue
    other = of([name])
    nats = np.mean([donsker_varadhan(fold) for fold in other])
    # Also where a sum is not a number.
    if not best > nats:
      names, held, best = [name], other, nats
  return names, held


def _joint(found, names, rows) -> Critic:
  """The critic of these names, or their sum."""
  critics = {name: found[name] for name in names if name in found}
  if len(critics) < 2:
    return next(iter(critics.values()), found["copula"])
  kept, blend = _sum(critics, rows)
  return blend if kept else found["copula"]


def _named(names, copula) -> str:
  """The critics of these names, in words."""
  base = copula.form.words if isinstance(copula, Copula) else "no start"
  words = {"copula": base, "mixture": "mixture of normals"}
  words["distances"] = "network of distances"
  known = [words.get(name, f"{base} + {name} network") for name in names]
  return known[0] if len(known) == 1 else "sum of " + ", ".join(known)


def _score(model, rows) -> Held:
  pairs, matrix = score(model, rows.held)
  fitted = nats(model, rows.fitted)
  return Held(rows.held, pairs, matrix, fitted, model.normalized)


def _rise(names, data, rows, held, seed, first) -> float:
  """Nats of the held pairs less those of critics fitted to half as many."""
  half = rows._replace(fitted=rows.fitted[: len(rows.fitted) // 2])
  parts = [name for name in names if name not in NETWORKS]
  found = fit_models(parts, data, half, seed, 0.0, first)
  # Twice the half: of one length, networks share a program.
  half = rows._replace(fitted=np.resize(half.fitted, len(rows.fitted)))
  for name in names:
    if name in NETWORKS:
      found[name] = train(name, found["copula"], data, half, seed, 0.0)
  model = _joint(found, names, half)
  before = shown(*score(model, rows.held), model.normalized)
  return donsker_varadhan(held) - before
