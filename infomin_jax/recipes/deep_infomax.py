"""The rows of the tables in the Deep InfoMax paper, as config sections.

All rows of a table train the same encoder. The weights are those of the paper:
alpha for the global term, beta for the local term, gamma for the prior.

Differs from the paper: it gives neither gamma for the local and global terms
together (0.1 here) nor beta of the beta-VAE (2 here).

Source: Hjelm et al., `Learning Deep Representations by Mutual Information
Estimation and Maximization <https://arxiv.org/abs/1808.06670>`_, 2019.
"""

from collections.abc import Callable
from typing import Any

from infomin_jax.errors import lookup

# Evaluation protocols of the tables, and the encoder outputs that they probe.
PROBES, TAPS = ("knn", "linear", "mlp"), ("y", "fc", "conv")
# Optimizer of the discriminators: the same settings as for the encoder.
ADVERSARY = dict(name="adam", peak=1e-4, b1=0.5, b2=0.999)
Objective = dict[str, dict[str, Any]]


def sections(
  row: str, *, size: int, classes: int, images: int, width: int
) -> dict[str, Any]:
  """Returns `views` and `objective` of a row, for images without crops.

  Args:
    row: a name in `ROWS`.
    size: side of the images in pixels.
    classes: as in `objective`.
    images: as in `objective`.
    width: as in `objective`.
  """
  views = dict(name="none", size=size, count=1)
  if row in OCCLUDED:
    views = dict(name="occluded", size=size, block=10, fill=0.5)
  terms = objective(row, width=width, classes=classes, images=images)
  return {"views": views, "objective": terms}


def basic(row: str, size: int, width: int) -> dict[str, Any]:
  """Returns `config.encoder` for images of `size` pixels, 28 or 32."""
  return dict(
    name=f"basic{size}x{size}",
    dim=DIMS.get(row, 64),
    width=width,
    dtype="float32",
  )


def alex64(row: str, tiny: bool) -> dict[str, Any]:
  """Returns `config.encoder` for images of 64 pixels."""
  return dict(
    name="alex64x64",
    dim=DIMS.get(row, 64),
    width=4 if tiny else 96,
    hidden=32 if tiny else 4096,
    dtype="float32",
  )


def stl10_crop() -> dict[str, Any]:
  """Returns `config.views` of STL-10: unscaled 64 x 64 crops of 96 x 96."""
  return dict(
    name="crop",
    size=64,
    count=1,
    crop_scale=(0.4445, 0.4445),  # share of the area: (64 / 96)^2
    crop_ratio=(1.0, 1.0),
  )


def probes(tiny: bool) -> tuple[str, ...]:
  """Returns the protocols of the tables. Tiny runs leave out the MLP."""
  return PROBES[:2] if tiny else PROBES


def of_crops(row: str, *, units: int) -> Objective:
  """Returns `config.objective` for encoders that encode one crop per place.

  Args:
    row: `dim` (one summary), `multi` (one summary per block) or `cpc`.
    units: units of the encode-and-dot critics.
  """
  critic = dict(name="encode_and_dot", units=units)
  term: dict[str, Any] = dict(weight=1.0, estimator="infonce", critic=critic)
  if row == "cpc":
    return {"cpc": term | dict(ahead=3)}
  if row == "multi":
    term["summary"] = "glob"
  return {"deep_infomax_local": term | dict(stream="auto")}


def objective(row: str, *, width: int, classes: int, images: int) -> Objective:
  """Returns `config.objective` of a row.

  Args:
    row: a name in `ROWS`.
    width: width of critics and decoders, 64 in the paper. The encode-and-dot
      critic has 32 times as many units. The other heads scale with it, too.
    classes: number of classes, for `supervised`.
    images: number of training images, for `nat`.
  """
  make = lookup("row of the table", row, ROWS)
  return make(width=width, classes=classes, images=images)


