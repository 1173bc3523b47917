"""A data source over a folder of image files."""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from infomin_jax.data import decode, groups
from infomin_jax.data.decode import BrokenRecord
from infomin_jax.data.listing import SUFFIXES, Walk, say_once, split_folders
from infomin_jax.data.sources import (
  Task,
  checked_index,
  decoded,
  every_tenth,
  select,
)
from infomin_jax.data.survey import survey
from infomin_jax.errors import UserError, check_tuple
from infomin_jax.paths import local

_WHITE = (255, 255, 255)


class _Reading(NamedTuple):
  """Options for decoding files; see `load`."""

  image_size: int
  channels: int
  background: tuple[int, ...]
  upright: bool


class FolderSource:
  """Records of one split of a folder of image files; made by `load`."""

  def __init__(self, files, labels, classes: list[str], reading: _Reading):
    self.name = "folder"
    task = Task("label", len(classes), tuple(classes))
    self.tasks = {"label": task} if classes else {}
    size, channels = reading.image_size, reading.channels
    self.image_shape = (size, size, channels) if size else None
    # Bytes take less memory than str: a million paths are sent to every worker.
    self._files = np.array([os.fsencode(f) for f in files])
    self._labels = labels
    self._reading = reading

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
    reading = self._reading
    image = decoded(
      data,
      reading.channels,
      index,
      self,
      upright=reading.upright,
      background=reading.background,
    )
    if size := reading.image_size:
      image = decode.resize_crop(image, size, size)
    label = {"label": int(self._labels[index])} if self.tasks else {}
    return {"image": image, **label, "index": index}

  def where(self, index: int) -> str:
    """Returns the path of a record's file."""
    return os.fsdecode(self._files[index])


def load(
  split: str,
  path: str,
  image_size: int = 0,
  channels: int = 3,
  background: tuple[int, ...] = (),
  ignore_orientation: bool = False,
  group: str = "",
) -> FolderSource:
  """Makes a source of the image files below `path`, each once, sorted.

  Subfolders are classes, labeled 0, 1, ... in sorted order. Images directly in
  the folder, or in its only subfolder, have no label. If there is a subfolder
  `train`, the splits are the subfolders train, validation (or valid, val) and
  test. Otherwise every tenth image is in `test` and the others are in `train`.
  One line on stderr lists what is left out and notes about the files.

  Args:
    split: a TFDS split string over these splits.
    path: the folder.
    image_size: side in pixels of the square center, cut after an antialiased
      resize of the shorter side to it; 0 keeps the sizes.
    channels: as in `decode.decode`, but 0 chooses one number for all files: 1
      if all are gray, 4 if all have alpha, else 3.
    background: RGB color behind transparent pixels; () is white.
    ignore_orientation: keep pixels as stored, without rotation by EXIF.
    group: rule that keeps related files in one split, for folders without train
      and test. "folder" groups the files of a folder. "blocks" puts the last
      tenth of each class into test. A regular expression is searched in the
      paths below `path`; its first group is the group. "" uses every tenth
      file.

  Raises:
    UserError: no such folder, no image in it, images next to class folders, or
      a pattern that does not match some files.
  """
  root = local("data.path", path)
  if not path or not root.is_dir():
    raise UserError(f"data.path: expected a folder of images, got {path!r}.")
  if image_size < 0 or channels < 0:
    raise UserError(
      "data.image_size and data.channels must be >= 0 (0 leaves them as they "
      f"are); got {image_size} and {channels}."
    )
  background = _color(background)
  listed = _listed(root)
  order, lengths = listed.splits(group)
  rows = order[select(split, lengths, f"folder {root}")]
  # If there is no test folder, `test` and `validation` are the same images: a
  # split string with both must not contain them twice.
  rows = rows[np.sort(np.unique(rows, return_index=True)[1])]
  headers = survey(listed.files)
  channels = channels or headers.channels()
  notes = headers.notes(channels, background, ignore_orientation)
  if notes := [*listed.notes, *notes]:
    say_once(f"{root}, {len(listed.files):,} images: {'; '.join(notes)}.")
  labels = listed.labels[rows]
  classes = listed.classes if (labels >= 0).any() else []
  reading = _Reading(image_size, channels, background, not ignore_orientation)
  paths = [listed.files[row] for row in rows]
  return FolderSource(paths, labels, classes, reading)


