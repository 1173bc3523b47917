"""Estimators of mutual information: `scores -> nats`.

To add one, write the function in one of the files below and enter it in
`ESTIMATORS` as a `Bound`; a config then names it.
`tests/estimators/estimators_test.py` has a table of truths with a row each.

  scores.py       the contract: arrays, `Factored`, mask, reductions
  lower.py        lower bounds, and estimates that are close to one
  multisample.py  lower bounds with a baseline taken from the batch
  upper.py        upper bounds, for scores that are log densities
  divergences.py  divergences other than KL, with the measures of Deep InfoMax
  conditional.py  estimates from log densities of pairs; `densities.py` fits
  nonneural.py    without a critic: `(x, y) -> nats`, in `NONNEURAL`
"""

import dataclasses
import functools
from collections.abc import Callable

import jax

from infomin_jax.errors import lookup
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
from infomin_jax.estimators.multisample import i_alpha
from infomin_jax.estimators.nonneural import NONNEURAL
from infomin_jax.estimators.scores import Factored, Scores
from infomin_jax.estimators.upper import club, leave_one_out

DIRECTIONS = ("lower", "upper", "neither")
MI = "I(X; Y)"
_POOLE = "Poole et al. 2019"
_NOWOZIN = "Nowozin et al. 2016"


@dataclasses.dataclass(frozen=True)
class Bound:
  """An estimator, and what its value says about I(X; Y). Call it on scores.

  Attributes:
    fn: `(scores, ..., mask=None) -> nats`; a config may set its other options.
    direction: `lower` or `upper` bound, in expectation, or `neither`.
    shift: what to add to `log p(y|x)/p(y)` for the best critic; None if the
      best critic is no shift of it, or if there is no best critic.
    reference: the paper and its equation.
    quantity: what is estimated, if not I(X; Y) itself.
  """

  fn: Callable[..., jax.Array]
  direction: str
  shift: float | None
  reference: str
  quantity: str = MI

  def __post_init__(self):
    lookup("direction", self.direction, dict.fromkeys(DIRECTIONS))

  def __call__(self, scores: Scores, *options, **named) -> jax.Array:
    """Returns `fn(scores, *options, **named)`, a scalar."""
    return self.fn(scores, *options, **named)

  @property
  def of_mi(self) -> bool:
    """Returns whether the value, with the best critic, is nats of I(X; Y)."""
    return self.quantity == MI and self.shift is not None


_columns = Bound(
  functools.partial(infonce, anchors="columns"),
  *("lower", 0.0, f"{_POOLE}, section 2.5"),
)
ESTIMATORS: dict[str, Bound] = {
  "chi_squared": Bound(
    chi_squared, "neither", None, _NOWOZIN, "Pearson's chi-squared divergence"
  ),
  "club": Bound(club, "upper", 0.0, "Cheng et al. 2020, section 3"),
  "dv": Bound(dv, "neither", 0.0, "Belghazi et al. 2018, eq. 5"),
  "gan": Bound(
    gan,
    "neither",
    0.0,
    "Goodfellow et al. 2014, eq. 1",
    "the Jensen-Shannon divergence twice, less log 4",
  ),
  "hellinger": Bound(
    hellinger, "neither", None, _NOWOZIN, "the squared Hellinger distance"
  ),
  "i_alpha": Bound(i_alpha, "lower", 0.0, f"{_POOLE}, section 2.4"),
  "infonce": Bound(infonce, "lower", 0.0, "van den Oord et al. 2018, eq. 4"),
  "infonce_columns": _columns,
  "infonce_symmetric": Bound(
    functools.partial(infonce, anchors="both"),
    *("lower", 0.0, f"{_POOLE}, section 2.3"),
  ),
  "js_nwj": Bound(js_nwj, "lower", 0.0, _POOLE),
  "jsd": Bound(
    jsd,
    "neither",
    0.0,
    "Hjelm et al. 2019, eq. 4",
    "the Jensen-Shannon divergence twice",
  ),
  "leave_one_out": Bound(leave_one_out, "upper", 0.0, f"{_POOLE}, section 2.5"),
  "nwj": Bound(nwj, "lower", 1.0, "Nguyen, Wainwright, Jordan 2010"),
  "reverse_kl": Bound(
    reverse_kl, "neither", 0.0, _NOWOZIN, "KL(p(x) p(y) || p(x, y))"
  ),
  "smile": Bound(smile, "neither", 0.0, "Song, Ermon 2020"),
  # InfoNCE of the true conditional, in the paper's name: one equation.
  "tnce": _columns,
  "tuba": Bound(tuba, "lower", 0.0, f"{_POOLE}, section 2.2"),
  # The equation of `club`, for scores of any critic.
  "wasserstein": Bound(
    wasserstein,
    *("neither", None, "Arjovsky et al. 2017, eq. 2"),
    "the Wasserstein-1 distance of a 1-Lipschitz critic",
  ),
}

__all__ = [
  "ESTIMATORS",
  "MI",
  "NONNEURAL",
  "Bound",
  "Factored",
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
  "tuba",
  "variational_upper",
  "wasserstein",
]
