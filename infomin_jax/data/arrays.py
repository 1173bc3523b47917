"""A data source over arrays in an `.npz` or `.npy` file."""

import zipfile

import numpy as np

from infomin_jax.data import groups
from infomin_jax.data.sources import (
  Task,
  checked_index,
  every_tenth,
  select,
  split_rows,
)
from infomin_jax.errors import UserError
from infomin_jax.paths import local

_IMAGES, _LABELS = ("image", "images", "x"), ("label", "labels", "y")
_MOST_CLASSES = 2**20  # a probe has a row of weights for each
_SPLITS = ("train", "validation", "val", "test")


class ArraySource:
  """Records of one split of an `.npz` or `.npy` file; made by `load`."""

  def __init__(self, path, fields, images, rows, labels, classes):
    self.name = "arrays"
    self.tasks = {"label": Task("label", classes)} if classes else {}
    self.image_shape = checked_shape(images[0], fields[0])
    self._path = path
    self._fields = fields  # names of the arrays; rows count through all of them
    self._rows = rows
    self._labels = labels
    self._images = images

  def __len__(self) -> int:
    return len(self._rows)

  def __getstate__(self):
    # A worker process opens the file itself: pickling a memory map would copy
    # all its data.
    return {k: v for k, v in self.__dict__.items() if k != "_images"}

  def __setstate__(self, state):
    self.__dict__ |= state
    file = read(self._path)
    self._images = [file[field] for field in self._fields]

  def __getitem__(self, index: int, /) -> dict:
    index = checked_index(index, self)
    row = self._rows[index]
    for array in self._images:
      if row < len(array):
        break
      row -= len(array)
    where = f"Record {index} of {self._path} (row {row})"
    image = as_uint8(np.asarray(array[row]), where)
    label = {"label": int(self._labels[index])} if self.tasks else {}
    return {"image": image.reshape(self.image_shape), **label, "index": index}


def load(split: str, path: str, group: str = "") -> ArraySource:
  """Makes a source of images `[n, h, w]` or `[n, h, w, c]` in a file.

  Images are uint8, or floats in [0, 1]. An `.npy` file holds only images and is
  memory-mapped. In an `.npz` file, images are named `images`, `image` or `x`;
  int labels `[n]` are named `labels`, `label` or `y`. The label -1 means
  unknown. Names such as `x_train` or `test_images` define splits. Without such
  names every tenth image is in `test` and the others are in `train`.

  Args:
    split: a TFDS split string over these splits.
    path: the file.
    group: rule that keeps related images in one split, if names define none:
      the name of an array `[n]` of the file (rows with one value stay
      together), "blocks" (the last tenth of each class is test), or "" for
      every tenth image.

  Raises:
    UserError: no such file, pickled objects, wrong names, shapes or types.
  """
  file = read(path)
  images = _named(file, _IMAGES)
  if not images:
    raise UserError(
      f"data.path: {path} needs images under the name images, image or x "
      f"(or x_train, x_test, ...); it has {', '.join(file) or 'nothing'}."
    )
  if "" in images and len(images) > 1:
    raise UserError(
      f"data.path: {path} has images both with and without a split in their "
      f"names: {', '.join(images.values())}; keep one kind."
    )
  shapes = {checked_shape(file[field], field) for field in images.values()}
  if len(shapes) > 1:
    raise UserError(
      f"data.path: the splits of {path} have different image shapes: "
      f"{', '.join(str(s) for s in sorted(shapes))}."
    )
  lengths = {part: len(file[field]) for part, field in images.items()}
  order = np.arange(sum(lengths.values()))
  labels = _labels(file, images, path)
  if group:
    order, lengths = _grouped(file, images, labels, group, path)
  elif "" in images:
    order, lengths = every_tenth(lengths[""])
  rows = order[select(split, lengths, path)]
  is_labeled = labels is not None and (labels[rows] >= 0).any()
  classes = int(labels.max()) + 1 if is_labeled else 0
  return ArraySource(
    path,
    list(images.values()),
    [file[field] for field in images.values()],
    rows,
    None if labels is None else labels[rows],
    classes,
  )