def local(estimator: str, gamma: float = 0.1, beta: float = 1.0, **options):
  """Returns DIM(L): every place of the local map against the summary.

  Args:
    estimator: a key of `ESTIMATORS`.
    gamma: weight of the prior term, 0 for none.
    beta: weight of the local term.
    **options: other arguments of the local term.
  """

  def make(width, **_):
    term = dict(
      weight=beta,
      estimator=estimator,
      critic=dict(name="encode_and_dot", units=32 * width),
      stream="auto",
      **options,
    )
    return {"deep_infomax_local": term} | _prior(gamma, width)

  return make


def whole(estimator: str = "jsd", gamma: float = 1.0, alpha: float = 1.0):
  """Returns DIM(G): the last feature map as a whole against the summary.

  Args:
    estimator: a key of `ESTIMATORS`.
    gamma: weight of the prior term, 0 for none.
    alpha: weight of the global term.
  """

  def make(width, **_):
    hidden = (8 * width, 8 * width)
    term = dict(
      weight=alpha,
      estimator=estimator,
      features="conv",
      critic=dict(name="concatenated", hidden=hidden, block=16),
      stream="auto",
    )
    return {"deep_infomax_global": term} | _prior(gamma, width)

  return make


def _both(**sizes) -> Objective:
  part = whole(alpha=0.5, gamma=0.0)(**sizes)
  return part | local("jsd", beta=0.1)(**sizes)


def _with_places(base: Callable, summary_view: int = 0):
  """Adds both coordinate tasks to a row."""

  def make(width, **sizes):
    hidden = (8 * width, 8 * width)
    places = dict(weight=1.0, hidden=hidden, summary_view=summary_view)
    added = {"coordinates": places, "relative_coordinates": places}
    return base(width=width, **sizes) | added

  return make


def _prior(gamma: float, width: int) -> Objective:
  if not gamma:
    return {}
  term = dict(
    weight=gamma,
    prior="uniform",
    hidden=(125 * width // 8, 25 * width // 8),
    adversary=ADVERSARY,
  )
  return {"prior": term}


def _autoencoder(width, **_) -> Objective:
  return {"autoencoder": dict(weight=1.0, width=width)}


def _adversarial_autoencoder(width, **_) -> Objective:
  prior = dict(
    weight=1.0,
    prior="gaussian",
    hidden=(200, 200),
    penalty=0.5,
    on="prior",
    adversary=ADVERSARY,
  )
  return _autoencoder(width) | {"prior": prior}


def _vae(beta: float):

  def make(width, **_):
    return {"vae": dict(weight=1.0, beta=beta, spread="fc", width=width)}

  return make


def _bigan(width, **_) -> Objective:
  term = dict(weight=1.0, penalty=0.5, width=width, adversary=ADVERSARY)
  return {"bigan": term}


def _cpc(width, **_) -> Objective:
  critic = dict(name="encode_and_dot", units=16 * width)
  return {"cpc": dict(weight=1.0, estimator="infonce", ahead=3, critic=critic)}


def _generator(width, **_) -> Objective:
  return {"generator": dict(weight=1.0, width=width, adversary=ADVERSARY)}


def _nat(images, **_) -> Objective:
  return {"nat": dict(weight=1.0, size=images)}


def _supervised(classes, **_) -> Objective:
  return {"supervised": dict(weight=1.0, classes=classes)}


_infonce = local("infonce")
_occluded = local("infonce", summary_view=1)
ROWS: dict[str, Callable[..., Objective]] = {
  "supervised": _supervised,
  "vae": _vae(1.0),
  "ae": _autoencoder,
  "beta_vae": _vae(2.0),
  "aae": _adversarial_autoencoder,
  "bigan": _bigan,
  "nat": _nat,
  "global": whole(),
  "local_global": _both,
  "local_dv": local("dv"),
  "local_jsd": local("jsd"),
  "local_infonce": _infonce,
  "coord": _with_places(_infonce),
  "occlude": _occluded,
  "coord_occlude": _with_places(_occluded, summary_view=1),
  "cpc": _cpc,
  "generator": _generator,
}
# Units of y in rows where they are not 64.
DIMS = {"generator": 1}
# Rows that compute the summary from a partly occluded image.
OCCLUDED = ("occlude", "coord_occlude")
