"""Which files of a folder are images: each once, and what is left out."""

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
# Folders that systems and programs put next to images, also those in which
# every name begins with a dot.
_TOOLS = {
  *("__macosx", "__pycache__", "#recycle", "#snapshot", "@eadir", "@recycle"),
  *("$recycle.bin", "@recently-snapshot", "lost+found", "_vti_cnf"),
  "system volume information",
}
_TOOLS_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
# Names a user may give the part that is not for training, by what is asked.
_SPLITS = {
  "train": ("train", "training"),
  "validation": ("validation", "valid", "val"),
  "test": ("test", "testing"),
}
_SHOWN = 6  # suffixes and folders in a line


class Image(NamedTuple):
  """An image file, and the first folder below the root that it is in, or ""."""

  path: str
  kind: str


class Walk:
  """What was met below some folders.

  Attributes:
    seen: device and inode of files and folders, so that links lead nowhere
      twice.
    left_out: how many files of which suffix are no images.
    tools: names of folders that programs made.
    unreadable: folders that cannot be listed.
    links: how many links led to what was found already.
  """

  def __init__(self):
    self.seen: set[tuple[int, int]] = set()
    self.left_out: collections.Counter[str] = collections.Counter()
    self.tools: collections.Counter[str] = collections.Counter()
    self.unreadable: list[str] = []
    self.links = 0

  def images(self, root: pathlib.Path) -> list[Image]:
    """The images below `root`, sorted by path; real files before links."""
    found, queue = [], [str(root)]
    linked: list[os.DirEntry] = []
    while queue or linked:
      if not queue:
        entry = linked.pop(0)
        if not os.path.isdir(entry.path):
          found += self._file(entry, _key(entry.path))
          continue
        queue.append(entry.path)
      place = queue.pop()
      if self._again(_key(place), place, root):
        continue
      for entry in self._entries(place):
        if entry.is_symlink():
          tools = os.path.isdir(entry.path) and self._is_tools(entry.name)
          linked += [] if tools else [entry]
        elif entry.is_dir():
          if not self._is_tools(entry.name):
            queue.append(entry.path)
        else:
          found += self._file(entry, _key(entry.path, entry))
    return sorted(Image(file, _kind(file, root)) for file in found)

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
    # A link to nothing is listed: reading it says so. A pipe would block.
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
    """Returns whether a folder is known, or is above the root."""
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
    """Returns what a user should know, as parts of a sentence."""
    found = []
    if self.left_out:
      found.append(f"left out {_some(self.left_out)}")
    if self.tools:
      found.append(f"left out folders of programs: {_some(self.tools)}")
    if self.links:
      found.append(f"{self.links} links lead to what is listed already")
    if self.unreadable:
      names = ", ".join(self.unreadable[:_SHOWN])
      found.append(f"{len(self.unreadable)} folders cannot be read: {names}")
    return found


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
  except OSError:  # a link to nothing: reading it says so
    return path, 0
  # Some file systems number nothing.
  return (status.st_dev, status.st_ino) if status.st_ino else (path, 0)


def _is_image(path: str) -> bool:
  try:
    return os.path.isfile(path) and cv2.haveImageReader(path)
  except cv2.error:
    return False


def split_folders(root: pathlib.Path) -> tuple[dict[str, pathlib.Path], list]:
  """The folders of the splits, `{"": root}` if there are none, and the others.

  With a folder `train` (in any case), the splits are train, validation and
  test. `train` among class folders, such as bus and plane, is a class.

  Raises:
    UserError: two folders for one split.
  """
  below = _below(root)
  found = {}
  for split, names in _SPLITS.items():
    there = [p for n in names for p in below if p.name.lower() == n]
    if len(there) > 1 and not os.path.samefile(there[0], there[1]):
      raise UserError(
        f"data.path: {root} has {there[0].name} and {there[1].name}, which "
        f"both mean {split}; keep one."
      )
    if there:
      found[split] = there[0]
  others = [p for p in below if p not in found.values()]
  if "train" not in found and len(below) == 1 and not _flat(root):
    deeper, beside = split_folders(below[0])  # an archive's own folder
    return ({"": root}, []) if "" in deeper else (deeper, beside)
  if "train" not in found or (len(found) == 1 and _are_classes(found, others)):
    return {"": root}, []
  return found, others


def _below(folder: pathlib.Path) -> list[pathlib.Path]:
  try:
    places = sorted(folder.iterdir())
  except OSError:  # listing its images says so
    return []
  return [p for p in places if p.is_dir() and not _tools(p)]


def _are_classes(found, others) -> bool:
  """Returns whether `train` is one of several folders that hold images
  themselves.
  """
  return len(others) > 1 and all(map(_flat, [found["train"], *others]))


def _flat(folder: pathlib.Path) -> bool:
  names = os.listdir(folder) if os.access(folder, os.R_OK) else []
  return any(name.lower().endswith(SUFFIXES) for name in names)


def _tools(folder: pathlib.Path) -> bool:
  return folder.name.startswith(".") or folder.name.lower() in _TOOLS


@functools.cache
def say_once(line: str) -> None:
  """Writes a line on stderr, the same one only once in a process."""
  print(line, file=sys.stderr, flush=True)
