"""Finds config files: the user's own, and those that come with the package."""

import pathlib
import sysconfig

from infomin_jax.paths import local


def find(config: str) -> str:
  """Returns `FILE:VARIANT` with the user's file, or else the package's."""
  name, colon, variant = config.partition(":")
  path = local("--config", name)
  if not path.is_file() and path.parent.name in ("", "configs"):
    path = packaged(path.name) or path
  return f"{path}{colon}{variant}"


def packaged(name: str) -> pathlib.Path | None:
  """Returns the package's `configs/NAME`, or None if it has no such file."""
  # pip puts data files below the environment, or below the user's own folder.
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
