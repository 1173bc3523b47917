"""Devices: one mesh axis, `data`, over which every batch is sharded.

The axis is `Auto`: code is written as for one device on global arrays, and the
compiler places negatives and batch statistics across devices. (JAX makes
meshes `Explicit` by default, and refuses `x @ y.T` with both sides sharded.)
"""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from infomin_jax.errors import UserError


def make_mesh(devices=None) -> Mesh:
  """A one-axis mesh over `devices` (default: all)."""
  devices = jax.devices() if devices is None else devices
  return jax.make_mesh(
    (len(devices),), ("data",), (AxisType.Auto,), devices=devices
  )


def check_batch_size(batch_size: int, mesh: Mesh, accumulate: int) -> None:
  """Refuses a global batch that devices or accumulation cannot share evenly."""
  parts = mesh.size * accumulate
  if batch_size < 2 or batch_size % parts:
    raise UserError(
      f"config.batch_size is {batch_size}: expected a multiple of {parts} "
      f"({mesh.size} devices x accumulate={accumulate}), at least 2."
    )


def shard(mesh: Mesh, batch):
  """Host arrays, this process's rows, to global arrays sharded by row."""
  sharding = NamedSharding(mesh, PartitionSpec("data"))
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    batch,
  )


def replicate(mesh: Mesh, tree):
  """A copy of every array on every device."""
  return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
