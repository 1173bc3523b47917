"""The list of data sets, ready or not, and their preparation."""

import importlib.util
from collections.abc import Iterable
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from infomin_jax.data import fashion_mnist, tfds_sources, tiny_imagenet
from infomin_jax.errors import UserError, nearest

_PREPARE = "infomin data prepare {name}"
# Sets that TFDS cannot download itself -> files to download by hand.
_BY_HAND = {
  "imagenet2012": (
    "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org"
  ),
  "tiny_imagenet": "tiny-imagenet-200.zip from cs231n.stanford.edu",
}
# Sources that are always ready, or need only an option -> how to use them.
_OTHERS = {
  "arrays": "set data.path to an .npy or .npz file",
  "colorful_digits": "drawn in memory from scikit-learn's digits",
  "folder": "set data.path to a folder of images",
  "moving_digits": "drawn in memory from scikit-learn's digits",
  "moving_mnist": "drawn from mnist and stl10 as it is read",
  "photo_windows": "cut in memory from eight photographs",
  "tinted_fashion_mnist": "colored from fashion_mnist as it is read",
  "tfds": "set data.builder to the name of any prepared TFDS set",
}
# Sources that read other sets.
_NEEDS = {
  "moving_mnist": ("mnist", "stl10"),
  "tinted_fashion_mnist": ("fashion_mnist",),
}
# TFDS's default of 10 retries takes 204 seconds without a network.
_RETRIES = 3


def describe(
  data_dir: str = "", names: Iterable[str] = ()
) -> list[dict[str, Any]]:
  """Lists the data sets, sorted by name.

  Args:
    data_dir: folder of the prepared sets; "" is TFDS's default.
    names: names of all sources; those that were added by a user are listed too.

  Returns:
    Rows `{"name", "ready", "where", "how"}`: `ready` is whether the set can be
    loaded now, `where` is its folder or "", `how` says how to get or use it.
  """
  rows = [_fashion_row(data_dir)]
  for name, builder in tfds_sources.BUILDERS.items():
    folder = tfds_sources.find(builder, data_dir)
    ready = bool(folder) and _readable(folder)
    how = _PREPARE.format(name=name)
    if name in _BY_HAND:
      how += f" --manual_dir FOLDER, with {_BY_HAND[name]}"
    if folder and not ready:
      how = f"stored as {tfds_sources.file_format(folder)}: {how}, elsewhere"
    rows.append(_row(name, ready, folder or "", "" if ready else how))
  rows += [_row(name, True, "", how) for name, how in _OTHERS.items()]
  ready = {row["name"]: row["ready"] for row in rows}
  for row in rows:
    if missing := [n for n in _NEEDS.get(row["name"], ()) if not ready[n]]:
      row |= {"ready": False, "how": f"needs {' and '.join(missing)}"}
  own = set(names) - ready.keys()
  rows += [_row(name, True, "", "added by --with") for name in own]
  return sorted(rows, key=lambda row: row["name"])


def prepare(name: str, data_dir: str = "", manual_dir: str = "") -> str:
  """Prepares a data set as array_record files, unless it is prepared already.

  Args:
    name: a name that `describe` lists, or a TFDS builder, `name/config`.
    data_dir: folder of the prepared sets; "" is TFDS's default.
    manual_dir: a folder with files that were downloaded by hand, or "".

  Returns:
    The folder of the prepared set.

  Raises:
    UserError: unknown name, missing TensorFlow or files, or no network.
  """
  if name in _OTHERS:
    raise UserError(f"{name} needs no preparation: {_OTHERS[name]}.")
  if name == "fashion_mnist":
    prepared_dir = fashion_mnist.prepared(data_dir)
    return str(prepared_dir or fashion_mnist.prepare(data_dir, manual_dir))
  builder = tfds_sources.BUILDERS.get(name, name)
  folder = tfds_sources.find(builder, data_dir)
  if folder and not _readable(folder):
    raise UserError(
      f"{name} is in {folder} as {tfds_sources.file_format(folder)}, which "
      "cannot be read at random; prepare it with another --data_dir."
    )
  if folder:
    return str(folder)
  if name == "tiny_imagenet":
    return str(tiny_imagenet.prepare(data_dir, manual_dir))
  return _prepare_registered(name, builder, data_dir, manual_dir)


def _prepare_registered(name, builder, data_dir, manual_dir):
  # Listing community sets would use the network.
  builders = tfds.list_builders(with_community_datasets=False)
  if builder.partition("/")[0].partition(":")[0] not in builders:
    ours = ["fashion_mnist", *tfds_sources.BUILDERS]
    raise UserError(
      f"Unknown data set {name!r}: {nearest(name, ours)} TFDS has "
      f"{len(builders)} more."
    )
  if importlib.util.find_spec("tensorflow") is None:
    raise UserError(
      f"Preparing {name} needs TensorFlow (reading it will not): pip install "
      "infomin-jax[prepare]"
    )
  if name in _BY_HAND and not manual_dir:
    raise UserError(
      f"{name} must be downloaded by hand: give --manual_dir, a folder with "
      f"{_BY_HAND[name]}."
    )
  top = tfds_sources.default_dir(data_dir)
  try:
    dataset = tfds.builder(
      builder, data_dir=str(top), file_format="array_record"
    )
    module: Any = downloader  # whose constant has the type of its value
    module.MAX_RETRIES = _RETRIES
    return str(tfds_sources.write(dataset, manual_dir))
  except ModuleNotFoundError as error:
    raise UserError(
      f"Preparing {name} needs the package {error.name}, which is missing: pip "
      f"install {error.name}"
    ) from error
  except UserError:
    raise
  except (AssertionError, ValueError) as error:
    # TFDS raises these for a missing manual file and for a bad configuration.
    text = " ".join(str(error).split())
    raise UserError(f"{name} could not be prepared: {text}") from error


def _readable(folder):
  return tfds_sources.file_format(folder) == "array_record"


def _fashion_row(data_dir):
  name = "fashion_mnist"
  if prepared_dir := fashion_mnist.prepared(data_dir):
    return _row(name, True, prepared_dir, "")
  try:
    folder = fashion_mnist.idx_folder(data_dir)
  except UserError:
    how = "apt-get install dataset-fashion-mnist"
    return _row(name, False, "", f"{how}, or {_PREPARE.format(name=name)}")
  return _row(name, True, folder, "prepared on first use, in half a minute")


def _row(name, ready, where, how):
  return {"name": name, "ready": ready, "where": str(where), "how": how}
