"""The rows of Deep InfoMax's tables, as config sections.

All rows of a table train one encoder. Weights are the paper's: alpha of the
global, beta of the local term, gamma of the prior.

Differs from the paper: it does not say gamma for local and global together
(0.1 here), nor beta of its beta-VAE (2 here).
"""

from collections.abc import Callable
from typing import Any

from infomin_jax.errors import lookup

# How features are evaluated, and which.
PROBES, TAPS = ("knn", "linear", "mlp"), ("y", "fc", "conv")
# Adam as the rest of the training has it; a discriminator has its own.
ADVERSARY = dict(name="adam", peak=1e-4, b1=0.5, b2=0.999)
Objective = dict[str, dict[str, Any]]


def sections(
  row: str, *, size: int, classes: int, images: int, width: int
) -> dict[str, Any]:
  """Returns `views` and `objective` of a row, for images without crops.

  Args:
    row: a name in `ROWS`.
    size: side of the images in pixels.
    classes, images, width: see `objective`.
  """
  views = dict(name="none", size=size, count=1)
  if row in OCCLUDED:
    views = dict(name="occluded", size=size, block=10, fill=0.5)
  terms = objective(row, width=width, classes=classes, images=images)
  return {"views": views, "objective": terms}


def basic(row: str, size: int, width: int) -> dict[str, Any]:
  """Returns `encoder` for images of `size` pixels, 28 or 32."""
  return dict(
    name=f"basic{size}x{size}",
    dim=DIMS.get(row, 64),
    width=width,
    dtype="float32",
  )


def alex64(row: str, tiny: bool) -> dict[str, Any]:
  """Returns `encoder` for images of 64 pixels."""
  return dict(
    name="alex64x64",
    dim=DIMS.get(row, 64),
    width=4 if tiny else 96,
    hidden=32 if tiny else 4096,
    dtype="float32",
  )


def stl10_crop() -> dict[str, Any]:
  """Returns `views` of STL-10: crops of exactly 64 x 64 pixels of 96 x 96."""
  return dict(
    name="crop",
    size=64,
    count=1,
    crop_scale=(0.4445, 0.4445),  # 64 / 96 squared
    crop_ratio=(1.0, 1.0),
  )


def probes(tiny: bool) -> tuple[str, ...]:
  """Returns the protocols of the tables; tests leave out the MLP."""
  return PROBES[:2] if tiny else PROBES


def of_crops(row: str, *, units: int) -> Objective:
  """Returns `objective` of encoders whose places see one crop each.

  Args:
    row: `dim`, one summary; `multi`, one per block; or `cpc`.
    units: of the encode-and-dot critics.
  """
  critic = dict(name="encode_and_dot", units=units)
  term: dict[str, Any] = dict(weight=1.0, estimator="infonce", critic=critic)
  if row == "cpc":
    return {"cpc": term | dict(ahead=3)}
  if row == "multi":
    term["summary"] = "glob"
  return {"deep_infomax_local": term | dict(stream="auto")}


def objective(row: str, *, width: int, classes: int, images: int) -> Objective:
  """`config.objective` of a row.

  Args:
    row: a name in `ROWS`.
    width: of critics and decoders (published: 64); the encode-and-dot critic
      has 32 times as many units, the other heads in proportion too.
    classes: of the labels, for `supervised`.
    images: in the training set, for `nat`.
  """
  make = lookup("row of the table", row, ROWS)
  return make(width=width, classes=classes, images=images)


def local(estimator: str, gamma: float = 0.1, beta: float = 1.0, **options):
  """DIM(L): every place of the local map against the summary."""

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
  """DIM(G): the last map as a whole against the summary."""

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
  """The row with both coordinate tasks beside it."""

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
# Units of y where they are not 64.
DIMS = {"generator": 1}
# Rows whose summary is of an image that is partly covered.
OCCLUDED = ("occlude", "coord_occlude")