def read(path: str) -> dict[str, np.ndarray]:
  """Reads the arrays of a file by name; an `.npy` file has only `images`."""
  file = local("data.path", path)
  if not path or not file.is_file() or file.suffix not in (".npy", ".npz"):
    raise UserError(f"data.path: expected an .npy or .npz file, got {path!r}.")
  try:
    if file.suffix == ".npy":
      return {"images": np.load(file, mmap_mode="r", allow_pickle=False)}
    # If the file is not a zip archive, NumPy raises without closing it.
    with file.open("rb") as opened:
      return dict(np.load(opened, allow_pickle=False))
  except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
    raise UserError(
      f"data.path: {path} is not a file of plain arrays (pickled objects are "
      f"never loaded): {str(error).splitlines()[0]}"
    ) from error


def as_uint8(image: np.ndarray, where: str) -> np.ndarray:
  """Converts a float image in [0, 1] to uint8; returns uint8 unchanged.

  Raises:
    UserError: values outside [0, 1]; names the record as in `where`.
  """
  if image.dtype == np.uint8:
    return image
  if not (image.min() >= 0 and image.max() <= 1):  # also refuses NaN
    raise UserError(
      f"{where}: expected floats in [0, 1], got {image.min():.4g} to "
      f"{image.max():.4g}; rescale them, or store uint8."
    )
  return np.round(image * 255).astype(np.uint8)


def checked_shape(images: np.ndarray, name: str) -> tuple[int, int, int]:
  """Returns `(h, w, c)` of images, or raises UserError."""
  if images.dtype != np.uint8 and images.dtype.kind != "f":
    raise UserError(
      f"data.path: array {name} must be uint8, or float in [0, 1]; got "
      f"{images.dtype}. If it holds 0 to 255, store x.astype('uint8')."
    )
  if images.ndim not in (3, 4) or 0 in images.shape:
    raise UserError(
      f"data.path: array {name} must have shape [n, h, w] or [n, h, w, c]; "
      f"got {list(images.shape)}."
    )
  h, w, c = (*images.shape[1:], 1)[:3]
  # Channels first, such as [n, 6, 32, 32], reads as h 6, w 32, c 32: width and
  # channels are equal, and the height is not.
  if h <= 4 < min(w, c) or h < w == c:
    raise UserError(
      f"data.path: array {name} of shape {list(images.shape)} seems to have "
      "its channels first; store x.transpose(0, 2, 3, 1)."
    )
  return h, w, c


def _named(file, kinds):
  """Returns {split or "": name} of arrays named like x, x_train or train_x."""
  splits = {k: "" for k in kinds}
  for part in _SPLITS:
    name = "validation" if part == "val" else part
    splits |= {f"{part}_{k}": name for k in kinds}
    splits |= {f"{k}_{part}": name for k in kinds}
  return {part: name for name, part in splits.items() if name in file}


def _labels(file, images, path):
  names = _named(file, _LABELS)
  if not names:
    return None
  if set(names) != set(images):
    raise UserError(
      f"data.path: {path} has images {', '.join(images.values())} but labels "
      f"{', '.join(names.values())}: each split needs both or neither."
    )
  parts = []
  for part, field in images.items():
    labels, n = file[names[part]], len(file[field])
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
      raise UserError(
        f"data.path: array {names[part]} must be {n} class numbers of an "
        f"integer type; got {labels.dtype} {list(labels.shape)}."
      )
    if n and not -1 <= labels.min() <= labels.max() < _MOST_CLASSES:
      raise UserError(
        f"data.path: array {names[part]} holds labels from {labels.min()} to "
        f"{labels.max()}; expected class numbers from 0 on, below "
        f"{_MOST_CLASSES}, or -1 for unknown: number the classes."
      )
    parts.append(labels.astype(np.int32))
  return np.concatenate(parts)


def _grouped(file, images, labels, group, path):
  """Splits by the groups of an array, or by blocks."""
  if "" not in images:
    raise UserError(
      f"config.data.group={group!r} has no effect: {path} names its splits, "
      f"{', '.join(images.values())}; leave it empty."
    )
  n = len(file[images[""]])
  if group == "blocks":
    kinds = [""] * n if labels is None else labels.tolist()
    return split_rows(groups.last_tenths(kinds))
  if group not in file or file[group].shape != (n,):
    raise UserError(
      f"config.data.group={group!r}: expected blocks, or the name of an array "
      f"of shape [{n}] in {path}; it has {', '.join(file)}."
    )
  names = file[group].tolist()
  if len(set(names)) < 2:
    raise UserError(
      f"config.data.group={group!r}: all {n} images are in one group; expected "
      "two or more groups."
    )
  return split_rows(groups.tenth_of_groups(names))
