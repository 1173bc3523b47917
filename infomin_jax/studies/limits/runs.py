"""The lines of the table, with the settings that vary in each experiment."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Variant:
  """One line of the results.

  Attributes:
    experiment: `E1`, ..., `metric`.
    name: unique name of the line, such as `E4-bilinear-nwj`.
    kind: kind of training: `pair`, `adversarial`, `dependent`, or `pixels` for
      raw pixels without training.
    objective: name of the objective, such as `infonce`.
    critic: a name in `networks.CRITICS`, or "".
    encoder: a name in `networks.ENCODERS`, or "".
    target: nats at which the bound is held. None maximizes the bound.
    dependent: whether negatives depend on each other (E6).
    settings: settings of the experiment.
  """

  experiment: str
  name: str
  kind: str
  objective: str
  settings: Mapping[str, Any]
  critic: str = ""
  encoder: str = ""
  target: float | None = None
  dependent: bool = False

  def described(self) -> dict:
    """Returns all attributes but the settings, as plain data."""
    return {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if field.name != "settings"
    }


def variants(experiment: str, settings: Mapping[str, Any]) -> list[Variant]:
  """Returns the lines of an experiment."""
  make = _VARIANTS[experiment]
  rows: Iterator[dict[str, Any]] = make(experiment, settings)
  blank = Variant(experiment, "", "", "", settings)
  return [dataclasses.replace(blank, **row) for row in rows]


def _pixels(experiment, settings):
  yield dict(
    name=f"{experiment}-pixels",
    kind="pixels",
    objective="",
    settings={**settings, "steps": 0, "every": 1},
  )


def _bounds(encoder):
  def make(experiment, settings):
    if "noise" in settings:
      yield from _pixels(experiment, settings)
    for estimator in settings["objectives"]:
      yield dict(
        name=f"{experiment}-{estimator}",
        kind="pair",
        objective=estimator,
        critic="bilinear",
        encoder=encoder,
      )

  return make


def _adversarial(experiment, settings):
  del settings
  yield dict(
    name=experiment,
    kind="adversarial",
    objective="adversarial",
    encoder="realnvp",
  )


def _critics(experiment, settings):
  yield from _pixels(experiment, settings)
  for critic in ("bilinear", "separable", "concat"):
    for estimator in settings["objectives"]:
      yield dict(
        name=f"{experiment}-{critic}-{estimator}",
        kind="pair",
        objective=estimator,
        critic=critic,
        encoder="mlp",
      )


def _matched(experiment, settings):
  for encoder in ("convnet", "mlp"):
    for target in settings["targets"]:
      for estimator in settings["objectives"]:
        yield dict(
          name=f"{experiment}-{encoder}-t{target:g}-{estimator}",
          kind="pair",
          objective=estimator,
          critic="bilinear",
          encoder=encoder,
          target=target,
        )


def _cifar(experiment, settings):
  yield from _critics(experiment, settings)
  yield from _matched(experiment, settings)


def _dependent(experiment, settings):
  for dependent in (True, False):
    for estimator in settings["objectives"]:
      pairs = "dependent" if dependent else "independent"
      yield dict(
        name=f"{experiment}-{pairs}-{estimator}",
        kind="dependent",
        objective=estimator,
        critic="concat",
        dependent=dependent,
      )


def _metric(experiment, settings):
  for objective in settings["objectives"]:
    yield dict(
      name=f"{experiment}-{objective}",
      kind="pair",
      objective=objective,
      critic="inner",
      encoder="mlp",
    )


_VARIANTS: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
  "E1": _bounds("realnvp"),
  "E2": _adversarial,
  "E3": _bounds("skip_mlp"),
  "E4": _critics,
  "E5": _matched,
  "E6": _dependent,
  "E7": _cifar,
  "metric": _metric,
}
