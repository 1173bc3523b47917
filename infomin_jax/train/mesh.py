"""Devices: one mesh axis, `data`, over which every batch is sharded.

The axis is `Auto`: code is written for one device and global arrays, and the
compiler inserts the collectives for negatives and batch statistics. JAX's
default, `Explicit`, refuses `x @ y.T` with both sides sharded.
"""

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infomin_jax.errors import UserError


def make_mesh(devices=None) -> Mesh:
  """Returns a one-axis mesh over `devices` (default: all), slice after slice.

  Devices of a TPU slice are neighbors on the axis, so a ring over the axis
  leaves each slice only once.
  """
  devices = jax.devices() if devices is None else devices
  slices = len({getattr(device, "slice_index", 0) for device in devices})
  if slices > 1:  # `jax.make_mesh` refuses more than one slice
    each = len(devices) // slices
    placed = mesh_utils.create_hybrid_device_mesh(
      (each,), (slices,), devices, allow_split_physical_axes=True
    )
    return Mesh(placed, ("data",), axis_types=(AxisType.Auto,))
  return jax.make_mesh(
    (len(devices),), ("data",), (AxisType.Auto,), devices=devices
  )


def check_batch_size(config, mesh: Mesh) -> None:
  """Refuses a global batch size that devices and slices do not divide."""
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
  """Returns the sharding along the batch axis."""
  return NamedSharding(mesh, PartitionSpec("data"))


def whole(mesh: Mesh) -> NamedSharding:
  """Returns the sharding with a full copy on every device."""
  return NamedSharding(mesh, PartitionSpec())


def local_rows(mesh: Mesh, batch_size: int) -> np.ndarray:
  """Returns the rows of a global batch on this process's devices, `[r]`."""
  places = by_row(mesh).addressable_devices_indices_map((batch_size,))
  rows = [np.arange(batch_size)[place] for place in places.values()]
  return np.sort(np.concatenate(rows))


def shard(mesh: Mesh, batch):
  """Makes global arrays, sharded by row, from each process's `local_rows`."""
  sharding = by_row(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    batch,
  )


def shard_whole(mesh: Mesh, batch):
  """Shards host arrays by row; every process holds the full arrays."""
  return jax.tree.map(lambda x: jax.device_put(x, by_row(mesh)), batch)


def replicate(mesh: Mesh, tree):
  """Copies every array to every device."""
  return jax.device_put(tree, whole(mesh))
