"""Estimators of mutual information: every one is `scores -> nats`.

Add one: write the function in a file below and enter it in `ESTIMATORS` and
`PROPERTIES`; configs name it; `tests/estimators/estimators_test.py` has a row
for each.

  scores.py       the contract: arrays, `Factored`, mask, weights, reductions
  lower.py        lower bounds, and estimates near to one
  multisample.py  lower bounds whose baseline is made of the batch
  upper.py        upper bounds, for scores that are log densities
  divergences.py  other divergences than KL, with Deep InfoMax's measures
  conditional.py  estimates from log densities of pairs; `densities.py` fits
  nonneural.py    without a critic: `(x, y) -> nats`, in `NONNEURAL`
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax

from infomin_jax.estimators.conditional import (
  barber_agakov,
  difference_of_entropies,
  variational_upper,
)
from infomin_jax.estimators.divergences import (
  chi_squared,
  gan,
  hellinger,
  jsd,
  reverse_kl,
  wasserstein,
)
from infomin_jax.estimators.lower import (
  dv,
  infonce,
  infonce_ceiling,
  js_nwj,
  mine,
  nwj,
  smile,
  tuba,
)
from infomin_jax.estimators.multisample import i_alpha, tnce
from infomin_jax.estimators.nonneural import NONNEURAL
from infomin_jax.estimators.scores import Factored
from infomin_jax.estimators.upper import club, leave_one_out

ESTIMATORS: dict[str, Callable[..., jax.Array]] = {
  "chi_squared": chi_squared,
  "club": club,
  "dv": dv,
  "gan": gan,
  "hellinger": hellinger,
  "i_alpha": i_alpha,
  "infonce": infonce,
  "infonce_columns": functools.partial(infonce, anchors="columns"),
  "infonce_symmetric": functools.partial(infonce, anchors="both"),
  "js_nwj": js_nwj,
  "jsd": jsd,
  "leave_one_out": leave_one_out,
  "nwj": nwj,
  "reverse_kl": reverse_kl,
  "smile": smile,
  "tnce": tnce,
  "tuba": tuba,
  "wasserstein": wasserstein,
}


class Properties(NamedTuple):
  """What an estimate says about I(X; Y).

  Attributes:
    direction: `lower` or `upper` bound, in expectation, or `neither`.
    shift: what to add to `log p(y|x)/p(y)` for the best critic; None where
      that is no shift of it, or no critic is best.
  """

  direction: str
  shift: float | None


PROPERTIES = {
  "chi_squared": Properties("neither", None),
  "club": Properties("upper", 0.0),
  "dv": Properties("neither", 0.0),
  "gan": Properties("neither", 0.0),
  "hellinger": Properties("neither", None),
  "i_alpha": Properties("lower", 0.0),
  "infonce": Properties("lower", 0.0),
  "infonce_columns": Properties("lower", 0.0),
  "infonce_symmetric": Properties("lower", 0.0),
  "js_nwj": Properties("lower", 0.0),
  "jsd": Properties("neither", 0.0),
  "leave_one_out": Properties("upper", 0.0),
  "nwj": Properties("lower", 1.0),
  "reverse_kl": Properties("neither", 0.0),
  "smile": Properties("neither", 0.0),
  "tnce": Properties("lower", 0.0),
  "tuba": Properties("lower", 0.0),
  "wasserstein": Properties("neither", None),
}

__all__ = [
  "ESTIMATORS",
  "NONNEURAL",
  "PROPERTIES",
  "Factored",
  "Properties",
  "barber_agakov",
  "chi_squared",
  "club",
  "difference_of_entropies",
  "dv",
  "gan",
  "hellinger",
  "i_alpha",
  "infonce",
  "infonce_ceiling",
  "js_nwj",
  "jsd",
  "leave_one_out",
  "mine",
  "nwj",
  "reverse_kl",
  "smile",
  "tnce",
  "tuba",
  "variational_upper",
  "wasserstein",
]
