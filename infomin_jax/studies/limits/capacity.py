"""The claims on critics (section 3.2) and on bounds held constant (3.3)."""

from infomin_jax.studies.claims import Claim, above, extreme, paired

NAMES = {"infonce": "I_NCE", "nwj": "I_NWJ"}


def critics(experiment: str, papers: dict) -> list[Claim]:
  """Returns the claims on features by critic, for E4 and for CIFAR-10.

  Args:
    experiment: `E4` or `E7`.
    papers: estimator -> the two differences of accuracy in the paper.
  """
  claims = []
  for estimator, (first, second) in papers.items():
    name = NAMES[estimator]
    lines = {
      critic: f"{experiment}-{critic}-{estimator}"
      for critic in ("bilinear", "separable", "concat")
    }
    claims += [
      above(
        f"{experiment}-bilinear-above-separable-{estimator}",
        f"{name}: the bilinear critic gives better features than the separable",
        lines["bilinear"],
        lines["separable"],
        first,
      ),
      above(
        f"{experiment}-separable-above-concat-{estimator}",
        f"{name}: the separable critic gives better features than the MLP",
        lines["separable"],
        lines["concat"],
        second,
      ),
    ]
  return claims


def critic_claims() -> list[Claim]:
  """Returns the claims of E4: features and bounds by critic."""
  lines = {
    estimator: [
      f"E4-{critic}-{estimator}" for critic in ("bilinear", "separable")
    ]
    for estimator in NAMES
  }

  def margin(estimator, pick):
    others = extreme(pick, lines[estimator], "bound_train")
    line = f"E4-concat-{estimator}"
    return lambda results: paired(
      lambda x, y: x - y, results.values(line, "bound_train"), others(results)
    )

  return [
    *critics("E4", {"infonce": (0.0036, 0.0201), "nwj": (0.0037, 0.0116)}),
    Claim(
      "E4-concat-highest-nwj",
      "the MLP critic gives the highest I_NWJ",
      0.70,
      (*lines["nwj"], "E4-concat-nwj"),
      margin("nwj", max),
    ),
    Claim(
      "E4-concat-lowest-infonce",
      "the MLP critic gives the lowest I_NCE (figure 6; in the text all are "
      "close to log K)",
      -0.014,
      (*lines["infonce"], "E4-concat-infonce"),
      margin("infonce", min),
      below=True,
    ),
  ]


def matched(experiment: str, papers: dict, same: dict) -> list[Claim]:
  """Returns the claims on encoders with equal bounds, for E5 and CIFAR-10.

  Args:
    experiment: `E5` or `E7`.
    papers: (target, estimator) -> the difference of accuracy in the paper.
    same: estimator -> the difference between the ConvNet at 2 nats and the MLP
      at 4 nats in the paper.
  """
  lines = [
    f"{experiment}-{encoder}-t{t}-{estimator}"
    for encoder in ("convnet", "mlp")
    for t in (2, 4)
    for estimator in NAMES
  ]
  claims = [
    Claim(
      f"{experiment}-bounds-matched",
      "every bound is held within 0.25 nats of its target",
      0.093 if experiment == "E5" else 0.65,
      tuple(lines),
      extreme(max, lines, "gap_train"),
      0.25,
      below=True,
    )
  ]
  for (t, estimator), paper in papers.items():
    a, b = (f"{experiment}-{e}-t{t}-{estimator}" for e in ("convnet", "mlp"))
    claims.append(
      above(
        f"{experiment}-convnet-above-mlp-t{t}-{estimator}",
        f"at {NAMES[estimator]} = {t} nats the ConvNet's features are better "
        "than the MLP's",
        a,
        b,
        paper,
      )
    )
  for estimator, paper in same.items():
    claims.append(
      above(
        f"{experiment}-convnet-t2-above-mlp-t4-{estimator}",
        f"the ConvNet at {NAMES[estimator]} = 2 nats is better than the MLP "
        "at 4",
        f"{experiment}-convnet-t2-{estimator}",
        f"{experiment}-mlp-t4-{estimator}",
        paper,
      )
    )
  return claims
