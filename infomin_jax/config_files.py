"""Finds config files: those of the user, and those of the package."""

import pathlib
import sysconfig

from infomin_jax.paths import local


def find(config: str) -> str:
  """Returns `FILE:VARIANT`; the user's own file precedes the package's."""
  name, colon, variant = config.partition(":")
  path = local("--config", name)
  if not path.is_file() and path.parent.name in ("", "configs"):
    path = packaged(path.name) or path
  return f"{path}{colon}{variant}"


def packaged(name: str) -> pathlib.Path | None:
  """Returns `configs/NAME` of the package, or None if there is no such file."""
  # pip puts data files below the environment, or below the folder of the user.
  schemes = (
    sysconfig.get_default_scheme(),
    sysconfig.get_preferred_scheme("user"),
  )
  installed = [
    pathlib.Path(sysconfig.get_path("data", scheme)) / "share/infomin_jax"
    for scheme in schemes
  ]
  checkout = pathlib.Path(__file__).parents[1]
  paths = [folder / "configs" / name for folder in (checkout, *installed)]
  return next((path for path in paths if path.is_file()), None)
