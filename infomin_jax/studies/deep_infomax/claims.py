"""The claims of the paper, in the order of its tables."""

from collections.abc import Callable, Mapping
from typing import Any

from infomin_jax.studies.claims import Claim, difference, extreme, paired
from infomin_jax.studies.deep_infomax import published, runs
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line, label

TAPS = ("conv", "fc", "y")
GENERATIVE = ("vae", "ae", "beta_vae", "aae", "bigan")
Effect = Callable[[Results], dict[int, float]]


def claims(settings: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
  """Returns all claims of the paper, on the data sets of the settings.

  `paper_value` is the effect on CIFAR-10 if the tables of the paper have it.
  """
  # Without a config, claims have no runs. Their reason names the experiment.
  first = {name: (*o["configs"], name)[0] for name, o in settings.items()}
  return [
    *_table_1(first["T1"]),
    *_table_3(first["T3"], settings["T3"]["rows"]),
    *_table_4(first["T4"]),
    *_table_5(first["T5"]),
    *_negatives(first["negatives"], settings["negatives"]["negatives"]),
    *_weights(first["weights"], settings["weights"]),
    *_ndm(first["ndm"], settings["ndm"]["betas"]),
  ]


def above(
  name: str,
  text: str,
  config: str,
  rows: tuple[str, str],
  metric: str,
  paper: float | None = None,
) -> Claim:
  """Returns the claim that a metric is higher in the first of two rows."""
  a, b = (f"{config}-{row}" for row in rows)
  effect = difference((a, metric, -1), (b, metric, -1))
  if paper is None:
    paper = _paper(rows, metric)
  return Claim(name, text, paper, (a, b), effect)


def _paper(rows: tuple[str, str], metric: str) -> float | None:
  tables = [published.beside("cifar10_dim", row) for row in rows]
  if any(metric not in table for table in tables):
    return None
  return tables[0][metric] - tables[1][metric]


def _table_1(config: str) -> list[Claim]:
  entries = []
  best = "local_infonce"
  for tap in TAPS:
    metric = f"mlp_{tap}"
    entries.append(
      above(
        f"T1-local-above-global-{tap}",
        f"the local objective beats the global one ({tap})",
        config,
        ("local_jsd", "global"),
        metric,
      )
    )
    names = [f"{config}-{row}" for row in GENERATIVE]
    paper = min(_paper((best, row), metric) or 0 for row in GENERATIVE)
    entries.append(
      Claim(
        f"T1-local-above-generative-{tap}",
        f"the local objective with I_NCE beats the best generative one ({tap})",
        paper,
        (f"{config}-{best}", *names),
        _minus(f"{config}-{best}", metric, extreme(max, names, metric)),
      )
    )
    pixels = difference(
      (f"{config}-{best}", metric, -1),
      (f"{config}-untrained", "mlp_pixels", -1),
    )
    entries.append(
      Claim(
        f"T1-local-above-pixels-{tap}",
        f"a probe of the local objective's features beats one of raw pixels "
        f"({tap})",
        None,
        (f"{config}-{best}", f"{config}-untrained"),
        pixels,
      )
    )
  return [
    *entries,
    above(
      "T1-infonce-above-jsd",
      "with all negatives I_NCE gives better features than JSD (y)",
      config,
      ("local_infonce", "local_jsd"),
      "mlp_y",
    ),
    above(
      "T1-jsd-above-dv",
      "with all negatives JSD gives better features than Donsker-Varadhan (y)",
      config,
      ("local_jsd", "local_dv"),
      "mlp_y",
    ),
  ]


def _minus(line: str, metric: str, other: Effect) -> Effect:
  return lambda results: paired(
    lambda x, y: x - y, results.values(line, metric), other(results)
  )


def _table_3(config: str, rows: tuple[str, ...]) -> list[Claim]:
  return [
    above(
      "T3-dim-above-cpc",
      "one summary of the image gives a better local map than contrastive "
      "predictive coding",
      config,
      (rows[0], "cpc"),
      "mlp_conv",
      0.8095 - 0.7745,
    )
  ]


def _table_4(config: str) -> list[Claim]:
  others = [f"{config}-{row}" for row in ("vae", "aae", "bigan", "nat")]
  local = f"{config}-local_jsd"
  return [
    Claim(
      "T4-local-most-separable",
      "classes are most separable in the local objective's map (SVM)",
      0.6325 - 0.5640,
      (local, *others),
      _minus(local, "svm_conv", extreme(max, others, "svm_conv")),
    ),
    above(
      "T4-vae-reconstructs",
      "a VAE's y keeps more of the image than the local objective's (SSIM)",
      config,
      ("vae", "local_jsd"),
      "ssim_y",
    ),
    above(
      "T4-mixture-informs",
      "y keeps more information about the image if the global term is added to "
      "the local one (MINE, nats)",
      config,
      ("local_global", "local_jsd"),
      "mine_y",
    ),
    above(
      "T4-bigan-depends",
      "a BiGAN's units depend on each other more than an adversarial "
      "autoencoder's (NDM, nats)",
      config,
      ("bigan", "aae"),
      "ndm_y",
    ),
  ]


def _table_5(config: str) -> list[Claim]:
  texts = {
    "coord": ("the coordinate tasks help y", 0.7156 - 0.7065),
    "occlude": ("occlusion helps y", 0.7287 - 0.7065),
    "coord_occlude": ("both together help y", 0.7399 - 0.7065),
  }
  return [
    above(
      f"T5-{row.replace('_', '-')}-helps",
      text,
      config,
      (row, "local_infonce"),
      "mlp_y",
      paper,
    )
    for row, (text, paper) in texts.items()
  ]


def _negatives(config: str, counts: tuple[int, ...]) -> list[Claim]:
  fewest = min(count for count in counts if count)

  def name(row, count):
    return Line(config, *runs.fewer_negatives(row, count)).name

  def lost(row) -> Effect:
    return difference(
      (name(row, 0), "mlp_y", -1), (name(row, fewest), "mlp_y", -1)
    )

  images = f"the negatives of {fewest} image{'s' * (fewest > 1)}"

  def names(*rows):
    return tuple(name(row, count) for row in rows for count in (0, fewest))

  entries = [
    Claim(
      "negatives-infonce-needs-many",
      f"I_NCE loses accuracy (y) with {images}",
      None,
      names("local_infonce"),
      lost("local_infonce"),
    ),
    Claim(
      "negatives-jsd-does-not",
      f"JSD loses less than 0.01 of accuracy (y) with {images}",
      None,
      names("local_jsd"),
      lost("local_jsd"),
      0.01,
      below=True,
    ),
  ]
  for row, title in (("local_infonce", "I_NCE"), ("local_dv", "DV")):
    first, second = lost(row), lost("local_jsd")
    entries.append(
      Claim(
        f"negatives-{row.partition('_')[2]}-loses-more",
        f"{title} loses more than JSD with {images}",
        None,
        names(row, "local_jsd"),
        lambda results, a=first, b=second: paired(
          lambda x, y: x - y, a(results), b(results)
        ),
      )
    )
  return entries


def _weights(config: str, options: Mapping[str, Any]) -> list[Claim]:
  gammas = options["gamma"]
  gamma, high = gammas[len(gammas) // 2], max(options["alpha"])

  def row(alpha, beta, gamma):
    return label(*runs.mixture(alpha, beta, gamma))

  both = row(high, 1.0, gamma)
  entries = [
    above(
      "weights-alpha-reconstructs",
      "the global term helps reconstruction (SSIM of y)",
      config,
      (both, row(0.0, 1.0, gamma)),
      "ssim_y",
    ),
    above(
      "weights-beta-classifies",
      "the local term helps classification (y)",
      config,
      (both, row(high, 0.0, gamma)),
      "mlp_y",
    ),
  ]
  if len(gammas) > 1:
    most, least = (row(0.0, 1.0, g) for g in (max(gammas), min(gammas)))
    a, b = (f"{config}-{r}" for r in (most, least))
    entries.append(
      Claim(
        "weights-gamma-lowers-ndm",
        "the prior term lowers the dependence of y's units (NDM, nats)",
        None,
        (a, b),
        difference((a, "ndm_y", -1), (b, "ndm_y", -1)),
        below=True,
      )
    )
  return entries


def _ndm(config: str, betas: tuple[float, ...]) -> list[Claim]:
  most, least = (
    Line(config, *runs.vae(beta)).name for beta in (max(betas), min(betas))
  )
  return [
    Claim(
      "ndm-falls-with-beta",
      f"NDM falls from beta {min(betas):g} to {max(betas):g} of a beta-VAE "
      "(nats)",
      None,
      (most, least),
      difference((most, "ndm_y", -1), (least, "ndm_y", -1)),
      below=True,
    )
  ]
