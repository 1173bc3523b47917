"""Objectives: weighted sums of terms, each a bound that training raises.

Add one: write a term (`learner.py` says what it is) and enter it in `TERMS`;
a config's `objective` names terms and gives each its weight.
"""

from collections.abc import Mapping

import flax.linen as nn

from infomin_jax.critics import CRITICS
from infomin_jax.errors import UserError, build, lookup
from infomin_jax.estimators import ESTIMATORS
from infomin_jax.objectives.contrastive import Contrastive
from infomin_jax.objectives.deep_infomax import DeepInfoMaxLocal
from infomin_jax.objectives.learner import (
  Learner,
  init_learner,
  make_objective,
  target_views,
)
from infomin_jax.objectives.queue import Queue

TERMS = {
  "contrastive": Contrastive,
  "deep_infomax_local": DeepInfoMaxLocal,
  "queue": Queue,
}

__all__ = [
  "TERMS",
  "Learner",
  "build_terms",
  "init_learner",
  "make_objective",
  "needs_ema",
]


def needs_ema(terms: Mapping[str, nn.Module]) -> bool:
  """Whether a term wants views encoded by a momentum copy."""
  return bool(target_views(terms))


def build_terms(
  objective: Mapping,
) -> tuple[dict[str, nn.Module], dict[str, float]]:
  """Terms and weights from `config.objective`, a mapping `term -> options`.

  Every term's options have `weight`, `critic` (a mapping with a `name`) and
  `estimator` (a name); the others are the term's own.

  Raises:
    UserError: no term, an unknown name or key, or a weight that is not above 0.
  """
  terms, weights = {}, {}
  for name, options in objective.items():
    options = dict(options)
    weights[name] = options.pop("weight", 1.0)
    if not weights[name] > 0:
      raise UserError(
        f"config.objective.{name}.weight is {weights[name]}: expected a number "
        "above 0; leave the term out of config.objective to do without it."
      )
    at = f"objective.{name}"
    if "critic" in options:
      options["critic"] = build(f"{at}.critic", options["critic"], CRITICS)
    if "estimator" in options:
      options["estimator"] = lookup(
        "estimator", options["estimator"], ESTIMATORS
      )
    terms[name] = build(at, {"name": name, **options}, TERMS)
    terms[name].check(f"config.{at}")
  if not terms:
    raise UserError(
      f"config.objective is empty: name at least one of {', '.join(TERMS)}."
    )
  return terms, weights
