"""Chooses the copula: degrees of freedom, and which columns it is fitted to.

Pairs that the copulas were not fitted to decide.
"""

import dataclasses

import numpy as np

from infomin_jax.mi import columns
from infomin_jax.mi.columns import Columns
from infomin_jax.mi.critics.copula import (
  RIDGE,
  Copula,
  Form,
  canonical,
  log_ratio,
)
from infomin_jax.mi.partition import exponentials, log_mean

# Degrees of freedom that are tried.
FREEDOMS = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0, np.inf)
_SHRUNK = (0.1, 0.5)  # ridges that are tried if samples are few
_COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
# Pairs that are fitted to choose degrees of freedom; more would not change the
# choice.
_FEW = 4000
_MATRIX = 500  # pairs whose combinations measure the partition
# Below this many pairs, parts of all of them choose in turn, not only those
# that are set apart.
_SMALL, _PARTS = 2000, 4
# Nats, and nats per nat of the value, that a fit of all columns may lose to
# chance before fewer columns are tried.
_LOST = 0.005
# Nats, and nats per nat of the value, by which another form must exceed ranks.
_BETTER = 0.01


def fit_copula(
  x: Columns, y: Columns, fitted: np.ndarray, choose: np.ndarray
) -> Copula:
  """Returns the copula whose form scores highest on held-out pairs.

  Args:
    x: columns of all rows.
    y: their partners.
    fitted: rows to fit to.
    choose: rows that choose the form and the number of canonical correlations.
      The copula is then fitted to `fitted` and `choose` together. If rows are
      few, parts of both choose the form.
  """
  rows = np.concatenate([fitted, choose])
  splits = [(fitted, choose)]
  if len(rows) < _SMALL:
    parts = [rows[i::_PARTS] for i in range(_PARTS)]
    splits = [(np.setdiff1d(rows, part), part) for part in parts]
  form, rank = _chosen(x, y, splits)
  everything = np.arange(len(x.ranks))
  u, v, rho = canonical(x, y, rows, everything, form)
  return Copula(form, u, v, rho[:rank])


def _chosen(x, y, splits) -> tuple[Form, int]:
  """Returns the form that scores highest on new pairs, and its rank."""
  size = len(splits[0][0])
  few = [(fit[:_FEW], held) for fit, held in splits]
  dims = x.ranks.shape[1], y.ranks.shape[1]
  whole = columns.fit_whole(dims, size)
  cache = {}

  def nats(form, splits=splits):
    key = (form, len(splits[0][0]))
    if key not in cache:
      cache[key] = _judged(x, y, splits, form)
    return cache[key][0]

  bases = ["all"] * whole
  # Normal scores may fit far worse than quantiles of a t with heavier tails.
  most = _LOST * (1 + max(nats(Form()), 0.0)) if whole else 0.0
  if columns.lost(x, y, size) >= most:
    bases += [k for k in _COMPONENTS if k <= size // 8 and k < max(dims)]
    bases += ["correlated"]
  best = max((Form(base=base) for base in bases), key=nats)
  kinds = [dataclasses.replace(best, nu=nu) for nu in FREEDOMS]
  best = max(kinds, key=lambda form: nats(form, few))
  if len(bases) > 1:
    best = max(
      (dataclasses.replace(best, base=base) for base in bases), key=nats
    )
    ridges = (RIDGE, *_SHRUNK)
    best = max((dataclasses.replace(best, ridge=r) for r in ridges), key=nats)
  for change in ({"values": True}, {"again": True}):
    other = dataclasses.replace(best, **change)
    if nats(other) > nats(best) + _BETTER * (1 + abs(nats(best))):
      best = other
  # The best form may be known only from `few`; its rank comes from all rows.
  nats(best)
  return best, cache[best, size][1]


def _judged(x, y, splits, form) -> tuple[float, int]:
  """Returns `(nats, rank)` of the best rank, on pairs that were not fitted.

  The log partition is subtracted where it is positive, since the form is then
  no density ratio.
  """
  fits, each = [], []
  for fit, held in splits:
    u, v, rho = canonical(x, y, fit, held, form)
    fits.append((u, v, rho))
    each.append(np.mean(log_ratio(u, v, rho, form.nu), axis=0))
  least = min(map(len, each))
  mean = np.mean([ranks[:least] for ranks in each], axis=0)
  rank = int(np.argmax(mean))
  # A Gaussian copula without correlation is independence.
  if rank == 0 and np.isinf(form.nu):
    return 0.0, 0
  u, v, rho = fits[0]
  rows = np.arange(min(len(u), _MATRIX))
  matrix = Copula(form, u, v, rho[:rank]).matrix(rows)
  return float(mean[rank] - max(log_mean(*exponentials(matrix)), 0.0)), rank
