"""Devices: one mesh axis, `data`, over which every batch is sharded.

The axis is `Auto`: code is written as for one device on global arrays, and the
compiler places negatives and batch statistics across devices. (JAX makes
meshes `Explicit` by default, and refuses `x @ y.T` with both sides sharded.)
"""

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infomin_jax.errors import UserError


def make_mesh(devices=None) -> Mesh:
  """A one-axis mesh over `devices` (default: all), slice after slice.

  Devices of a slice are neighbors on the axis, so a ring leaves each slice
  once; `jax.make_mesh` refuses more than one.
  """
  devices = jax.devices() if devices is None else devices
  slices = len({getattr(device, "slice_index", 0) for device in devices})
  if slices > 1:
    each = len(devices) // slices
    placed = mesh_utils.create_hybrid_device_mesh(
      (each,), (slices,), devices, allow_split_physical_axes=True
    )
    return Mesh(placed, ("data",), axis_types=(AxisType.Auto,))
  return jax.make_mesh(
    (len(devices),), ("data",), (AxisType.Auto,), devices=devices
  )


def check_batch_size(config, mesh: Mesh) -> None:
  """Refuses a global batch that devices and parts cannot share evenly."""
  size = config.batch_size
  for key in ("accumulate", "grad_cache"):
    if config[key] < 1:
      raise UserError(f"config.{key} is {config[key]}: expected 1 or more.")
  parts = mesh.size * config.accumulate * config.grad_cache
  if size < 2 or size % parts:
    raise UserError(
      f"config.batch_size is {size}: expected a multiple of {parts} "
      f"({mesh.size} devices x accumulate={config.accumulate} x "
      f"grad_cache={config.grad_cache}), at least 2."
    )


def by_row(mesh: Mesh) -> NamedSharding:
  """Every device has its rows."""
  return NamedSharding(mesh, PartitionSpec("data"))


def whole(mesh: Mesh) -> NamedSharding:
  """Every device has it all."""
  return NamedSharding(mesh, PartitionSpec())


def local_rows(mesh: Mesh, batch_size: int) -> np.ndarray:
  """The rows of a global batch that this process's devices hold, `[r]`."""
  held = by_row(mesh).addressable_devices_indices_map((batch_size,))
  rows = [np.arange(batch_size)[place] for place in held.values()]
  return np.sort(np.concatenate(rows))


def shard(mesh: Mesh, batch):
  """Host arrays, `local_rows` of each, to global arrays sharded by row."""
  sharding = by_row(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    batch,
  )


def shard_whole(mesh: Mesh, batch):
  """`shard`, of host arrays that every process has whole."""
  return jax.tree.map(lambda x: jax.device_put(x, by_row(mesh)), batch)


def replicate(mesh: Mesh, tree):
  """A copy of every array on every device."""
  return jax.device_put(tree, whole(mesh))
