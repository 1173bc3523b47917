"""Reports on groups and near-copies across a split: kind 9."""

import pathlib

import numpy as np
import skimage.data
from PIL import Image
from report import Report, refused

from infomin_jax.data import arrays, folder, near_copies


def videos(root: pathlib.Path, count: int = 20, frames: int = 5) -> str:
  """Writes frames root/a|b/vNN/NN_i.png of videos, and returns the root."""
  for video in range(count):
    directory = root / "ab"[video % 2] / f"v{video:02d}"
    directory.mkdir(parents=True)
    for i in range(frames):
      Image.new("RGB", (6, 6), (video,) * 3).save(
        directory / f"{video}_{i}.png"
      )
  return str(root)


def grouped(group: str, count: int = 20):
  def check(root):
    path = videos(root, count)
    sides = []
    for split in ("train", "test"):
      source = folder.load(split, path, group=group)
      sides.append({int(record["image"][0, 0, 0]) for record in source})
    assert not sides[0] & sides[1], sides
    assert len(sides[0] | sides[1]) == count

  return Report(
    9, f"{count} videos, group {group!r}", "no video on both sides", check
  )


def bad(group: str, *words: str):
  def check(root):
    path = videos(root, 4)
    refused(lambda: folder.load("train", path, group=group), *words)

  return Report(9, f"group {group!r}", f"refused: {words[0]}", check)


def patients(root):
  ids = np.array([f"p{i // 4}" for i in range(80)])
  x = np.zeros((80, 4, 4), np.uint8)
  np.savez(root / "x.npz", x=x, patient=ids, y=np.arange(80) % 4)
  path = str(root / "x.npz")
  rows = [arrays.load(s, path, group="patient") for s in ("train", "test")]
  sides = [set(ids[source._rows]) for source in rows]
  assert len(sides[1]) == 2 and not sides[0] & sides[1]


class _Images:
  name, tasks, image_shape = "images", {}, None

  def __init__(self, images):
    self.images = images

  def __len__(self):
    return len(self.images)

  def __getitem__(self, index):
    return {"image": self.images[index]}


def pan(step: int, right: bool):
  def check(root):
    photo = skimage.data.coffee()
    film = [photo[50:250, i : i + 200] for i in range(0, 400, step)]
    train = _Images([x for i, x in enumerate(film) if i % 10 != 9])
    test = _Images(film[9::10])
    line = near_copies.line(train, test)
    assert bool(line) == right, line

  said = "said to be near-copies" if right else "nothing is said"
  return Report(9, f"a film that moves {step} pixels a frame", said, check)


REPORTS: tuple[Report, ...] = (
  grouped("folder"),
  grouped("blocks"),
  grouped(r"(\d+)_"),
  grouped(r"/(v\d+)/", 5),
  bad("blok", "no (...)"),
  bad("(", "no regular expression"),
  bad(r"(x\d)", "finds no group"),
  Report(9, "arrays with patients", "no patient on both sides", patients),
  pan(1, True),
  pan(2, True),
  pan(40, False),
)
