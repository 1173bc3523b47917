"""TPUs to compile for without having them: names, speeds and devices."""

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from infomin_jax.errors import UserError, lookup

# With these set, libtpu does not query a cloud's metadata server, and several
# processes can load it at once.
_QUIET = {
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_ACCELERATOR_TYPE": "v5litepod-16",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Chip(NamedTuple):
  """A chip, with its maker's figures.

  Attributes:
    flops: bfloat16 operations per second.
    memory: bytes of HBM.
    bandwidth: bytes per second from HBM.
    links: bytes per second to other chips, over all links, in one direction.
    devices: number of JAX devices per chip.
    per_host: chips per machine of a slice.
    sides: number of dimensions of a topology.
  """

  flops: float
  memory: float
  bandwidth: float
  links: float
  devices: int
  per_host: int
  sides: int


# https://cloud.google.com/tpu/docs/system-architecture-tpu-vm, one page per
# chip.
CHIPS: Mapping[str, Chip] = {
  "v4": Chip(275e12, 32 * 2**30, 1228e9, 300e9, 1, 4, 3),
  "v5e": Chip(197e12, 16 * 2**30, 819e9, 200e9, 1, 4, 2),
  "v5p": Chip(459e12, 95 * 2**30, 2765e9, 600e9, 1, 4, 3),
  "v6e": Chip(918e12, 32 * 2**30, 1640e9, 448e9, 1, 4, 2),
  "tpu7x": Chip(2307e12, 192 * 2**30, 7380e9, 1200e9, 2, 4, 3),
}


class Slice(NamedTuple):
  """One or more slices of chips of one kind.

  Attributes:
    name: kind and sides, such as `v5e:4x4`.
    chip: the kind of chip.
    slices: number of slices.
    chips: number of chips over all slices.
    devices: JAX devices to compile for.
  """

  name: str
  chip: Chip
  slices: int
  chips: int
  devices: list[Any]


def absent(name: str, slices: int = 1) -> Slice:
  """Returns devices to compile for; nothing can run on them.

  Args:
    name: kind and sides, such as `v5e:16x16` or `v5p:8x8x8`.
    slices: number of slices with these sides, joined by a network.

  Raises:
    UserError: the chip or its sides are unknown, or libtpu is missing.
  """
  kind, _, sides = name.partition(":")
  chip = lookup("chip (--topology)", kind, CHIPS)
  form = "x".join("4" * chip.sides)
  if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", sides) or (
    sides.count("x") != chip.sides - 1
  ):
    raise UserError(
      f"--topology is {name!r}: expected {chip.sides} sides, as in "
      f"{kind}:{form}."
    )
  for key, value in _QUIET.items():
    os.environ.setdefault(key, value)
  # By default, the two cores of a v4 chip are two devices; "megacore" makes
  # them one, as they are used.
  options: dict[str, Any] = {}
  if kind == "v4":
    options["chip_config_name"] = "megacore"
  if slices > 1:
    options["num_slices"] = slices
  try:
    topology = topologies.get_topology_desc(
      platform="tpu", topology_name=name, **options
    )
  except RuntimeError as error:
    if "not installed" in str(error):
      raise UserError(
        "Compiling for a TPU needs libtpu: pip install 'infomin-jax[tpu]'."
      ) from error
    raise _no_such(name, error) from error
  except (ValueError, jax.errors.JaxRuntimeError) as error:
    raise _no_such(name, error) from error
  devices = list(topology.devices)
  return Slice(name, chip, slices, len(devices) // chip.devices, devices)


def _no_such(name: str, error: Exception) -> UserError:
  why = str(error).splitlines()[0]
  return UserError(
    f"--topology {name} cannot be compiled for: {why}. Sides are 1, or divide "
    "by the 2x2 chips of a machine."
  )
