"""Reports on files and folders of images: kinds 1 to 5, and 8."""

import os
import pathlib

import numpy as np
from damage import REPORTS as DAMAGE
from PIL import Image
from report import Report, heard, holds, refused
from sides import REPORTS as SIDES

from infomin_jax.data import arrays, folder, listing


def write(path: pathlib.Path, value: int = 0, mode: str = "RGB", **options):
  """Writes a small image. Without a suffix it is a PNG."""
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.new("RGB", (7, 6), (value, value, value)).convert(mode)
  image.save(path, None if path.suffix else "png", **options)


def found(root: pathlib.Path, split: str = "all", **options):
  """Returns (file, label) of each record, and the text on stderr."""
  listing.say_once.cache_clear()
  with heard() as said:
    source = folder.load(split, str(root), **options)
  rows = [
    (
      pathlib.Path(source.where(i)).relative_to(root).as_posix(),
      source[i].get("label"),
    )
    for i in range(len(source))
  ]
  return rows, said[1]


def side_folder(name: str, place: str = ""):
  def check(root):
    write(root / "a" / "1.png")
    write(root / "b" / "2.png")
    write(root / place / name / "3.png")
    rows, said = found(root)
    assert rows == [("a/1.png", 0), ("b/2.png", 1)], rows
    holds(said, name)

  return Report(
    1, f"{place or '.'}/{name} with an image", "no class, no record", check
  )


def hidden_root(root):
  write(root / ".data" / "a" / "1.png")
  write(root / ".data" / "b" / "1.png")
  assert len(found(root / ".data")[0]) == 2


def linked(name: str, make):
  def check(root):
    root = root / "root"
    for i in range(3):
      write(root / "b" / f"{i}.png")
    make(root)
    rows, said = found(root)
    files = [file for file, _ in rows]
    assert files == [f"b/{i}.png" for i in range(3)], files
    holds(said, "listed already")

  return Report(2, name, "each file once, by its real path", check)


def dangling(root):
  write(root / "1.png")
  (root / "2.png").symlink_to(root / "gone.png")
  source = folder.load("all", str(root))
  refused(lambda: source[1], "2.png", "cannot be read")


def outside(root):
  write(root / "store" / "1.png")
  write(root / "in" / "a" / "2.png")
  (root / "in" / "b").symlink_to(root / "store")
  assert found(root / "in")[0] == [("a/2.png", 0), ("b/1.png", 1)]


def parts(names: str, expected: dict[str, int]):
  def check(root):
    for i, name in enumerate(names.split()):
      write(root / name / "a" / f"{i}.png")
      write(root / name / "b" / f"{i}.png")
    for split, count in expected.items():
      rows, _ = found(root, split)
      assert len(rows) == count, (split, rows)
      assert {label for _, label in rows} == {0, 1}

  return Report(3, f"folders {names}", f"records: {expected}", check)


def loose_test(place: str):
  def check(root):
    for kind in "abc":
      write(root / "train" / kind / "1.png")
    write(root / place / "2.png")
    labels = [label for _, label in found(root)[0]]
    assert labels == [0, 1, 2, -1], labels

  return Report(3, f"train/CLASS/, loose {place}/", "test is unlabeled", check)


def train_class(root):
  for kind in ("bus", "plane", "train"):
    write(root / kind / "1.jpg")
  assert [label for _, label in found(root)[0]] == [0, 1, 2]


def left_out(suffixes: str, counts: str):
  def check(root):
    write(root / "1.jpg")
    for i, suffix in enumerate(suffixes.split()):
      (root / f"x{i}{suffix}").write_bytes(b"no image")
    rows, said = found(root)
    assert len(rows) == 1
    holds(said, *counts.split("; "))

  return Report(4, f"1 .jpg beside {suffixes}", f"says {counts}", check)


def suffix(name: str, kind: str):
  def check(root):
    Image.new("RGB", (7, 6), (9, 9, 9)).save(root / f"1{name}", kind)
    rows, _ = found(root)
    assert len(rows) == 1, rows

  return Report(4, f"an image 1{name}", "is read", check)


def no_suffix(root):
  write(root / "0a1b2c")
  (root / "README").write_text("text")
  rows, said = found(root)
  assert [file for file, _ in rows] == ["0a1b2c"]
  holds(said, "1 no suffix")


def turned(suffix: str, how: int):
  def check(root):
    exif = Image.Exif()
    exif[0x0112] = how
    write(root / f"1{suffix}", exif=exif)
    listing.say_once.cache_clear()
    with heard() as said:
      shape = folder.load("all", str(root))[0]["image"].shape
    assert shape == ((7, 6, 3) if how > 4 else (6, 7, 3)), shape
    holds(said[1], "1 are turned by EXIF orientation")

  return Report(5, f"{suffix} of orientation {how}", "turned and said", check)


