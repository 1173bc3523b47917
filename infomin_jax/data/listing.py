"""Lists the image files of a folder, each once, and what is left out."""

import collections
import functools
import os
import pathlib
import sys
from typing import NamedTuple

import cv2

from infomin_jax.errors import UserError

SUFFIXES = (
  *(".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe"),
  *(".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"),
  ".webp",
)
# Folders that systems and programs create next to images. Names that begin with
# a dot count too.
_TOOLS = {
  *("__macosx", "__pycache__", "#recycle", "#snapshot", "@eadir", "@recycle"),
  *("$recycle.bin", "@recently-snapshot", "lost+found", "_vti_cnf"),
  "system volume information",
}
_TOOLS_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
# Split -> names that its folder may have.
_SPLITS = {
  "train": ("train", "training"),
  "validation": ("validation", "valid", "val"),
  "test": ("test", "testing"),
}
_SHOWN = 6  # number of suffixes and folders in a message


class Image(NamedTuple):
  """The path of an image file, and its first folder below the root, or ""."""

  path: str
  kind: str


class Walk:
  """Walks folders, and counts what is not listed.

  Attributes:
    seen: device and inode of listed files and folders, so that links do not
      lead to one of them twice.
    left_out: number of files per suffix that are not images.
    tools: number of folders per name that systems or programs created.
    unreadable: folders that cannot be listed.
    links: number of links to files and folders that were listed already.
  """

  def __init__(self):
    self.seen: set[tuple[int, int]] = set()
    self.left_out: collections.Counter[str] = collections.Counter()
    self.tools: collections.Counter[str] = collections.Counter()
    self.unreadable: list[str] = []
    self.links = 0

  def images(self, root: pathlib.Path) -> list[Image]:
    """Returns the images below `root`, sorted by path.

    If a link leads to a file below the root, the file itself is listed.
    """
    files, queue = [], [str(root)]
    # Links wait until all real files are listed, so that those come first.
    linked: list[os.DirEntry] = []
    while queue or linked:
      if not queue:
        entry = linked.pop(0)
        if not os.path.isdir(entry.path):
          files += self._file(entry, _key(entry.path))
          continue
        queue.append(entry.path)
      folder = queue.pop()
      if self._again(_key(folder), folder, root):
        continue
      for entry in self._entries(folder):
        if entry.is_symlink():
          tools = os.path.isdir(entry.path) and self._is_tools(entry.name)
          linked += [] if tools else [entry]
        elif entry.is_dir():
          if not self._is_tools(entry.name):
            queue.append(entry.path)
        else:
          files += self._file(entry, _key(entry.path, entry))
    return sorted(Image(file, _kind(file, root)) for file in files)

  def _entries(self, place: str) -> list[os.DirEntry]:
    try:
      with os.scandir(place) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    except OSError:
      self.unreadable.append(place)
      return []

  def _file(self, entry: os.DirEntry, key) -> list[str]:
    name = entry.name.lower()
    if name.startswith(".") or name in _TOOLS_FILES:
      return []
    # A broken link is listed, so that reading it raises the error. Reading a
    # pipe would block.
    if os.path.exists(entry.path) and not os.path.isfile(entry.path):
      self.left_out["no regular file"] += 1
      return []
    suffix = os.path.splitext(name)[1]
    if suffix not in SUFFIXES and (suffix or not _is_image(entry.path)):
      self.left_out[suffix or "no suffix"] += 1
      return []
    if key in self.seen:
      self.links += 1
      return []
    self.seen.add(key)
    return [entry.path]

  def _again(self, key, place: str, root: pathlib.Path) -> bool:
    """Returns whether a folder was listed already, or is above the root."""
    real = pathlib.Path(os.path.realpath(place))
    above = real in pathlib.Path(os.path.realpath(root)).parents
    if above or key in self.seen:
      self.links += place != str(root)
      return place != str(root)
    self.seen.add(key)
    return False

  def _is_tools(self, name: str) -> bool:
    if name.startswith(".") or name.lower() in _TOOLS:
      self.tools[name] += 1
      return True
    return False

  def notes(self) -> list[str]:
    """Returns phrases for the user about what is not listed."""
    notes = []
    if self.left_out:
      notes.append(f"left out {_some(self.left_out)}")
    if self.tools:
      notes.append(f"left out folders of programs: {_some(self.tools)}")
    if self.links:
      notes.append(f"{self.links} links lead to what is listed already")
    if self.unreadable:
      names = ", ".join(self.unreadable[:_SHOWN])
      notes.append(f"{len(self.unreadable)} folders cannot be read: {names}")
    return notes


def _some(counts: collections.Counter) -> str:
  rows = [f"{count:,} {name}" for name, count in counts.most_common(_SHOWN)]
  more = len(counts) - len(rows)
  return ", ".join(rows) + (f" and {more} other kinds" if more else "")


def _kind(file: str, root: pathlib.Path) -> str:
  parts = pathlib.Path(file).relative_to(root).parts
  return parts[0] if len(parts) > 1 else ""


def _key(path: str, entry: os.DirEntry | None = None):
  try:
    status = entry.stat() if entry else os.stat(path)
  except OSError:  # a broken link; reading it raises the error
    return path, 0
  # Some file systems have no inode numbers.
  return (status.st_dev, status.st_ino) if status.st_ino else (path, 0)


def _is_image(path: str) -> bool:
  try:
    return os.path.isfile(path) and cv2.haveImageReader(path)
  except cv2.error:
    return False


def split_folders(root: pathlib.Path) -> tuple[dict[str, pathlib.Path], list]:
  """Returns the folders of the splits, and the other folders.

  If there is a folder `train` (in upper or lower case), the splits are train,
  validation and test. A folder `train` among class folders, such as bus and
  plane, is a class. Without split folders the result is `{"": root}`.

  Raises:
    UserError: two folders for one split.
  """
  below = _below(root)
  splits = {}
  for split, names in _SPLITS.items():
    folders = [p for n in names for p in below if p.name.lower() == n]
    if len(folders) > 1 and not os.path.samefile(folders[0], folders[1]):
      raise UserError(
        f"data.path: {root} has {folders[0].name} and {folders[1].name}, which "
        f"both mean {split}; keep one."
      )
    if folders:
      splits[split] = folders[0]
  others = [p for p in below if p not in splits.values()]
  if "train" not in splits and len(below) == 1 and not _flat(root):
    # Unpacked archives often have one top folder.
    deeper, rest = split_folders(below[0])
    return ({"": root}, []) if "" in deeper else (deeper, rest)
  if "train" not in splits or (
    len(splits) == 1 and _are_classes(splits, others)
  ):
    return {"": root}, []
  return splits, others


def _below(folder: pathlib.Path) -> list[pathlib.Path]:
  try:
    entries = sorted(folder.iterdir())
  except OSError:  # reported when its images are listed
    return []
  return [p for p in entries if p.is_dir() and not _tools(p)]


def _are_classes(found, others) -> bool:
  """Returns whether `train` and the others are several folders with images."""
  return len(others) > 1 and all(map(_flat, [found["train"], *others]))


def _flat(folder: pathlib.Path) -> bool:
  names = os.listdir(folder) if os.access(folder, os.R_OK) else []
  return any(name.lower().endswith(SUFFIXES) for name in names)


def _tools(folder: pathlib.Path) -> bool:
  return folder.name.startswith(".") or folder.name.lower() in _TOOLS


@functools.cache
def say_once(line: str) -> None:
  """Writes a line on stderr, but the same line only once per process."""
  print(line, file=sys.stderr, flush=True)
