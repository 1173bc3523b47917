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
  """How files become arrays: see `load`."""

  image_size: int
  channels: int
  background: tuple[int, ...]
  upright: bool


class FolderSource:
  """Image files below a folder; see `load` for the rules."""

  def __init__(self, files, labels, classes, reading: _Reading):
    self.name = "folder"
    self.tasks = {"label": Task("label", classes)} if classes else {}
    size, channels = reading.image_size, reading.channels
    self.image_shape = (size, size, channels) if size else None
    # Bytes, not str: a million paths go to every worker process.
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
    how = self._reading
    image = decoded(
      data,
      how.channels,
      index,
      self,
      upright=how.upright,
      background=how.background,
    )
    if size := how.image_size:
      image = decode.resize_crop(image, size, size)
    label = {"label": int(self._labels[index])} if self.tasks else {}
    return {"image": image, **label, "index": index}

  def where(self, index: int) -> str:
    """The path of a record's file."""
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
  """Image files below `path`, each once, in sorted order.

  Sub-folders are classes, labeled 0, 1, ... in sorted order; images directly
  in the folder (or in a single sub-folder) have no label. With a sub-folder
  `train`, the splits are the sub-folders train, validation (or valid, val) and
  test; without, every tenth image is `test` and the others are `train`. One
  line on stderr says what is left out, and what files say of themselves.

  Args:
    split: a TFDS split string over those splits.
    path: the folder.
    image_size: shorter side of the images after an antialiased resize, whose
      center is cut to a square; 0 leaves the sizes as they are.
    channels: as in `decode.decode`; 0 is one number for all files: 1 if all are
      gray, 4 if all have alpha, else 3.
    background: RGB behind transparent pixels; () is white.
    ignore_orientation: take pixels as stored, not turned as EXIF says.
    group: what is on one side of the split, without folders train and test:
      "folder" (files of one folder), "blocks" (the last tenth of each class is
      test) or a regular expression, searched in the paths below `path`, whose
      first group names the group; "" for every tenth file.

  Raises:
    UserError: no such folder, no image in it, images beside class folders, a
      group that no file is in.
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
  # Validation images are the test images where there are no others.
  rows = rows[np.sort(np.unique(rows, return_index=True)[1])]
  found = survey(listed.files)
  channels = channels or found.channels()
  notes = found.notes(channels, background, ignore_orientation)
  if notes := [*listed.notes, *notes]:
    say_once(f"{root}, {len(listed.files):,} images: {'; '.join(notes)}.")
  labels = listed.labels[rows]
  classes = len(listed.classes) if (labels >= 0).any() else 0
  reading = _Reading(image_size, channels, background, not ignore_orientation)
  chosen = [listed.files[row] for row in rows]
  return FolderSource(chosen, labels, classes, reading)


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
    labels: int32 `[n]`, -1 for images that have none.
    classes: names of the class folders, none if there is one or less.
    parts: rows of each split, or {} if the folder names none.
    notes: what to say.
  """

  root: pathlib.Path
  files: list[str]
  labels: np.ndarray
  classes: list[str]
  parts: dict[str, np.ndarray]
  notes: list[str]

  def splits(self, group: str) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of the splits one after the other, and their lengths."""
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
  found = {name: walk.images(place) for name, place in folders.items()}
  files = [image.path for part in found.values() for image in part]
  if not files:
    about = "".join(f"; {note}" for note in walk.notes())
    raise UserError(
      f"data.path: no image below {root}; looked for {', '.join(SUFFIXES)}"
      f"{about}."
    )
  kinds = {
    name: _kinds(part, folders[name]) for name, part in found.items() if part
  }
  known = set(kinds.get("train", kinds.get("", [])))
  notes = walk.notes()
  for name, part in kinds.items():
    # A single folder that is no class of training holds the part's images.
    if (
      name not in ("", "train") and len(set(part)) == 1 and part[0] not in known
    ):
      kinds[name] = [""] * len(part)
    elif new := set(part) - known - {""}:
      notes.append(f"{name} has classes that train lacks: {_few(new)}")
  if others := [p.name for p in others if Walk().images(p)]:
    notes.append(f"left out, next to train: {_few(others)}")
  names = [kind for part in kinds.values() for kind in part]
  classes = sorted(set(names) - {""})
  classes = classes if len(classes) > 1 else []
  numbers = {kind: i for i, kind in enumerate(classes)}
  labels = np.array([numbers.get(kind, -1) for kind in names], np.int32)
  return _Listed(root, files, labels, classes, _rows(found), notes)


def _kinds(images, folder) -> list[str]:
  """The class folder of each image; refuses images beside such folders."""
  kinds = [image.kind for image in images]
  names = sorted(set(kinds))
  if "" in names and len(names) > 1:
    raise UserError(
      f"data.path: {folder} has images both beside and in its class folders "
      f"({_few(names[1:])}); move the former into one of their own."
    )
  return kinds


def _rows(found) -> dict[str, np.ndarray]:
  """Rows of each split; those of validation are test if there are no others."""
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