def clear(mode: str, suffix: str):
  def check(root):
    image = Image.new("RGBA", (7, 6), (200, 0, 0, 0)).convert(mode)
    image.save(root / f"1{suffix}")
    listing.say_once.cache_clear()
    with heard() as said:
      source = folder.load("all", str(root), background=(0, 90, 0))
    assert (source[0]["image"] == (0, 90, 0)).all(), source[0]["image"][0, 0]
    holds(said[1], "1 have alpha")

  return Report(5, f"clear {mode} {suffix}", "the background shows", check)


def channels(modes: str, expected: int):
  def check(root):
    for i, mode in enumerate(modes.split()):
      Image.new(mode, (7, 6)).save(root / f"{i}.tif")
    source = folder.load("all", str(root), channels=0)
    counts = {record["image"].shape[-1] for record in source}
    assert counts == {expected}, counts

  return Report(5, f"TIFFs {modes}, channels=0", f"all have {expected}", check)


def labels(values, right: str, classes: int | None):
  def check(root):
    path = str(root / "x.npz")
    np.savez(path, x=np.zeros((len(values), 4, 4), np.uint8), y=values)
    if classes is None:
      refused(lambda: arrays.load("all", path), "-1 for unknown")
      return
    source = arrays.load("all", path)
    count = source.tasks["label"].classes if source.tasks else 0
    assert count == classes, source.tasks
    if classes:
      assert [record["label"] for record in source] == list(values)

  return Report(8, f"labels {list(values)}", right, check)


REPORTS: tuple[Report, ...] = (
  side_folder(".ipynb_checkpoints", "a"),
  side_folder(".ipynb_checkpoints"),
  side_folder("@eaDir", "b/deep"),
  side_folder(".thumbnails"),
  side_folder("__MACOSX"),
  side_folder("$RECYCLE.BIN"),
  side_folder(".git", "a"),
  Report(1, "a root below .data", "is read", hidden_root),
  linked("a link to the root", lambda r: (r / "b" / "up").symlink_to(r)),
  linked("a link above the root", lambda r: (r / "c").symlink_to(r.parent)),
  linked("a link to a class", lambda r: (r / "a").symlink_to(r / "b")),
  linked(
    "a link to a file", lambda r: (r / "b/l.png").symlink_to(r / "b/0.png")
  ),
  linked("a hard link", lambda r: os.link(r / "b/0.png", r / "b/z.png")),
  Report(2, "a link to nothing", "one line names it", dangling),
  Report(2, "a class that is a link out", "is read", outside),
  parts("train val", {"all": 4, "test": 2, "validation": 2}),
  parts("Train Val", {"all": 4, "train": 2, "test": 2}),
  parts("TRAIN valid Test", {"all": 6, "validation": 2, "test": 2}),
  parts("training testing", {"all": 4, "test": 2}),
  loose_test("test"),
  loose_test("Test/images"),
  Report(3, "classes bus, plane and train", "train is a class", train_class),
  left_out(".heic .heic .heic", "3 .heic"),
  left_out(".HEIC .cr2 .cr2", "2 .cr2; 1 .heic"),
  left_out(".mp4 .txt", "1 .mp4; 1 .txt"),
  left_out(".jpg.part .jpg~", "1 .part; 1 .jpg~"),
  suffix(".jfif", "jpeg"),
  suffix(".JPE", "jpeg"),
  suffix(".jp2", "jpeg2000"),
  suffix(".avif", "avif"),
  Report(4, "an image without a suffix, README", "one is read", no_suffix),
  turned(".jpg", 6),
  turned(".png", 8),
  turned(".webp", 3),
  turned(".tif", 5),
  clear("RGBA", ".png"),
  clear("LA", ".png"),
  clear("RGBA", ".webp"),
  clear("RGBA", ".tif"),
  channels("CMYK RGB", 3),
  channels("L 1", 1),
  channels("L RGB", 3),
  channels("RGBA RGBA", 4),
  labels(np.array([-1, 0, 1]), "2 classes, one unknown", 2),
  labels(np.array([0, 1, 2]), "3 classes", 3),
  labels(np.array([-1, -1]), "no labels", 0),
  labels(np.array([-2, 0]), "refused: -1 is unknown", None),
  labels(np.array([2**31, 0]), "refused: too many classes", None),
  *DAMAGE,
  *SIDES,
)
