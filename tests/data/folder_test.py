"""Folders as people have them: side folders, links, splits, groups."""

import os
import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from infomin_jax import data
from infomin_jax.data import folder, listing, near_copies
from infomin_jax.errors import UserError


@pytest.fixture(autouse=True)
def said_before():
  listing.say_once.cache_clear()


def write(path: pathlib.Path, value=0, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.full((6, 7, 3), value, np.uint8)
  kind = None if path.suffix else "png"  # else what the suffix says
  Image.fromarray(pixels).save(path, kind, **options)


def names(source, root):
  files = [source.where(i) for i in range(len(source))]
  return [pathlib.Path(f).relative_to(root).as_posix() for f in files]


@pytest.mark.parametrize(
  "side",
  [".ipynb_checkpoints", "@eaDir", ".thumbnails", "__MACOSX", "#recycle"],
)
def test_folders_of_programs_are_no_classes(tmp_path, side, capsys):
  root = tmp_path / ".cache" / "photos"  # a hidden root is the user's choice
  for kind in "ab":
    write(root / kind / "1.png")
    write(root / kind / side / "1-checkpoint.png")
  write(root / side / "deep" / "2.png")
  (root / "a" / "._1.png").write_bytes(b"of macOS")
  source = folder.load("all", str(root))
  assert names(source, root) == ["a/1.png", "b/1.png"]
  assert source.tasks["label"].classes == 2
  assert f"left out folders of programs: 3 {side}" in capsys.readouterr().err


def test_each_file_is_read_once_whatever_links_say(tmp_path, capsys):
  root = tmp_path / "root"
  for i in range(3):
    write(root / "b" / f"{i}.png")
  write(tmp_path / "store" / "9.png")
  write(tmp_path / "other.png")
  (root / "b" / "up").symlink_to(root)
  (root / "a_link").symlink_to(root / "b")
  (root / "above").symlink_to(tmp_path)
  (root / "c").symlink_to(tmp_path / "store")
  (root / "b" / "again.png").symlink_to(root / "b" / "0.png")
  os.link(root / "b" / "1.png", root / "b" / "hard.png")
  source = folder.load("all", str(root))
  assert names(source, root) == ["b/0.png", "b/1.png", "b/2.png", "c/9.png"]
  assert [r["label"] for r in source] == [0, 0, 0, 1]
  assert "5 links lead to what is listed already" in capsys.readouterr().err


def test_pipes_and_loops_are_no_files(tmp_path, capsys):
  write(tmp_path / "1.png")
  os.mkfifo(tmp_path / "2.png")
  (tmp_path / "3").symlink_to(tmp_path / "3")
  assert names(folder.load("all", str(tmp_path)), tmp_path) == ["1.png"]
  assert "left out 1 no regular file, 1 no suffix" in capsys.readouterr().err


def test_unreadable_folders_are_named(tmp_path, capsys, monkeypatch):
  write(tmp_path / "a" / "1.png")
  write(tmp_path / "locked" / "2.png")
  real = os.scandir

  def scandir(place):
    if str(place).endswith("locked"):
      raise PermissionError(13, "Permission denied")
    return real(place)

  monkeypatch.setattr(os, "scandir", scandir)
  assert len(folder.load("all", str(tmp_path))) == 1
  said = capsys.readouterr().err
  assert f"1 folders cannot be read: {tmp_path / 'locked'}" in said


@pytest.mark.parametrize("train, val", [("train", "val"), ("Train", "Val")])
def test_validation_is_the_test_set_but_each_file_once(tmp_path, train, val):
  for part, count in ((train, 3), (val, 2)):
    for i in range(count):
      write(tmp_path / part / "ab"[i % 2] / f"{i}.png")
  count = {s: len(folder.load(s, str(tmp_path))) for s in ("train", "test")}
  assert count == {"train": 3, "test": 2}
  assert len(folder.load("validation", str(tmp_path))) == 2
  for split in ("all", "train+validation+test"):
    assert len(set(names(folder.load(split, str(tmp_path)), tmp_path))) == 5
    assert len(folder.load(split, str(tmp_path))) == 5


@pytest.mark.parametrize("place", ["test", "test/images", "Test/all/deep"])
def test_a_loose_test_folder_has_no_labels(tmp_path, place):
  for kind in "abc":
    write(tmp_path / "train" / kind / "1.png")
  write(tmp_path / place / "9.png")
  assert folder.load("train", str(tmp_path)).tasks["label"].classes == 3
  assert folder.load("test", str(tmp_path)).tasks == {}
  labels = [r["label"] for r in folder.load("all", str(tmp_path))]
  assert labels == [0, 1, 2, -1]


def test_what_stands_beside_train_is_said(tmp_path, capsys):
  write(tmp_path / "train" / "a" / "1.png")
  write(tmp_path / "train" / "b" / "1.png")
  write(tmp_path / "test" / "a" / "2.png")
  write(tmp_path / "test" / "z" / "2.png")
  write(tmp_path / "extra" / "1.png")
  write(tmp_path / "train_old" / "1.png")
  (tmp_path / "annotations").mkdir()
  source = folder.load("all", str(tmp_path))
  said = capsys.readouterr().err
  assert "left out, next to train: extra, train_old" in said
  assert "test has classes that train lacks: z" in said
  assert source.tasks["label"].classes == 3
  (tmp_path / "Training").mkdir()
  with pytest.raises(UserError, match="train and Training, which both mean"):
    folder.load("all", str(tmp_path))


def test_train_may_be_in_the_folder_of_an_archive(tmp_path):
  write(tmp_path / "cats" / "train" / "a" / "1.png")
  write(tmp_path / "cats" / "train" / "b" / "1.png")
  write(tmp_path / "cats" / "test" / "b" / "2.png")
  (tmp_path / "__MACOSX").mkdir()
  test = folder.load("test", str(tmp_path))
  assert names(test, tmp_path) == ["cats/test/b/2.png"]
  assert test[0]["label"] == 1


def test_train_among_vehicles_is_a_class(tmp_path):
  for kind in ("bus", "plane", "train"):
    write(tmp_path / kind / "1.png")
  source = folder.load("all", str(tmp_path))
  assert [r["label"] for r in source] == [0, 1, 2]


def test_what_is_left_out_is_counted_once(tmp_path, capsys):
  for i in range(8):
    (tmp_path / f"{i}.HEIC").write_bytes(b"not read")
  for name in ("1.jpg", "2.jfif", "3.jpe", "4.jp2", "5.avif", "6"):
    write(tmp_path / name)
  (tmp_path / "README").write_text("no image")
  (tmp_path / "Thumbs.db").write_bytes(b"")
  source = folder.load("all", str(tmp_path), channels=0)
  assert len(source) == 6
  assert all(r["image"].shape == (6, 7, 3) for r in source)
  folder.load("train", str(tmp_path))
  said = capsys.readouterr().err
  assert said.count("6 images: left out 8 .heic, 1 no suffix.") == 1


def test_orientation_and_alpha_are_applied_and_counted(tmp_path, capsys):
  exif = Image.Exif()
  exif[0x0112] = 6
  write(tmp_path / "1.jpg", exif=exif)
  clear = Image.new("RGBA", (6, 7), (255, 0, 0, 0))
  clear.save(tmp_path / "2.png")
  source = folder.load("all", str(tmp_path))
  assert source[0]["image"].shape == (7, 6, 3)
  assert (source[1]["image"] == 255).all()
  said = capsys.readouterr().err
  assert "of 2 images looked at, 1 are turned by EXIF orientation" in said
  assert "1 have alpha and get the background (255, 255, 255)" in said
  black = folder.load(
    "all", str(tmp_path), background=(0, 9, 0), ignore_orientation=True
  )
  assert black[0]["image"].shape == (6, 7, 3)
  assert (black[1]["image"] == (0, 9, 0)).all()
  for bad in ((1, 2), (0, 0, 300), (0.5, 0.5, 0.5)):
    with pytest.raises(UserError, match=r"config\.data\.background"):
      folder.load("all", str(tmp_path), background=bad)


@pytest.mark.parametrize(
  "modes, channels",
  [(("L", "1"), 1), (("L", "RGB"), 3), (("RGBA", "RGBA"), 4), (("CMYK",), 3)],
)
def test_channels_are_one_number_for_a_folder(tmp_path, modes, channels):
  for i, mode in enumerate(modes):
    Image.new(mode, (8, 6)).save(tmp_path / f"{i}.tif")
  Image.new(modes[0], (8, 6)).save(tmp_path / "9.tif")
  source = folder.load("all", str(tmp_path), channels=0, image_size=4)
  assert source.image_shape == (4, 4, channels)
  assert {r["image"].shape for r in source} == {(4, 4, channels)}


def test_twelve_bits_in_sixteen_are_said(tmp_path, capsys):
  dark = np.full((6, 6), 4095, np.uint16)
  Image.fromarray(dark).save(tmp_path / "1.png")
  assert folder.load("all", str(tmp_path), channels=1)[0]["image"].max() == 16
  said = capsys.readouterr().err
  assert "16-bit images hold at most 4,095 of 65,535" in said
  assert "scale them by 16" in said


def frames(root, videos=20, count=5):
  for video in range(videos):
    for i in range(count):
      write(root / "ab"[video % 2] / f"v{video:02d}" / f"{i}.png", video)
  return str(root)


@pytest.mark.parametrize("group", ["folder", r"/(v\d+)/"])
def test_a_group_is_on_one_side(tmp_path, group):
  path = frames(tmp_path)
  test = folder.load("test", path, group=group)
  train = folder.load("train", path, group=group)
  videos = [{f.split("/")[1] for f in names(s, path)} for s in (train, test)]
  assert not videos[0] & videos[1]
  assert len(videos[1]) == 2 and len(test) == 10 and len(train) == 90
  again = pickle.loads(pickle.dumps(test))
  assert names(again, path) == names(test, path)


def test_blocks_are_the_last_tenth_of_each_class(tmp_path):
  path = frames(tmp_path)
  found = names(folder.load("test", path, group="blocks"), path)
  last = [f"a/v18/{i}.png" for i in range(5)]
  assert found == last + [f"b/v19/{i}.png" for i in range(5)]


def test_few_groups_have_one_of_each_class_for_test(tmp_path):
  path = frames(tmp_path, videos=5)
  test = folder.load("test", path, group="folder")
  assert {f.split("/")[1] for f in names(test, path)} == {"v03", "v04"}
  # Groups that lie across classes are not of one.
  test = folder.load("test", path, group=r"(\d+)\.png")
  assert {f.split("/")[2] for f in names(test, path)} == {"4.png"}


@pytest.mark.parametrize(
  "group, message",
  [
    ("folders", r"has no \(\.\.\.\): expected folder, blocks"),
    ("(", "no regular expression"),
    (r"(w\d+)", "finds no group in 100 of 100 paths, such as 'a/v00/0.png'"),
    (r"^(a|b)/", "one group of each class"),
    (r"(png)", "all 100 images into one group"),
  ],
)
def test_bad_groups_are_one_line(tmp_path, group, message):
  path = frames(tmp_path)
  with pytest.raises(UserError, match=message) as caught:
    folder.load("train", path, group=group)
  assert "\n" not in str(caught.value)


def test_groups_and_split_folders_are_two_splits(tmp_path):
  write(tmp_path / "train" / "1.png")
  write(tmp_path / "test" / "1.png", 1)
  with pytest.raises(UserError, match="own train and test are the split"):
    folder.load("train", str(tmp_path), group="folder")


class Images:
  name, tasks, image_shape = "images", {}, None

  def __init__(self, images):
    self.images = images

  def __len__(self):
    return len(self.images)

  def __getitem__(self, i):
    return {"image": self.images[i], "index": i}


def test_frames_of_one_video_are_near_copies():
  rng = np.random.default_rng(0)
  scenes = rng.integers(0, 256, (8, 5, 5, 3), np.uint8)
  noise = rng.integers(-3, 4, (40, 64, 64, 3))
  big = np.repeat(np.repeat(scenes, 13, 1), 13, 2)[:, :64, :64]
  video = np.clip(np.repeat(big, 5, 0) + noise, 0, 255).astype(np.uint8)
  train, test = np.delete(video, np.s_[4::5], 0), video[4::5]
  found = near_copies.near_copies(Images(train), Images(test))
  assert found == (8, 8, 32)
  assert "8 are near-copies" in near_copies.line(Images(train), Images(test))
  other = near_copies.near_copies(Images(video[:20]), Images(video[20:]))
  assert other == (0, 20, 20)
  flat = np.full((9, 8, 8, 1), 255, np.uint8)  # all alike, and says nothing
  assert near_copies.near_copies(Images(flat), Images(flat)) == (0, 0, 0)
  assert near_copies.line(Images(video[:20]), Images(video[20:])) == ""


def test_the_first_record_may_be_broken():
  class Broken(Images):
    def __getitem__(self, i):
      if i < 2:
        raise data.BrokenRecord(f"Record {i} is broken.")
      return super().__getitem__(i)

  source = Broken(np.zeros((4, 2, 2, 3), np.uint8))
  assert data.example(source, "skip")["index"] == 2
  with pytest.raises(data.BrokenRecord, match="Record 0"):
    data.example(source, "stop")
