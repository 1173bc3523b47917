"""The claims of the paper, in its order."""

from collections.abc import Mapping

import numpy as np

from infomin_jax.studies.claims import (
  Claim,
  above,
  difference,
  excess,
  paired,
  rises,
)
from infomin_jax.studies.limits import capacity
from infomin_jax.studies.limits.capacity import NAMES
from infomin_jax.studies.limits.dependent import TRUE_MI


def _e1() -> list[Claim]:
  claims = []
  papers = {"infonce": (6.18, 0.0342), "nwj": (10.7, 0.0284)}
  for estimator, (bound, accuracy) in papers.items():
    line, name = f"E1-{estimator}", NAMES[estimator]
    claims += [
      rises(
        line,
        "bound_train",
        f"{name} rises although the encoders are invertible, so that the true "
        "MI is constant",
        bound,
        "bound-rises",
      ),
      rises(
        line,
        "accuracy",
        f"accuracy rises while {name} is maximized over invertible encoders",
        accuracy,
        "accuracy-rises",
      ),
      Claim(
        f"{line}-invertible",
        "the trained encoder is inverted to within 1e-4",
        None,
        (line,),
        excess(line, "inverse_error", 0),
        1e-4,
        below=True,
      ),
    ]
  nwj = excess("E1-nwj", "bound_train", float(np.log(128)))
  return [
    *claims,
    above(
      "E1-infonce-above-nwj",
      "I_NCE gives the better features of the two",
      "E1-infonce",
      "E1-nwj",
      0.0060,
    ),
    Claim(
      "E1-nwj-above-log-k",
      "I_NWJ exceeds log 128, which I_NCE cannot",
      0.84,
      ("E1-nwj",),
      nwj,
    ),
  ]


def _e2() -> list[Claim]:
  line = "E2"
  effect = difference((line, "accuracy", -1), (line, "accuracy", 0))
  return [
    Claim(
      "E2-accuracy-falls",
      "an invertible encoder, whose MI is maximal, can be trained to be worse "
      "for linear classification than at the start",
      -0.381,
      (line,),
      effect,
      below=True,
    )
  ]


def _e3() -> list[Claim]:
  claims = []
  for estimator, accuracy, condition in (
    ("infonce", 0.0403, 4.63),
    ("nwj", 0.0377, 3.34),
  ):
    line, name = f"E3-{estimator}", NAMES[estimator]
    claims += [
      above(
        f"{line}-above-pixels",
        f"features of {name} are better than the noisy pixels",
        line,
        "E3-pixels",
        accuracy,
      ),
      rises(
        line,
        "log_condition_median",
        f"the encoder becomes ill-conditioned while {name} is maximized (log "
        "condition number, median)",
        condition,
        "ill-conditioned",
      ),
    ]
  text = "the encoder of I_NCE ends worse conditioned than that of I_NWJ"
  return [
    *claims,
    above(
      "E3-infonce-worse-conditioned",
      text,
      "E3-infonce",
      "E3-nwj",
      1.29,
      "log_condition_median",
    ),
  ]


def _e6() -> list[Claim]:
  claims = []
  for estimator, dependent, iid in (
    ("infonce", 0.190, 0.0199),
    ("nwj", 0.097, 0.0196),
  ):
    name = NAMES[estimator]
    lines = [f"E6-{p}-{estimator}" for p in ("dependent", "independent")]
    claims += [
      Claim(
        f"{lines[0]}-above-true",
        f"with dependent negatives {name} exceeds the true MI of "
        f"{TRUE_MI:.4f} nats",
        dependent - TRUE_MI,
        (lines[0],),
        excess(lines[0], "bound_test", TRUE_MI),
      ),
      Claim(
        f"{lines[1]}-not-above-true",
        f"with independent negatives {name} stays a lower bound (within 0.002 "
        "nats)",
        iid - TRUE_MI,
        (lines[1],),
        excess(lines[1], "bound_test", TRUE_MI),
        0.002,
        below=True,
      ),
    ]
  text = "with dependent negatives I_NCE exceeds I_NWJ"
  a, b = "E6-dependent-infonce", "E6-dependent-nwj"
  return [
    *claims,
    above("E6-infonce-above-nwj", text, a, b, 0.093, "bound_test"),
  ]


def _metric() -> list[Claim]:
  line = "metric-kpair_multiclass"

  def error(results):
    nats = results.values(line, "infonce_test")
    loss = results.values(line, "kpair_test")
    size = results.records(line)[0]["settings"]["batch_size"]
    return paired(lambda i, k: abs(np.log(size) - k - i), nats, loss)

  return [
    Claim(
      "metric-kpair-is-infonce",
      "I_NCE = log K - multi-class K-pair loss, on the trained scores of "
      "held-out batches (absolute error)",
      0.0,
      (line,),
      error,
      1e-4,
      below=True,
    ),
    Claim(
      "metric-same-features",
      "training by the multi-class K-pair loss gives the accuracy of training "
      "by I_NCE (absolute difference)",
      0.0,
      (line, "metric-infonce"),
      lambda results: paired(
        lambda x, y: abs(x - y),
        results.values(line, "accuracy"),
        results.values("metric-infonce", "accuracy"),
      ),
      0.01,
      below=True,
    ),
  ]


def claims(settings: Mapping) -> list[Claim]:
  """Returns the claims of all experiments; `settings` do not change them."""
  del settings
  return [
    *_e1(),
    *_e2(),
    *_e3(),
    *capacity.critic_claims(),
    *capacity.matched(
      "E5",
      {
        (2, "infonce"): 0.0444,
        (2, "nwj"): 0.0409,
        (4, "infonce"): 0.0364,
        (4, "nwj"): 0.0362,
      },
      {"infonce": 0.0250, "nwj": 0.0283},
    ),
    *_e6(),
    *capacity.critics("E7", {"infonce": (0.010, 0.026), "nwj": (0.002, 0.024)}),
    *capacity.matched(
      "E7",
      {
        (2, "infonce"): 0.048,
        (2, "nwj"): 0.058,
        (4, "infonce"): 0.062,
        (4, "nwj"): 0.074,
      },
      {"infonce": 0.045, "nwj": 0.053},
    ),
    *_metric(),
  ]
