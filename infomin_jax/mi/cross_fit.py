"""Cross-fitting: no pair is scored by a critic that was fitted to it.

The pairs are split into folds. For each fold, critics are fitted to the pairs
of the other folds. Seven eighths of those pairs train the critics. One eighth
decides when training stops and which critic is used. The critics then score the
fold's own pairs.
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

# Fewest training pairs with which networks of columns are tried. Networks
# memorize fewer pairs.
_ENOUGH_TO_TRAIN = 400
# Most columns of both sides with which networks are tried. With more columns
# they find nothing, and they take minutes.
_WIDEST = 256
# Fewest choosing pairs with which critics are added up.
_ENOUGH_TO_BLEND = 200
# Nats by which a critic must exceed the copula to be worth its noise.
_GAIN = 0.01
# Share of the nats that training gained on the first fold. Training of another
# fold has failed if it gains less.
_SHARE = 0.5
CRITICS = ("auto", "copula", "mixture", *NETWORKS)


@dataclasses.dataclass(frozen=True)
class CrossFit:
  """The scores of all folds, and the critics that gave them.

  Attributes:
    critics: names of the critics whose sum scores the pairs.
    name: these critics, in words.
    held: the scores of each fold.
    tried: critic -> nats on the choosing pairs of the first fold.
    curves: network -> nats on these pairs after every 50 steps.
    rise: nats that the held-out pairs of the first fold gain if the critic is
      fitted to all training pairs instead of half of them.
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
  """Scores all pairs of x and y: columns `[n, d]` or images `[n, h, w, c]`.

  Args:
    x: floats; images in [0, 1].
    y: floats; images in [0, 1].
    folds: number of folds, at least 2.
    seed: seed of the folds, the initial parameters and the batches.
    critic: one of `CRITICS`. With `auto`, another critic than the copula, or a
      sum of critics, must beat the copula by more than chance. It must do so on
      pairs of the first fold that no critic was fitted to, and over all folds.
    say: called with a line of text before each step.

  Raises:
    UserError: an unknown critic.
  """
  lookup("critic", critic, dict.fromkeys(CRITICS))
  data = Data(*(columns(v) if v.ndim == 2 else v for v in (x, y)))
  parts = _split_rows(len(x), folds, seed)

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
  words = _in_words(names, first["copula"])
  return CrossFit(tuple(names), words, held, tried, curves, rise)


