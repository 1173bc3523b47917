"""The paper's claims, by family; the last of them goes beyond it."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from infomin_jax.studies.claims import Claim, above, extreme, paired
from infomin_jax.studies.good_views import published, runs
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line

Effect = Callable[[Results], dict[int, float]]
ACCURACY, SHARED = "linear_pool", "shared_views"
# Whether views share less as the swept option grows.
_FALLS = {"jitter": True, "crop": False, "patch": True}


def claims(settings: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
  """All claims, about the data that the settings name."""
  found: list[Claim] = []
  for family, options in settings.items():
    # Without a config, claims have no runs, and say of which family.
    config = (*options["configs"], family)[0]
    found += _OF[family](family, config, options)
  return found


def _swept(family: str, config: str, options: Mapping[str, Any]) -> list[Claim]:
  names = [runs.swept(config, options, v).name for v in options["values"]]
  first, *inner, last = names
  if not inner:
    return []
  best = extreme(max, inner, ACCURACY)
  ends = extreme(max, (first, last), ACCURACY)
  found = [
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
    found.append(
      above(
        f"{family}-lowers-information",
        "stronger views share less: I(v1; v2) of the weakest and the strongest",
        more,
        less,
        None,
        SHARED,
      )
    )
  return found


def _frequency(family, config, options) -> list[Claim]:
  values = options["values"]
  names = {v: runs.swept(config, options, v).name for v in values}
  middle = 0.7
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
    "digit-alone": "shared alone, the digit is learned, which sharing position "
    "does not teach",
    "background-alone": "shared alone, the background is learned, which "
    "sharing the digit does not teach",
    "position-alone": "shared alone, the position is learned, which sharing "
    "the digit does not teach (error)",
    "background-beats-digit": "the digit is left out where the background is "
    "shared too",
    "digit-beats-position": "the position is left out where the digit is "
    "shared too (error)",
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
  found = []
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
      known = better in papers and worse in papers
      found.append(
        above(
          f"learned-{better}-above-{worse}-{space}",
          f"{better} views of {space} are better than {worse} ones",
          names[better],
          names[worse],
          papers[better][0] - papers[worse][0] if known else None,
          ACCURACY,
        )
      )
    found.append(_steadier(names["semi"], names["unsupervised"], space))
  return found


def _steadier(semi: str, unsupervised: str, space: str) -> Claim:
  """Standard deviations, compared seed by seed as Brown and Forsythe do."""
  papers = published.LEARNED.get(space, {})
  paper = papers["unsupervised"][1] - papers["semi"][1] if papers else None
  return Claim(
    f"learned-semi-steadier-{space}",
    f"semi views of {space} give less different accuracies than unsupervised "
    "ones: distance from the median over seeds",
    paper,
    (semi, unsupervised),
    _minus(_from_median(unsupervised), _from_median(semi)),
  )


def _from_median(name: str) -> Effect:
  """Returns how far each seed's accuracy lies from the median of all."""

  def effect(results):
    found = results.values(name, ACCURACY)
    middle = statistics.median(found.values())
    return {seed: abs(value - middle) for seed, value in found.items()}

  return effect


def _minus(one: Effect, other: Effect) -> Effect:
  return lambda results: paired(
    lambda x, y: x - y, one(results), other(results)
  )


_OF = {
  "jitter": _swept,
  "crop": _swept,
  "patch": _swept,
  "frequency": _frequency,
  "colour": _color,
  "recipe": _recipe,
  "moving": _moving,
  "learned": _learned,
}
