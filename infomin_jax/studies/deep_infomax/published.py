"""The numbers of the tables in the paper, with accuracies in [0, 1].

Rows that are in both table 1 and table 5 have the numbers of table 1. The
numbers of table 5 are in the claims. Source: Hjelm et al., `Deep InfoMax
<https://arxiv.org/abs/1808.06670>`_, 2019, tables 1 to 5.
"""

# Tables 1 and 2, MLP probe in percent: conv, fc, Y.
_MLP = {
  "cifar10_dim": {
    "supervised": (75.39, None, None),
    "vae": (60.71, 60.54, 54.61),
    "ae": (62.19, 55.78, 54.47),
    "beta_vae": (62.4, 57.89, 55.43),
    "aae": (59.44, 57.19, 52.81),
    "bigan": (62.57, 62.74, 52.54),
    "nat": (56.19, 51.29, 31.16),
    "global": (52.2, 52.84, 43.17),
    "local_dv": (72.66, 70.60, 64.71),
    "local_jsd": (73.25, 73.62, 66.96),
    "local_infonce": (75.21, 75.57, 69.13),
    "coord": (77.28, 73.89, 71.56),
    "occlude": (76.77, 74.45, 72.87),
    "coord_occlude": (77.27, 75.15, 73.99),
  },
  "cifar100_dim": {
    "supervised": (42.27, None, None),
    "vae": (37.21, 34.05, 24.22),
    "ae": (31.50, 23.89, 27.44),
    "beta_vae": (32.28, 26.89, 28.96),
    "aae": (36.22, 33.38, 23.25),
    "bigan": (37.59, 33.34, 21.49),
    "nat": (29.18, 24.57, 9.72),
    "global": (27.68, 24.35, 19.98),
    "local_dv": (48.52, 44.44, 39.27),
    "local_jsd": (48.13, 45.92, 39.60),
    "local_infonce": (49.74, 47.72, 41.61),
    "coord": (50.27, 48.61, 45.37),
    "occlude": (48.87, 47.65, 44.89),
    "coord_occlude": (48.72, 48.00, 45.96),
  },
  "tiny_imagenet_dim": {
    "supervised": (36.60, None, None),
    "vae": (18.63, 16.88, 11.93),
    "ae": (19.07, 16.39, 11.82),
    "beta_vae": (19.29, 16.77, 12.43),
    "aae": (18.04, 17.27, 11.49),
    "bigan": (24.38, 20.21, 13.06),
    "nat": (13.70, 11.62, 1.20),
    "global": (11.32, 6.34, 4.95),
    "local_dv": (30.35, 29.51, 28.18),
    "local_jsd": (33.54, 36.88, 31.66),
    "local_infonce": (34.21, 38.09, 33.33),
  },
  "stl10_dim": {
    "supervised": (68.7, None, None),
    "vae": (58.27, 56.72, 46.47),
    "ae": (58.19, 55.57, 46.82),
    "beta_vae": (57.15, 55.14, 46.87),
    "aae": (59.54, 54.47, 43.89),
    "bigan": (71.53, 67.18, 58.48),
    "nat": (64.32, 61.43, 48.84),
    "global": (42.03, 30.82, 28.09),
    "local_dv": (69.15, 63.81, 61.92),
    "local_jsd": (72.86, 70.85, 65.93),
    "local_infonce": (72.57, 70.00, 67.08),
  },
  "cifar10_crops": {
    "dim": (80.95, None, None),
    "cpc": (77.45, None, None),
  },
  "stl10_crops": {
    "dim": (76.97, None, None),
    "multi": (78.21, None, None),
    "cpc": (77.81, None, None),
  },
}
# Table 2, last column in percent: conv, fine-tuned on the labeled images.
_SEMI = {
  "vae": 68.65,
  "ae": 70.29,
  "beta_vae": 70.53,
  "aae": 64.15,
  "bigan": 74.77,
  "nat": 70.75,
  "global": 51.36,
  "local_dv": 71.22,
  "local_jsd": 76.96,
  "local_infonce": 76.81,
}
# Table 4: SVM on conv, fc, Y in percent, MS-SSIM, MINE and NDM in nats.
_EXTENDED = {
  "vae": (53.83, 42.14, 39.59, 0.72, 93.02, 1.62),
  "aae": (55.22, 43.34, 37.76, 0.67, 87.48, 0.03),
  "bigan": (56.40, 38.42, 44.90, 0.46, 37.69, 24.49),
  "nat": (48.62, 42.63, 39.59, 0.29, 6.04, 0.02),
  "global": (46.8, 28.79, 29.08, 0.49, 49.63, 9.96),
  "local_global": (57.55, 45.56, 18.63, 0.53, 101.65, 22.89),
  "local_jsd": (63.25, 54.06, 49.62, 0.37, 45.09, 9.18),
}


def _all() -> dict[str, dict[str, float]]:
  numbers: dict[str, dict[str, float]] = {}
  taps = ("conv", "fc", "y")
  for config, rows in _MLP.items():
    for row, values in rows.items():
      numbers[f"{config}-{row}"] = {
        f"mlp_{tap}": value / 100
        for tap, value in zip(taps, values, strict=True)
        if value is not None
      }
  for row, value in _SEMI.items():
    numbers[f"stl10_dim-{row}"]["semi_conv"] = value / 100
  for row, values in _EXTENDED.items():
    svm = {f"svm_{t}": x / 100 for t, x in zip(taps, values[:3], strict=True)}
    others = dict(zip(("ssim_y", "mine_y", "ndm_y"), values[3:], strict=True))
    numbers.setdefault(f"cifar10_dim-{row}", {}).update(svm | others)
  return numbers


# By line of the table, then by metric.
PAPER = _all()
# Small data sets, each a substitute for one of the paper.
STANDS_FOR = {"fashion_mnist_dim": "cifar10_dim"}


def beside(config: str, row: str) -> dict[str, float]:
  """Returns the paper's numbers of a row, `{metric: number}`.

  A config with a small data set has the numbers of the data set that it
  replaces.
  """
  return PAPER.get(f"{STANDS_FOR.get(config, config)}-{row}", {})
