"""The claims of the paper by family, and claims on `floor` beyond it."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from infomin_jax.studies.claims import Claim, above, extreme, paired
from infomin_jax.studies.good_views import published, runs
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line

Effect = Callable[[Results], dict[int, float]]
ACCURACY, SHARED = "linear_pool", "shared_views"
# Family -> whether the views share less as the option of the sweep grows.
_FALLS = {"jitter": True, "crop": False, "patch": True}


def claims(settings: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
  """Returns all claims, on the data sets of the settings."""
  entries: list[Claim] = []
  for family, options in settings.items():
    # Without a config, claims have no runs. Their reason names the family.
    config = (*options["configs"], family)[0]
    entries += _CLAIMS[family](family, config, options)
  return entries


def _swept(family: str, config: str, options: Mapping[str, Any]) -> list[Claim]:
  names = [runs.swept(config, options, v).name for v in options["values"]]
  first, *inner, last = names
  if not inner:
    return []
  best = extreme(max, inner, ACCURACY)
  ends = extreme(max, (first, last), ACCURACY)
  entries = [
    Claim(
      f"{family}-reverse-U",
      "some views between the weakest and the strongest are the best",
      None,
      tuple(names),
      _minus(best, ends),
    )
  ]
  if family in _FALLS:
    more, less = (first, last) if _FALLS[family] else (last, first)
    entries.append(
      above(
        f"{family}-lowers-information",
        "stronger views share less: I(v1; v2) of the weakest and the strongest",
        more,
        less,
        None,
        SHARED,
      )
    )
  return entries


def _frequency(family, config, options) -> list[Claim]:
  values = options["values"]
  names = {v: runs.swept(config, options, v).name for v in values}
  middle = 0.7  # of the claim: the sigma with the most information in the paper
  if middle not in names or len(values) < 3:
    return _swept(family, config, options)
  others = (names[values[0]], names[values[-1]])
  return [
    *_swept(family, config, options),
    Claim(
      "frequency-two-branches",
      "I(v1; v2) is largest near sigma 0.7 and falls to both sides",
      None,
      (names[middle], *others),
      _minus(
        extreme(max, (names[middle],), SHARED), extreme(max, others, SHARED)
      ),
    ),
  ]


def _color(family, config, options) -> list[Claim]:
  del family, options
  ydbdr, rgb = f"{config}-ydbdr", f"{config}-rgb"
  return [
    above(
      "colour-ydbdr-above-rgb",
      "luma and chroma are better views than red and the rest",
      ydbdr,
      rgb,
      published.LEARNED["ydbdr"]["raw"][0] - published.LEARNED["rgb"]["raw"][0],
      ACCURACY,
    ),
    above(
      "colour-rgb-shares-more",
      "red shares more with the rest than luma with chroma: I(v1; v2)",
      rgb,
      ydbdr,
      None,
      SHARED,
    ),
    above(
      "colour-ydbdr-segments",
      "luma and chroma are better views than red and the rest (mIoU)",
      ydbdr,
      rgb,
      None,
      "miou_conv",
    ),
  ]


def _recipe(family, config, options) -> list[Claim]:
  del family
  *others, strong = options["rows"]
  top1 = published.IMAGENET
  return [
    above(
      f"recipe-{strong}-above-{other}",
      f"{strong} gives better features than {other}",
      Line(config, strong).name,
      Line(config, other).name,
      top1[strong] - top1[other] if {strong, other} <= set(top1) else None,
      ACCURACY,
    )
    for other in others
  ]


def _moving(family, config, options) -> list[Claim]:
  del family
  names = {row.split(",")[0]: Line(config, row).name for row in options["rows"]}
  digit, background = ACCURACY, f"{ACCURACY}_background"
  compared = {
    "digit-alone": ("digit", "position", digit),
    "background-alone": ("background", "digit", background),
    "position-alone": ("digit", "position", "pixels_pool"),
    "background-beats-digit": ("digit", "background_digit", digit),
    "digit-beats-position": ("digit_position", "position", "pixels_pool"),
  }
  texts = {
    "digit-alone": "the digit is learned better if only the digit is shared "
    "than if only the position is",
    "background-alone": "the background is learned better if only the "
    "background is shared than if only the digit is",
    "position-alone": "the position is learned better if only the position is "
    "shared than if only the digit is (error)",
    "background-beats-digit": "the digit is learned worse if the background is "
    "shared, too",
    "digit-beats-position": "the position is learned worse if the digit is "
    "shared, too (error)",
  }
  return [
    above(
      f"moving-{name}",
      texts[name],
      names[a],
      names[b],
      published.MOVING[a][metric] - published.MOVING[b][metric],
      metric,
    )
    for name, (a, b, metric) in compared.items()
  ]


def _learned(family, config, options) -> list[Claim]:
  del family
  entries = []
  for space in options["spaces"]:
    rows = ("semi", "supervised", "unsupervised", "floor")
    names = {row: runs.learned(config, row, space)[1].name for row in rows}
    names["raw"] = Line(config, space).name
    papers = published.LEARNED.get(space, {})
    for better, worse in (
      ("semi", "raw"),
      ("raw", "supervised"),
      ("semi", "unsupervised"),
      ("floor", "semi"),
    ):
      published_both = better in papers and worse in papers
      entries.append(
        above(
          f"learned-{better}-above-{worse}-{space}",
          f"{better} views of {space} are better than {worse} ones",
          names[better],
          names[worse],
          papers[better][0] - papers[worse][0] if published_both else None,
          ACCURACY,
        )
      )
    entries.append(_steadier(names["semi"], names["unsupervised"], space))
  return entries


def _steadier(semi: str, unsupervised: str, space: str) -> Claim:
  """Returns the claim that accuracies of `semi` vary less over seeds.

  The effect is the difference of absolute deviations from the median, as in the
  test of Brown and Forsythe: it has one value per seed.
  """
  papers = published.LEARNED.get(space, {})
  paper = papers["unsupervised"][1] - papers["semi"][1] if papers else None
  return Claim(
    f"learned-semi-steadier-{space}",
    f"accuracies of semi views of {space} vary less over seeds than those of "
    "unsupervised ones (distance from the median)",
    paper,
    (semi, unsupervised),
    _minus(_from_median(unsupervised), _from_median(semi)),
  )


def _from_median(name: str) -> Effect:
  """Returns the effect |accuracy - median over seeds|."""

  def effect(results):
    accuracies = results.values(name, ACCURACY)
    middle = statistics.median(accuracies.values())
    return {seed: abs(value - middle) for seed, value in accuracies.items()}

  return effect


def _minus(one: Effect, other: Effect) -> Effect:
  return lambda results: paired(
    lambda x, y: x - y, one(results), other(results)
  )


_CLAIMS = {
  "jitter": _swept,
  "crop": _swept,
  "patch": _swept,
  "frequency": _frequency,
  "colour": _color,
  "recipe": _recipe,
  "moving": _moving,
  "learned": _learned,
}