def _color(background) -> tuple[int, ...]:
  background = tuple(background) or _WHITE
  check_tuple("config.data.background", background, tuple[int, int, int])
  if not all(0 <= value <= 255 for value in background):
    raise UserError(
      f"config.data.background is {background}: expected three numbers from 0 "
      "to 255, or () for white."
    )
  return background


class _Listed(NamedTuple):
  """The images of a folder.

  Attributes:
    root: the folder.
    files: all paths.
    labels: int32 `[n]`, -1 for images without a label.
    classes: names of the class folders; empty if there are fewer than two.
    parts: rows of each split; {} if the folder has no split folders.
    notes: phrases about the files for the user.
  """

  root: pathlib.Path
  files: list[str]
  labels: np.ndarray
  classes: list[str]
  parts: dict[str, np.ndarray]
  notes: list[str]

  def splits(self, group: str) -> tuple[np.ndarray, dict[str, int]]:
    """Returns the rows of all splits, concatenated, and their lengths."""
    if self.parts:
      if group:
        raise UserError(
          f"config.data.group={group!r} has no effect: the folder's own train "
          "and test are the split; leave it empty."
        )
      lengths = {name: len(rows) for name, rows in self.parts.items()}
      return np.concatenate(list(self.parts.values())), lengths
    if not group:
      return every_tenth(len(self.files))
    paths = [pathlib.Path(f).relative_to(self.root) for f in self.files]
    names = [str(label) for label in self.labels]
    return groups.split(group, [p.as_posix() for p in paths], names)


def _listed(root: pathlib.Path) -> _Listed:
  walk = Walk()
  folders, others = split_folders(root)
  images = {name: walk.images(place) for name, place in folders.items()}
  files = [image.path for part in images.values() for image in part]
  if not files:
    about = "".join(f"; {note}" for note in walk.notes())
    raise UserError(
      f"data.path: no image below {root}; looked for {', '.join(SUFFIXES)}"
      f"{about}."
    )
  kinds = {
    name: _kinds(part, folders[name]) for name, part in images.items() if part
  }
  in_train = set(kinds.get("train", kinds.get("", [])))
  notes = walk.notes()
  for name, part in kinds.items():
    # If a split has a single subfolder, and it is not a class of training, its
    # images have no label.
    if (
      name not in ("", "train")
      and len(set(part)) == 1
      and part[0] not in in_train
    ):
      kinds[name] = [""] * len(part)
    elif new := set(part) - in_train - {""}:
      notes.append(f"{name} has classes that train lacks: {_few(new)}")
  if others := [p.name for p in others if Walk().images(p)]:
    notes.append(f"left out, next to train: {_few(others)}")
  names = [kind for part in kinds.values() for kind in part]
  classes = sorted(set(names) - {""})
  classes = classes if len(classes) > 1 else []
  numbers = {kind: i for i, kind in enumerate(classes)}
  labels = np.array([numbers.get(kind, -1) for kind in names], np.int32)
  return _Listed(root, files, labels, classes, _rows(images), notes)


def _kinds(images, folder) -> list[str]:
  """Returns the class folder of each image.

  Raises:
    UserError: some images are in class folders and some are next to them.
  """
  kinds = [image.kind for image in images]
  names = sorted(set(kinds))
  if "" in names and len(names) > 1:
    raise UserError(
      f"data.path: {folder} has images both next to and in its class folders "
      f"({_few(names[1:])}); move the loose images into a class folder."
    )
  return kinds


def _rows(found) -> dict[str, np.ndarray]:
  """Returns the rows of each split; test defaults to validation."""
  if list(found) == [""]:
    return {}
  rows, start = {}, 0
  for name, part in found.items():
    rows[name] = np.arange(start, start + len(part))
    start += len(part)
  if "test" not in rows and "validation" in rows:
    rows["test"] = rows["validation"]
  return rows


def _few(names) -> str:
  names = sorted(names)
  return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
