"""Objectives: weighted sums of terms, such as a bound that training raises.

To add a term, write a subclass of `Term` (`term.py`) and enter it in `TERMS`.
A config's `objective` names terms and gives each a weight.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax

from infomin_jax.critics import CRITICS
from infomin_jax.errors import (
  OWN_FILE,
  UserError,
  bind,
  build,
  check_kind,
  lookup,
)
from infomin_jax.estimators import ESTIMATORS, Bound
from infomin_jax.objectives.bank import Bank
from infomin_jax.objectives.byol import BootstrapYourOwnLatent
from infomin_jax.objectives.contrastive import Contrastive
from infomin_jax.objectives.coordinates import Coordinates
from infomin_jax.objectives.cpc import PredictiveCoding
from infomin_jax.objectives.deep_infomax import DeepInfoMax
from infomin_jax.objectives.encoding import target_views
from infomin_jax.objectives.generative import VAE, Autoencoder, BiGAN
from infomin_jax.objectives.generator import PriorGenerator
from infomin_jax.objectives.learner import (
  Learner,
  init_learner,
  make_objective,
)
from infomin_jax.objectives.prior import PriorMatching
from infomin_jax.objectives.queue import Queue
from infomin_jax.objectives.supcon import SupervisedContrastive
from infomin_jax.objectives.targets import (
  NoiseAsTargets,
  Regression,
  Supervised,
)
from infomin_jax.objectives.term import Term
from infomin_jax.objectives.view_labels import ViewLabels

TERMS = {
  "autoencoder": Autoencoder,
  "bank": Bank,
  "bigan": BiGAN,
  "byol": BootstrapYourOwnLatent,
  "contrastive": Contrastive,
  "coordinates": Coordinates,
  "cpc": PredictiveCoding,
  "deep_infomax_global": partial(DeepInfoMax, features="conv"),
  "deep_infomax_local": DeepInfoMax,
  "generator": PriorGenerator,
  "nat": NoiseAsTargets,
  "prior": PriorMatching,
  "queue": Queue,
  "regression": Regression,
  "relative_coordinates": partial(Coordinates, relative=True),
  "supcon": SupervisedContrastive,
  "supervised": Supervised,
  "vae": VAE,
  "view_labels": ViewLabels,
}

__all__ = [
  "TERMS",
  "Learner",
  "Term",
  "build_terms",
  "check_data",
  "init_learner",
  "make_objective",
  "needs_ema",
]


def needs_ema(terms: Mapping[str, Term]) -> bool:
  """Returns whether a term wants views encoded by a momentum copy."""
  return bool(target_views(terms))


def build_terms(
  objective: Mapping,
) -> tuple[dict[str, Term], dict[str, float]]:
  """Terms and weights from `config.objective`, a mapping `term -> options`.

  Options have `weight`; `term`, the name in `TERMS`, if the key is another (of
  two terms of one kind); and, where the term has them, `critic` (a mapping with
  a `name`) and `estimator` (a name, or a mapping with a `name` and options of
  the function). The others are the term's own.

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
    kind = options.pop("term", name)
    if "critic" in options:
      options["critic"] = build(f"{at}.critic", options["critic"], CRITICS)
    if "estimator" in options:
      options["estimator"] = _estimator(at, options["estimator"])
    terms[name] = build(at, {"name": kind, **options}, TERMS)
    check_kind(f"config.{at}", terms[name], Term)
    terms[name].check(f"config.{at}")
  if not terms:
    raise UserError(
      f"config.objective is empty: name at least one of {', '.join(TERMS)}."
    )
  return terms, weights


def _estimator(at: str, named: str | Mapping) -> Callable[..., jax.Array]:
  """`scores -> nats` of a name, or of a name and options of the function.

  Args:
    at: the term, for messages.
    named: such as `smile`, or `{"name": "smile", "tau": 2.0}`.
  """
  for name, bound in ESTIMATORS.items():
    check_kind(f"ESTIMATORS[{name!r}]", bound, Bound)
  if isinstance(named, str):
    return lookup("estimator", named, ESTIMATORS, OWN_FILE).fn
  table = {name: bound.fn for name, bound in ESTIMATORS.items()}
  estimator = bind(f"{at}.estimator", named, table, "scores", "mask")
  return estimator if estimator.keywords else estimator.func


def check_data(terms: Mapping[str, Term], images: int, batch: int) -> list[str]:
  """Returns lines of advice on terms that remember images.

  Args:
    terms: by name.
    images: how many there are to train on.
    batch: images that a term sees at once.

  Raises:
    UserError: a term cannot remember so many images.
  """
  lines = [
    term.check_data(f"config.objective.{name}", images, batch)
    for name, term in terms.items()
  ]
  return [line for line in lines if line]
