"""Data sources for sets that TFDS has prepared as array_record files.

Reading needs neither TensorFlow nor the builder class of a set, because its
folder has all metadata. `catalog.prepare` makes such folders.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.masks import decoded_mask
from infomin_jax.data.sources import Task, bad_split, checked_index, decoded
from infomin_jax.errors import UserError, lookup
from infomin_jax.paths import local

# Our name -> TFDS builder. All configurations of div2k have the same `hr`.
BUILDERS = {
  "mnist": "mnist",
  "cifar10": "cifar10",
  "cifar100": "cifar100",
  "stl10": "stl10",
  "celeb_a": "celeb_a",
  "imagenet2012": "imagenet2012",
  "imagenet_resized_64": "imagenet_resized/64x64",
  "tiny_imagenet": "tiny_imagenet",
  "div2k": "div2k/bicubic_x2",
}
# Splits in which all labels are -1.
_UNLABELLED = {"stl10": ("unlabelled", "all"), "imagenet2012": ("test", "all")}


def default_dir(data_dir: str) -> pathlib.Path:
  """Returns the folder of the prepared sets: `data_dir`, or TFDS's default."""
  default = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
  return local("data_dir", data_dir or default)


def find(builder: str, data_dir: str = "") -> pathlib.Path | None:
  """Returns the folder of a prepared set, or None.

  Args:
    builder: `name`, `name/config`, `name:version` or `name/config:version`;
      without a version the newest prepared one.
    data_dir: folder of the prepared sets; "" is TFDS's default.
  """
  path, _, version = builder.partition(":")
  name, _, config = path.partition("/")
  top = default_dir(data_dir) / name
  metadata = top / ".config" / "metadata.json"
  if not config and metadata.is_file():
    config = json.loads(metadata.read_text())["default_config_name"]
  infos = (top / config).glob(f"{version or '*'}/dataset_info.json")
  versions = [
    (tuple(int(n) for n in info.parent.name.split(".")), info.parent)
    for info in infos
    if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
  ]
  return max(versions)[1] if versions else None


def file_format(folder: pathlib.Path) -> str:
  """Returns how a prepared set is stored: `array_record`, `tfrecord`, ..."""
  info = json.loads((folder / "dataset_info.json").read_text())
  return info.get("fileFormat", "tfrecord")


def load_prepared(
  name: str, split: str, builder: str, data_dir: str = "", mask: str = ""
) -> "TfdsSource":
  """Makes a source of a split of a prepared set.

  Raises:
    UserError: not prepared; the message has the command that prepares it.
  """
  folder = find(builder, data_dir)
  if folder is None:
    path = default_dir(data_dir) / builder.replace(":", "/")
    option = f" --data_dir {data_dir}" if data_dir else ""
    target = name if name in BUILDERS else builder
    raise UserError(
      f"{name} is not prepared: no dataset_info.json with *.array_record-* "
      f"files below {path}. Run: infomin data prepare {target}{option}"
    )
  return TfdsSource(name, folder, split, mask)


def load(name: str, split: str, data_dir: str = "") -> "TfdsSource":
  """Makes a source of a split of one of `BUILDERS`.

  Args:
    name: a key of `BUILDERS`.
    split: a TFDS split string: `train`, `test[:10%]`, `train+unlabelled`.
    data_dir: the folder of the prepared sets; "" is TFDS's default.

  Raises:
    UserError: not prepared, or no such split.
  """
  return load_prepared(name, split, BUILDERS[name], data_dir)


def load_any(
  split: str, builder: str, data_dir: str = "", mask: str = ""
) -> "TfdsSource":
  """Makes a source of a split of any prepared TFDS set.

  Args:
    split: a TFDS split string.
    builder: `name`, `name/config` or `name/config:version`.
    data_dir: the folder of the prepared sets; "" is TFDS's default.
    mask: name of the feature with the classes of pixels, or "". Examples are
      segmentation_mask (oxford_iiit_pet, caltech_birds2011), segmentation_label
      (cityscapes) and annotation (scene_parse150).

  Raises:
    UserError: not prepared, no such split, or no such feature.
  """
  if not re.fullmatch(r"\w+(/[\w.-]+)?(:\d+\.\d+\.\d+)?", builder):
    raise UserError(
      f"data.builder: expected name, name/config or name/config:1.0.0, got "
      f"{builder!r}."
    )
  return load_prepared(builder, split, builder, data_dir, mask)


def write(
  builder: tfds.core.DatasetBuilder, manual_dir: str = ""
) -> pathlib.Path:
  """Prepares a set and returns its folder, which exists only if complete.

  Args:
    builder: a builder made with `file_format="array_record"`.
    manual_dir: a folder with files that were downloaded by hand, or "".

  Raises:
    UserError: a download failed, or a file or folder cannot be used.
  """
  config = tfds.download.DownloadConfig(
    manual_dir=manual_dir or None, try_download_gcs=False
  )
  tfds.display_progress_bar(sys.stderr.isatty())
  try:
    # TFDS prints on stdout, where only the command's result may be.
    with contextlib.redirect_stdout(sys.stderr):
      builder.download_and_prepare(download_config=config)
  except OSError as error:  # the downloader's errors are OSErrors too
    # Two processes may prepare a set at the same time, each in its own
    # temporary folder. Only one of them can rename it. For the other one the
    # set is then complete.
    if not builder.is_prepared():
      raise UserError(
        f"{builder.name} could not be prepared in {builder.data_dir}: "
        f"{str(error).splitlines()[0]}. Without a network, put the set's "
        "archives in a folder and give it as --manual_dir."
      ) from error
  return pathlib.Path(builder.data_dir)


