"""The paper's numbers, on data sets that the local preset does not use.

Source: Tian et al., `What Makes for Good Views for Contrastive Learning?
<https://arxiv.org/abs/2005.10243>`_, 2020. The numbers of `MOVING` and
`LEARNED` are quoted from memory. Check them in the paper before you cite them.
"""

# Top-1 accuracy on ImageNet of a linear classifier after 200 epochs, by row.
# Source: the README of the authors' code.
IMAGENET = {
  "insdis,200": 0.595,
  "moco,200": 0.608,
  "pirl,200": 0.617,
  "moco_v2,200": 0.675,
  "infomin,200": 0.701,
}


def _row(digit, background, pixels):
  """Turns errors in percent into accuracies, and keeps the one in pixels."""
  return {
    "linear_pool": 1 - digit / 100,
    "linear_pool_background": 1 - background / 100,
    "pixels_pool": pixels,
  }


# Moving MNIST on STL-10. A constant guess of the position is off by 13.75
# pixels.
MOVING = {
  "digit": _row(16.8, 88.6, 13.6),
  "background": _row(88.2, 51.7, 16.1),
  "position": _row(57.9, 87.6, 3.95),
  "background_digit_position": _row(88.8, 56.3, 16.2),
  "background_digit": _row(88.2, 53.9, 16.3),
  "background_position": _row(88.8, 53.8, 15.9),
  "digit_position": _row(14.5, 88.5, 13.7),
  "supervised": _row(3.4, 45.3, 0.93),
}

# Accuracy on STL-10 and its standard deviation, by the color space in which
# learned views start. `raw` is the first channel against the other two.
LEARNED = {
  "rgb": {
    "unsupervised": (0.824, 0.032),
    "supervised": (0.799, 0.015),
    "semi": (0.860, 0.006),
    "raw": (0.815, 0.002),
  },
  "ydbdr": {
    "unsupervised": (0.843, 0.005),
    "supervised": (0.785, 0.023),
    "semi": (0.870, 0.003),
    "raw": (0.866, 0.002),
  },
}


def beside(family: str, row: str) -> dict[str, float]:
  """Returns the paper's numbers of a row of the table, by metric."""
  if family == "moving":
    return MOVING.get(row.removesuffix("_paper"), {})
  if family == "recipe":
    top1 = {name.replace(",", "_"): value for name, value in IMAGENET.items()}
    return {"linear_pool": top1[row]} if row in top1 else {}
  if family != "learned":
    return {}
  kind, _, space = row.removeprefix("frozen-").rpartition("-")
  accuracy = LEARNED.get(space, {}).get(kind or "raw")
  return {} if accuracy is None else {"linear_pool": accuracy[0]}
