"""A data source over a folder of image files."""

import os
import pathlib

import numpy as np

from infomin_jax.data import decode
from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.sources import (
  Task,
  checked_index,
  decoded,
  every_tenth,
  select,
)
from infomin_jax.errors import UserError

SUFFIXES = (
  *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png"),
  *(".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
# Names a user may give the part that is not for training, by what is asked.
_SPLIT_FOLDERS = {
  "train": ("train",),
  "validation": ("validation", "valid", "val"),
  "test": ("test", "validation", "valid", "val"),
}


class FolderSource:
  """Image files below a folder; see `load` for the rules."""

  def __init__(self, files, labels, classes, image_size, channels):
    self.name = "folder"
    self.tasks = {"label": Task("label", classes)} if classes else {}
    fixed = image_size and channels
    self.image_shape = (image_size, image_size, channels) if fixed else None
    # Bytes, not str: a million paths go to every worker process.
    self._files = np.array([os.fsencode(f) for f in files])
    self._labels = labels
    self._image_size = image_size
    self._channels = channels

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int, /) -> dict:
    index = checked_index(index, self)
    file = self.where(index)
    try:
      data = pathlib.Path(file).read_bytes()
    except OSError as error:
      raise BrokenRecord(
        f"Record {index} of folder ({file}) cannot be read: {error.strerror}."
      ) from error
    image = decoded(data, self._channels, index, self)
    if size := self._image_size:
      image = decode.resize_crop(image, size, size)
    label = {"label": int(self._labels[index])} if self.tasks else {}
    return {"image": image, **label, "index": index}

  def where(self, index: int) -> str:
    """The path of a record's file."""
    return os.fsdecode(self._files[index])


def load(
  split: str, path: str, image_size: int = 0, channels: int = 3
) -> FolderSource:
  """Image files below `path`, in sorted order.

  Sub-folders are classes, labelled 0, 1, ... in sorted order; images directly
  in the folder (or in a single sub-folder) have no label. With a sub-folder
  `train`, the splits are the sub-folders train, validation (or valid, val) and
  test; without, every tenth image is `test` and the others are `train`.

  Args:
    split: a TFDS split string over those splits.
    path: the folder.
    image_size: shorter side of the images after an antialiased resize, whose
      centre is cut to a square; 0 leaves the sizes as they are.
    channels: as in `decode.decode`.

  Raises:
    UserError: no such folder, no image in it, images beside class folders.
  """
  root = pathlib.Path(path).expanduser()
  if not path or not root.is_dir():
    raise UserError(f"data.path: expected a folder of images, got {path!r}.")
  if image_size < 0 or channels < 0:
    raise UserError(
      "data.image_size and data.channels must be >= 0 (0 leaves them as they "
      f"are); got {image_size} and {channels}."
    )
  parts = _split_folders(root)
  listed = {name: _images(part) for name, part in parts.items()}
  files = [file for part in listed.values() for file, _ in part]
  if not files:
    raise UserError(
      f"data.path: no image below {root}; looked for {', '.join(SUFFIXES)}."
    )
  names = [kind for part in listed.values() for _, kind in part]
  kinds = sorted(set(names))
  if "" in kinds and len(kinds) > 1:
    raise UserError(
      f"data.path: {root} has images both beside and in its class folders "
      f"({', '.join(kinds[1:4])}, ...); move the former into one of their own."
    )
  if list(parts) == [""]:
    order, lengths = every_tenth(len(files))
  else:
    order = np.arange(len(files))
    lengths = {name: len(part) for name, part in listed.items()}
  rows = order[select(split, lengths, f"folder {root}")]
  labels = np.searchsorted(kinds, names).astype(np.int32)[rows]
  classes = len(kinds) if len(kinds) > 1 else 0
  chosen = [files[row] for row in rows]
  return FolderSource(chosen, labels, classes, image_size, channels)


def _split_folders(root):
  if not (root / "train").is_dir():
    return {"": root}
  found = {}
  for split, names in _SPLIT_FOLDERS.items():
    there = [root / name for name in names if (root / name).is_dir()]
    if there:
      found[split] = there[0]
  return found


def _images(root):
  """Sorted (file, name of the first folder below root or "")."""
  found = []
  for place, _, names in os.walk(root, followlinks=True):
    kind = pathlib.Path(place).relative_to(root).parts[:1]
    for name in names:
      if name.lower().endswith(SUFFIXES) and not name.startswith("."):
        found.append((os.path.join(place, name), kind[0] if kind else ""))
  return sorted(found)