class TfdsSource:
  """One split of a prepared set, opened when first read.

  Class labels and booleans, also nested ones, are int fields and tasks. Those
  of celeb_a are named `attribute_Smiling` and so on. If only some records have
  labels, the others have the label -1, and there are no tasks. The image
  feature named by `mask` is the field `mask`. Other features are left out.
  Records are in the order of the files.
  """

  def __init__(
    self, name: str, folder: pathlib.Path, split: str, mask: str = ""
  ):
    self.name, self._mask = name, mask
    self._folder = folder
    self._split = split
    builder = _open(folder, name)
    features = builder.info.features
    self._image = image_field(features, name)
    if mask:
      lookup("image feature (config.data.mask)", mask, _images(features))
    shape = features[self._image].shape
    self._channels = shape[-1] or 0
    self.image_shape = None if None in shape else shape
    names = set(re.findall(r"[A-Za-z_]\w*", split))
    unlabeled = names & {*_UNLABELLED.get(builder.info.name, ())}
    has_labels = names - unlabeled or "all" in unlabeled
    self._fields = task_fields(features) if has_labels else {}
    self.tasks = {}
    if not unlabeled:
      self.tasks = {key: task for key, (_, task) in self._fields.items()}
    lengths = {k: v.num_examples for k, v in builder.info.splits.items()}
    try:
      self._files = builder.info.splits[split].file_instructions
    except (KeyError, ValueError) as error:
      raise bad_split(split, name, lengths, error) from error
    self._length = sum(file.take for file in self._files)
    if not self._length:
      raise UserError(f"Split {split!r} of {name} is empty; sizes: {lengths}.")
    for file in self._files:
      if not os.path.exists(file.filename):
        raise UserError(
          f"{name}: {file.filename} is missing; delete {folder} and prepare "
          "the set again."
        )

  def __len__(self) -> int:
    return self._length

  def __getstate__(self):
    return {k: v for k, v in self.__dict__.items() if k != "_records"}

  @functools.cached_property
  def _records(self) -> Any:
    builder = _open(self._folder, self.name)
    # TFDS wraps this method in a way that hides its type from checkers.
    as_data_source: Any = builder.as_data_source
    images = _images(builder.info.features)
    return as_data_source(
      self._split, decoders={k: tfds.decode.SkipDecoding() for k in images}
    )

  def __getitem__(self, index: int, /) -> dict[str, Any]:
    index = checked_index(index, self)
    try:
      example = self._records[index]
    except RuntimeError as error:  # array_record raises it for a damaged file
      raise BrokenRecord(
        f"Record {index} of {self.name} ({self.where(index)}) cannot be "
        f"read: {str(error).splitlines()[0]}."
      ) from error
    return self._record(index, example)

  def records(self, indices: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Reads records in one call, which is faster; decodes them one by one."""
    indices = [checked_index(index, self) for index in indices]
    try:
      examples = self._records.__getitems__(indices)
    except RuntimeError:
      # Reading one at a time raises BrokenRecord for the damaged one.
      yield from (self[index] for index in indices)
      return
    for index, example in zip(indices, examples, strict=True):
      yield self._record(index, example)

  def _record(self, index, example):
    image = decoded(example[self._image], self._channels, index, self)
    record: dict[str, Any] = {"image": image}
    for field, (path, _) in self._fields.items():
      value = example
      for key in path:
        value = value[key]
      record[field] = int(value)
    if self._mask:
      mask = example[self._mask]
      record["mask"] = decoded_mask(mask, image.shape, index, self)
    return record | {"index": index}

  def where(self, index: int) -> str:
    """Returns the file of a record and its position there, for messages."""
    for file in self._files:
      if index < file.take:
        break
      index -= file.take
    return f"{file.filename}, position {file.skip + index}"


def _open(folder, name):
  if (kind := file_format(folder)) != "array_record":
    raise UserError(
      f"{name}: {folder} holds {kind} files, which cannot be read at random; "
      "prepare the set as array_record in another data_dir: infomin data "
      f"prepare {name} --data_dir FOLDER"
    )
  return tfds.builder_from_directory(str(folder))


def image_field(features, name):
  """Returns the key of the image: `image`, `hr` (div2k), or the first image.

  Raises:
    UserError: the set has no images.
  """
  images = [k for k, f in features.items() if type(f) is tfds.features.Image]
  for key in ("image", "hr", *images[:1]):
    if key in images:
      return key
  fields = ", ".join(sorted(features))
  raise UserError(f"{name} has no images; its fields: {fields}.")


def _images(features) -> dict[str, Any]:
  """Returns the features that are stored as encoded images."""
  kind = tfds.features.Image
  return {key: f for key, f in features.items() if isinstance(f, kind)}


def task_fields(features, path=()):
  """Returns `{field: (path of keys, Task)}` for class labels and booleans.

  `label` is first, the others are sorted by name. TFDS has no fixed order of
  features, and metrics during training use the first task.
  """
  tasks = {}
  for key, feature in features.items():
    here = (*path, key)
    # celeb_a's group is named "attributes", but a field "attribute_...".
    field = "_".join([k.removesuffix("s") for k in path] + [key])
    if isinstance(feature, tfds.features.FeaturesDict):
      tasks |= task_fields(feature, here)
    elif isinstance(feature, tfds.features.ClassLabel):
      if feature.num_classes:
        number, names = feature.num_classes, tuple(feature.names or ())
        # TFDS numbers classes that have no names.
        names = () if names == tuple(map(str, range(number))) else names
        tasks[field] = here, Task(field, number, names)
    elif feature.shape == () and feature.np_dtype == np.bool_:
      tasks[field] = here, Task(field, 2)
  return dict(sorted(tasks.items(), key=lambda it: (it[0] != "label", it[0])))