def _split_rows(count, folds, seed) -> list[Rows]:
  """Returns the rows of each fold: to fit to, to choose by, and held out."""
  order = np.random.default_rng(seed).permutation(count)
  parts = np.array_split(order, folds)
  rows = []
  for i, part in enumerate(parts):
    rest = np.concatenate([p for j, p in enumerate(parts) if j != i])
    # Folds may differ by one pair. Rows of equal length let all folds share one
    # compiled program.
    rest = rest[: count - len(parts[0])]
    choose = max(len(rest) // 8, 2)
    rows.append(Rows(rest[choose:], rest[:choose], part))
  return rows


def _candidates(data, critic, pairs) -> list[str]:
  if critic != "auto":
    return [critic] if critic != "copula" else []
  if not data.vectors:
    return ["distances"]
  if data.width > _WIDEST:
    return ["mixture"]
  return ["mixture", "warped"] if pairs >= _ENOUGH_TO_TRAIN else ["mixture"]


def _best(found, rows, asked) -> tuple[list[str], dict[str, float]]:
  """Returns the names of the best critics, and the nats of every critic.

  Args:
    found: critic -> model of the first fold.
    rows: the rows of that fold.
    asked: the critic that the caller wants, or `auto`.
  """
  scores = {name: score(model, rows.choose) for name, model in found.items()}
  tried = {
    name: shown(*scores[name], model.normalized)
    for name, model in found.items()
  }
  if asked != "auto":
    return [asked if asked in found else "copula"], tried
  copula_pairs, _ = scores["copula"]
  best, gain = "copula", _GAIN
  for name in found:
    pairs, matrix = scores[name]
    more = pairs - copula_pairs
    error = np.std(more) / np.sqrt(len(more))
    better = tried[name] - tried["copula"]
    if not found[name].normalized and found["copula"].normalized:
      # An unnormalized critic needs a measured partition. Its error is not in
      # the standard error of the pairs.
      error = max(error, _doubt(carried(exponentials(matrix)[0])))
    if better > max(gain, error):
      best, gain = name, better
  if len(rows.choose) < _ENOUGH_TO_BLEND:
    return [best], tried
  critics = {k: v for k, v in found.items() if not isinstance(v, Nothing)}
  names, blend = _sum(critics, rows)
  if len(names) < 2:
    return [best], tried
  better = shown(*score(blend, rows.choose), False) > tried[best] + _GAIN
  return (names if better else [best]), tried


def _sum(critics, rows) -> tuple[list[str], Blend]:
  """Returns the critics with a positive weight, and their weighted sum."""
  each = weights([*critics.values()], rows.choose)
  positive = {name: w for name, w in zip(critics, each, strict=True) if w > 0}
  return [*positive], Blend(
    [critics[name] for name in positive], [*positive.values()]
  )


def _doubt(effective) -> float:
  """Returns the nats by which a measured log partition may be off."""
  if effective < FEWEST:
    return np.inf
  return chance(effective) if effective < ENOUGH else 0.0


def _kept(fitted, names, parts, asked) -> tuple[list[str], list[Held]]:
  """Returns the critics to use, and the scores of all folds.

  The first fold has chosen critics by some of its pairs. Where few negatives
  dominate a partition, networks and sums can show any number of nats. So a
  density ratio (copula or mixture) takes their place if over all folds it shows
  as much, up to the doubt about that partition.
  """

  def score_all(names):
    return [
      _score(_joint(models, names, rows), rows)
      for models, rows in zip(fitted, parts, strict=True)
    ]

  held = score_all(names)
  if asked != "auto" or held[0].normalized:
    return names, held
  best = np.mean([donsker_varadhan(fold) for fold in held])
  best -= _doubt(min(log_partition(fold)[1] for fold in held))
  for name in ("copula", "mixture"):
    if not all(name in models and models[name].normalized for models in fitted):
      continue
    other = score_all([name])
    nats = np.mean([donsker_varadhan(fold) for fold in other])
    # `not` makes this true where a sum of critics gives NaN.
    if not best > nats:
      names, held, best = [name], other, nats
  return names, held


def _joint(found, names, rows) -> Critic:
  """Returns the critic of these names, or their weighted sum."""
  critics = {name: found[name] for name in names if name in found}
  if len(critics) < 2:
    return next(iter(critics.values()), found["copula"])
  positive, blend = _sum(critics, rows)
  return blend if positive else found["copula"]


def _in_words(names, copula) -> str:
  """Returns the critics of these names in words."""
  base = copula.form.words if isinstance(copula, Copula) else "no start"
  words = {"copula": base, "mixture": "mixture of normals"}
  words["distances"] = "network of distances"
  texts = [words.get(name, f"{base} + {name} network") for name in names]
  return texts[0] if len(texts) == 1 else "sum of " + ", ".join(texts)


def _score(model, rows) -> Held:
  pairs, matrix = score(model, rows.held)
  fitted = nats(model, rows.fitted)
  return Held(rows.held, pairs, matrix, fitted, model.normalized)


def _rise(names, data, rows, held, seed, first) -> float:
  """Returns nats of the held pairs, minus those with half as many to fit to."""
  half = rows._replace(fitted=rows.fitted[: len(rows.fitted) // 2])
  parts = [name for name in names if name not in NETWORKS]
  critics = fit_models(parts, data, half, seed, 0.0, first)
  # The half is repeated: with rows of equal length, networks share one compiled
  # program.
  half = rows._replace(fitted=np.resize(half.fitted, len(rows.fitted)))
  for name in names:
    if name in NETWORKS:
      critics[name] = train(name, critics["copula"], data, half, seed, 0.0)
  model = _joint(critics, names, half)
  before = shown(*score(model, rows.held), model.normalized)
  return donsker_varadhan(held) - before
