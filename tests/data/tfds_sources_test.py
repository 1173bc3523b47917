"""TFDS sets without TensorFlow: read by name, prepared by us, listed."""

import gzip
import importlib.util
import itertools
import json
import multiprocessing
import pickle
import struct
import sys
import zipfile
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import encoded, pixels, write_set

from infomin_jax import data
from infomin_jax.data import catalog, fashion_mnist, tfds_sources, tiny_imagenet
from infomin_jax.errors import UserError


def by_image(source):
  """{bytes of the image: record}: TFDS shuffles while it writes."""
  return {record["image"].tobytes(): record for record in source}


# --- sets by name -----------------------------------------------------------


@pytest.mark.parametrize(
  "name, shape, fields, tasks",
  [
    ("mnist", (28, 28, 1), {"label": 7}, {"label": 10}),
    ("cifar10", (32, 32, 3), {"label": 7, "id": "x"}, {"label": 10}),
    (
      "cifar100",
      (32, 32, 3),
      {"label": 70, "coarse_label": 7, "id": "x"},
      {"label": 100, "coarse_label": 20},
    ),
    ("imagenet_resized_64", (64, 64, 3), {"label": 700}, {"label": 1000}),
  ],
)
def test_sets_of_one_size(tmp_path, name, shape, fields, tasks):
  images = [pixels(*shape, seed=i) for i in range(5)]
  rows = [{"image": encoded(image), **fields} for image in images]
  write_set(
    tfds_sources.BUILDERS[name], tmp_path, {"train": rows, "test": rows[:1]}
  )
  source: Any = data.load({"name": name, "data_dir": str(tmp_path)}, "train")
  assert source.name == name and source.image_shape == shape
  assert tasks == {k: task.classes for k, task in source.tasks.items()}
  assert all(k == task.field for k, task in source.tasks.items())
  assert len(source) == 5
  found = by_image(source)
  for image in images:
    record = found[image.tobytes()]
    assert {k: record[k] for k in tasks} == {k: fields[k] for k in tasks}
    assert record.keys() == {"image", "index", *tasks}
  assert [record["index"] for record in source] == list(range(5))
  for split, length in (("train[:40%]", 2), ("train+test", 6), ("all", 6)):
    part: Any = data.load({"name": name, "data_dir": str(tmp_path)}, split)
    assert len(part) == len(list(part)) == length
  assert "tensorflow" not in sys.modules


def test_stl10_joins_labelled_and_unlabelled(tmp_path):
  rows = [
    {"image": encoded(pixels(96, 96, 3, seed=i)), "label": i} for i in (3, 4)
  ]
  rest = [{"image": encoded(pixels(96, 96, 3)), "label": -1}]
  write_set("stl10", tmp_path, {"train": rows, "unlabelled": rest})

  def load(split):
    return data.load({"name": "stl10", "data_dir": str(tmp_path)}, split)

  assert sorted(r["label"] for r in load("train")) == [3, 4]
  both = load("train+unlabelled")
  assert len(both) == 3 and both.tasks == {}
  assert [r["label"] for r in both] == [
    *(r["label"] for r in load("train")),
    -1,
  ]
  assert load("unlabelled")[0].keys() == {"image", "index"}
  np.testing.assert_array_equal(both[2]["image"], pixels(96, 96, 3))
  assert load("unlabelled").tasks == load("all").tasks == {}


def test_celeb_a_attributes_are_tasks(tmp_path):
  features = tfds.builder("celeb_a", data_dir=tmp_path).info.features
  names = list(features["attributes"])
  truth = [{k: (len(k) + i) % 2 == 0 for k in names} for i in range(2)]
  rows = [
    {
      "image": encoded(pixels(218, 178, 3, seed=i), ".jpg"),
      "attributes": truth[i],
      "identity": {"Identity_No": i},
      "landmarks": dict.fromkeys(features["landmarks"], i),
    }
    for i in range(2)
  ]
  write_set("celeb_a", tmp_path, {"train": rows})
  source: Any = data.load(
    {"name": "celeb_a", "data_dir": str(tmp_path)}, "train"
  )
  assert len(source.tasks) == 40 and source.image_shape == (218, 178, 3)
  assert source.tasks["attribute_Smiling"] == data.Task("attribute_Smiling", 2)
  got = [{k: r[f"attribute_{k}"] for k in names} for r in source]
  assert got in (truth, truth[::-1])
  assert {type(v) for v in got[0].values()} == {int}


def test_imagenet_has_photos_of_many_sizes(tmp_path):
  images = [pixels(40 + i, 60, 3, seed=i) for i in range(3)]
  rows = [
    {"image": encoded(x, ".jpg"), "label": 900 + i, "file_name": f"{i}.jpg"}
    for i, x in enumerate(images)
  ]
  unlabelled = [dict(rows[0], label=-1)]
  write_set("imagenet2012", tmp_path, {"train": rows, "test": unlabelled})
  options = {"name": "imagenet2012", "data_dir": str(tmp_path)}
  source: Any = data.load(options, "train")
  assert source.image_shape is None
  (task,) = source.tasks.values()
  assert task[:2] == ("label", 1000) and task.names[0] == "n01440764"
  sizes = {r["label"]: r["image"].shape for r in source}
  assert sizes == {900 + i: (40 + i, 60, 3) for i in range(3)}
  assert data.load(options, "test").tasks == {}
  assert data.resident(source) is None


def test_div2k_is_its_high_resolution_images(tmp_path):
  high = pixels(40, 60, 3)
  row = {"hr": encoded(high), "lr": b"never decoded"}
  write_set("div2k/bicubic_x2", tmp_path, {"train": [row]})
  source: Any = data.load({"name": "div2k", "data_dir": str(tmp_path)}, "train")
  np.testing.assert_array_equal(source[0]["image"], high)
  assert source[0].keys() == {"image", "index"}


def test_any_builder_by_its_name(tmp_path):
  write_set("dsprites", tmp_path, {"train": [sprite(5)]})
  for builder in ("dsprites", "dsprites:2.0.0"):
    source: Any = data.load(
      {"name": "tfds", "builder": builder, "data_dir": str(tmp_path)}, "train"
    )
    assert source[0]["label_orientation"] == 5
    assert source.tasks["label_orientation"].classes == 40
  row = {"image": encoded(pixels(64, 64, 3)), "label": 1}
  write_set("imagenet_resized/64x64", tmp_path, {"train": [row]})
  # Without a configuration it is the default one, which TFDS wrote down.
  default = tmp_path / "imagenet_resized" / ".config" / "metadata.json"
  default.write_text(json.dumps({"default_config_name": "64x64"}))
  for builder in ("imagenet_resized", "imagenet_resized/64x64:0.1.0"):
    assert len(tfds_sources.load_any("train", builder, str(tmp_path))) == 1
  with pytest.raises(UserError, match=r"data\.builder: expected name"):
    tfds_sources.load_any("train", "../x", str(tmp_path))
  with pytest.raises(UserError, match="infomin data prepare dsprites:"):
    tfds_sources.load_any("train", "dsprites:9.0.0", str(tmp_path))


def sprite(orientation):
  names = ("orientation", "scale", "shape", "x_position", "y_position")
  row = {f"label_{n}": 0 for n in names} | {f"value_{n}": 0.0 for n in names}
  row |= {"label_orientation": orientation, "image": encoded(pixels(64, 64, 1))}
  return row


def test_the_newest_version_is_read(tmp_path):
  row = {"image": encoded(pixels(32, 32, 3)), "label": 1, "id": "x"}
  folder = write_set("cifar10", tmp_path, {"train": [row]})
  for version in ("3.0.10", "3.0.9", "draft"):
    (folder.parent / version).symlink_to(folder)
  top = folder.parent
  assert tfds_sources.find("cifar10", str(tmp_path)) == top / "3.0.10"
  assert tfds_sources.find("cifar10:3.0.9", str(tmp_path)) == top / "3.0.9"


def test_many_records_in_one_call(tmp_path):
  rows = [
    {"image": encoded(pixels(28, 28, 1, seed=i)), "label": i} for i in range(6)
  ]
  write_set("mnist", tmp_path, {"train": rows})
  source: Any = data.load({"name": "mnist", "data_dir": str(tmp_path)}, "train")
  picked = [4, 0, 4, 5]
  for record, i in zip(source.records(picked), picked, strict=True):
    assert record["index"] == i and record["label"] == source[i]["label"]
    np.testing.assert_array_equal(record["image"], source[i]["image"])
  copy = pickle.loads(pickle.dumps(source))
  assert "_records" not in copy.__dict__
  np.testing.assert_array_equal(copy[3]["image"], source[3]["image"])
  with pytest.raises(IndexError, match="6 records, not 6"):
    source[6]


# --- what is missing or damaged ---------------------------------------------


@pytest.mark.parametrize("name", sorted(tfds_sources.BUILDERS))
def test_unprepared_sets_say_what_to_do(tmp_path, name):
  with pytest.raises(UserError) as caught:
    data.load({"name": name, "data_dir": str(tmp_path)}, "train")
  message = str(caught.value)
  assert f"infomin data prepare {name} --data_dir {tmp_path}" in message
  assert str(tmp_path / tfds_sources.BUILDERS[name]) in message
  assert "array_record" in message and "\n" not in message


def test_other_formats_and_places_are_refused(tmp_path):
  row = {"image": encoded(pixels(32, 32, 3)), "label": 1, "id": "x"}
  folder = write_set("cifar10", tmp_path, {"train": [row]})
  info = json.loads((folder / "dataset_info.json").read_text())
  (folder / "dataset_info.json").write_text(
    json.dumps(info | {"fileFormat": "tfrecord"})
  )
  options = {"name": "cifar10", "data_dir": str(tmp_path)}
  with pytest.raises(UserError, match=r"holds tfrecord files, .* random"):
    data.load(options, "train")
  with pytest.raises(UserError, match="as tfrecord, which cannot be read"):
    data.prepare("cifar10", str(tmp_path))
  with pytest.raises(UserError, match="mount the bucket"):
    data.load(options | {"data_dir": "gs://bucket/data"}, "train")


def test_sets_without_images_are_refused(tmp_path):
  row = {"text": "good", "label": 1}
  write_set("imdb_reviews", tmp_path, {"train": [row]})
  with pytest.raises(UserError, match="has no images; its fields: label, text"):
    tfds_sources.load_any("train", "imdb_reviews", str(tmp_path))


def test_bad_splits_name_the_splits(tmp_path):
  row = {"image": encoded(pixels(28, 28, 1)), "label": 1}
  write_set("mnist", tmp_path, {"train": [row] * 3})
  options = {"name": "mnist", "data_dir": str(tmp_path)}
  for split in ("test", "train[", "train[:9]", "train[1:1]"):
    with pytest.raises(UserError, match=r"of mnist.*{'train': 3}") as caught:
      data.load(options, split)
    assert "\n" not in str(caught.value)


def test_damaged_records_name_index_and_file(tmp_path):
  rows = [
    {"image": encoded(pixels(28, 28, 1, seed=i)), "label": 0} for i in range(5)
  ]
  rows[3]["image"] = b"no image"
  folder = write_set("mnist", tmp_path, {"train": rows, "test": rows[:1]})
  options = {"name": "mnist", "data_dir": str(tmp_path)}
  source: Any = data.load(options, "test+train")
  broken = []
  for i in range(6):
    try:
      source[i]
    except data.BrokenRecord as error:
      broken.append(i)
      file = (
        f"{folder}/mnist-train.array_record-00000-of-00001, position {i - 1}"
      )
      assert f"Record {i} of mnist ({file}) cannot be decoded" in str(error)
  assert len(broken) == 1 and broken[0] > 0
  with pytest.raises(data.BrokenRecord, match=f"Record {broken[0]} "):
    list(source.records(range(6)))


def test_damaged_and_missing_files_are_named(tmp_path):
  rows = [
    {"image": encoded(pixels(96, 96, 3, seed=i)), "label": 0} for i in range(6)
  ]
  folder = write_set("stl10", tmp_path, {"train": rows})
  options = {"name": "stl10", "data_dir": str(tmp_path)}
  shard = next(folder.glob("*array_record*"))
  content = bytearray(shard.read_bytes())
  content[70000:70100] = bytes(100)  # in the third of six records of 28 kB
  shard.write_bytes(content)
  source: Any = data.load(options, "train")
  source[0], source[5]
  with pytest.raises(data.BrokenRecord, match=r"Record 2 .*stl10-train.*hash"):
    source[2]
  with pytest.raises(data.BrokenRecord, match="Record 2 "):
    list(source.records([0, 1, 2, 3]))
  shard.write_bytes(content[:1000])
  with pytest.raises(data.BrokenRecord, match=r"Record 0 .*stl10-train"):
    data.load(options, "train")[0]
  shard.unlink()
  with pytest.raises(UserError, match=r"stl10-train.* is missing; delete"):
    data.load(options, "train")


# --- Fashion-MNIST ----------------------------------------------------------


def write_idx(path, array, kind=8):
  head = struct.pack(
    f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape
  )
  path.write_bytes(gzip.compress(head + array.tobytes(), 1))


@pytest.fixture
def idx_files(tmp_path):
  folder = tmp_path / "idx"
  folder.mkdir()
  for stem, n in (("train", 7), ("t10k", 3)):
    images, labels = fashion_mnist.file_names(stem)
    write_idx(folder / images, pixels(n, 28, 28, seed=n))
    write_idx(folder / labels, np.arange(n, dtype=np.uint8))
  return folder


def test_fashion_mnist_is_prepared_from_its_original_files(idx_files):
  options = {"name": "fashion_mnist", "data_dir": str(idx_files)}
  source: Any = data.load(options, "train")
  assert source.image_shape == (28, 28, 1)
  (task,) = source.tasks.values()
  assert task[:2] == ("label", 10) and task.names[9] == "Ankle boot"
  images = np.stack([record["image"] for record in source])
  np.testing.assert_array_equal(images[..., 0], pixels(7, 28, 28, seed=7))
  assert [record["label"] for record in source] == list(range(7))
  assert len(data.load(options, "test")) == 3
  # Once prepared, the original files are not needed.
  for file in idx_files.glob("*.gz"):
    file.unlink()
  assert len(data.load(options, "train[2:]")) == 5
  assert "tensorflow" not in sys.modules


def test_the_registered_fashion_mnist_is_preferred(idx_files):
  rows = [{"image": encoded(pixels(28, 28, 1)), "label": 9}]
  folder = write_set("fashion_mnist", idx_files, {"train": rows})
  options = {"name": "fashion_mnist", "data_dir": str(idx_files)}
  assert data.load(options, "train")[0]["label"] == 9
  info = json.loads((folder / "dataset_info.json").read_text())
  (folder / "dataset_info.json").write_text(
    json.dumps(info | {"fileFormat": "tfrecord"})
  )
  assert len(data.load(options, "train")) == 7


def prepare_at_once(folder, barrier):
  barrier.wait()
  data.load({"name": "fashion_mnist", "data_dir": folder}, "train")


def test_two_processes_may_prepare_at_once(idx_files):
  spawn = multiprocessing.get_context("spawn")
  barrier = spawn.Barrier(2)
  runs = [
    spawn.Process(target=prepare_at_once, args=(str(idx_files), barrier))
    for _ in range(2)
  ]
  for run in runs:
    run.start()
  for run in runs:
    run.join()
  assert [run.exitcode for run in runs] == [0, 0]
  folder = idx_files / fashion_mnist.NAME
  assert [path.name for path in folder.iterdir()] == ["1.0.0"]
  options = {"name": "fashion_mnist", "data_dir": str(idx_files)}
  assert [r["label"] for r in data.load(options, "train")] == list(range(7))


def test_losing_the_race_is_no_error(idx_files, monkeypatch):
  builder = fashion_mnist.FashionMnistIdx(
    data_dir=str(idx_files), file_format="array_record"
  )
  generate = builder._split_generators

  def meanwhile(dl_manager):
    fashion_mnist.prepare(str(idx_files))
    return generate(dl_manager)

  monkeypatch.setattr(builder, "_split_generators", meanwhile)
  folder = tfds_sources.write(builder, str(idx_files))
  assert len(tfds_sources.TfdsSource("x", folder, "train")) == 7
  assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_without_files_the_error_names_the_package(tmp_path, monkeypatch):
  monkeypatch.setattr(fashion_mnist, "FOLDER", tmp_path / "none")
  with pytest.raises(UserError) as caught:
    data.load({"name": "fashion_mnist", "data_dir": str(tmp_path)}, "train")
  message = str(caught.value)
  assert "apt-get install dataset-fashion-mnist" in message
  assert "train-images-idx3-ubyte.gz" in message
  assert "t10k-labels-idx1-ubyte.gz" in message
  assert f"{tmp_path} or {tmp_path / 'none'}" in message


@pytest.mark.parametrize(
  "damage, message",
  [
    (
      lambda p: p.write_bytes(p.read_bytes()[:-9]),
      "is damaged.*fetch it again",
    ),
    (lambda p: p.write_bytes(b"x"), "is damaged.*fetch it again"),
    (
      lambda p: write_idx(p, pixels(7, 28, 28), 9),
      "unsigned bytes.*00 00 09 03",
    ),
    (lambda p: write_idx(p, pixels(7, 28, 27)), r"got \[7, 28, 27\]"),
    (lambda p: write_idx(p, pixels(6, 28, 28)), r"got \[6, 28, 28\] and \[7\]"),
    (
      lambda p: p.write_bytes(
        gzip.compress(gzip.decompress(p.read_bytes())[:-5])
      ),
      "expected 5488 bytes of data, got 5483",
    ),
    (
      lambda p: p.write_bytes(gzip.compress(b"\0\0\x08\3\0\0")),
      "its header is cut",
    ),
  ],
)
def test_damaged_idx_files_are_named(idx_files, damage, message):
  damage(idx_files / "train-images-idx3-ubyte.gz")
  options = {"name": "fashion_mnist", "data_dir": str(idx_files)}
  with pytest.raises(UserError, match="train-images-idx3.*" + message):
    data.load(options, "train")
  assert not (idx_files / fashion_mnist.NAME).exists()


@pytest.mark.needs("debian_fashion_mnist")
def test_the_debian_files_hold_70_000_images():
  shapes = {}
  for stem in ("train", "t10k"):
    for name in fashion_mnist.file_names(stem):
      path = fashion_mnist.FOLDER / name
      with gzip.open(path) as file:
        shapes[stem, name.split("-")[1]] = fashion_mnist.idx_shape(file, path)
  assert shapes == {
    ("train", "images"): (60_000, 28, 28),
    ("train", "labels"): (60_000,),
    ("t10k", "images"): (10_000, 28, 28),
    ("t10k", "labels"): (10_000,),
  }


# --- Tiny ImageNet ----------------------------------------------------------


@pytest.fixture
def tiny_files(tmp_path):
  """The layout of the original: wnids.txt is not sorted, one image is gray."""
  top = tmp_path / "manual" / "tiny-imagenet-200"
  for k, wnid in enumerate(("n02", "n01")):
    folder = top / "train" / wnid / "images"
    folder.mkdir(parents=True)
    for i in range(3):
      image = np.full((64, 64, 1 if i == 2 else 3), 100 * k + 10 * i, np.uint8)
      (folder / f"{wnid}_{i}.JPEG").write_bytes(encoded(image, ".jpg"))
    (top / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
  (top / "wnids.txt").write_text("n02\nn01\n")
  (top / "val" / "images").mkdir(parents=True)
  image = np.full((64, 64, 3), 50, np.uint8)
  (top / "val" / "images" / "val_0.JPEG").write_bytes(encoded(image, ".jpg"))
  notes = "val_0.JPEG\tn02\t0\t32\t44\t62\n"
  (top / "val" / "val_annotations.txt").write_text(notes)
  return top


@pytest.mark.parametrize("packed", [False, True])
def test_tiny_imagenet_from_the_folder_or_the_zip(tmp_path, tiny_files, packed):
  manual = tiny_files.parent
  if packed:
    manual = tmp_path / "packed"
    manual.mkdir()
    with zipfile.ZipFile(manual / "tiny-imagenet-200.zip", "w") as archive:
      for file in tiny_files.rglob("*"):
        archive.write(file, file.relative_to(tiny_files.parent))
  folder = data.prepare("tiny_imagenet", str(tmp_path / "sets"), str(manual))
  assert folder == str(tmp_path / "sets" / "tiny_imagenet" / "1.0.0")
  options = {"name": "tiny_imagenet", "data_dir": str(tmp_path / "sets")}
  source: Any = data.load(options, "train")
  assert source.image_shape == (64, 64, 3)
  assert source.tasks == {"label": data.Task("label", 200)}
  # Labels count the sorted ids, so n02 is 1; its images are 0, 10 and 20.
  got = sorted((r["label"], int(r["image"][0, 0, 0])) for r in source)
  assert got == [(0, 100), (0, 110), (0, 120), (1, 0), (1, 10), (1, 20)]
  (record,) = data.load(options, "validation")
  assert record["label"] == 1 and record["image"][0, 0, 0] == 50


def test_tiny_imagenet_says_what_it_expects(tmp_path, tiny_files):
  with pytest.raises(UserError, match="give --manual_dir"):
    data.prepare("tiny_imagenet", str(tmp_path))
  with pytest.raises(UserError, match=r"expected tiny-imagenet-200\.zip, or"):
    data.prepare("tiny_imagenet", str(tmp_path), str(tmp_path))
  (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"junk")
  with pytest.raises(UserError, match="is damaged"):
    data.prepare("tiny_imagenet", str(tmp_path), str(tmp_path))
  (tiny_files / "val" / "images" / "val_0.JPEG").unlink()
  with pytest.raises(UserError, match="1 validation files missing"):
    data.prepare("tiny_imagenet", str(tmp_path), str(tiny_files.parent))
  (tiny_files / "wnids.txt").unlink()
  with pytest.raises(UserError, match=r"wnids\.txt is missing"):
    tiny_imagenet.labelled(*tiny_imagenet.open_files(str(tiny_files.parent)))


# --- the list, and preparing registered sets --------------------------------


def test_describe_has_a_row_for_every_source(idx_files, monkeypatch):
  monkeypatch.setattr(fashion_mnist, "FOLDER", idx_files / "none")
  row = {"image": encoded(pixels(32, 32, 3)), "label": 1, "id": "x"}
  folder = write_set("cifar10", idx_files, {"train": [row]})
  rows = {r["name"]: r for r in data.describe(str(idx_files))}
  assert list(rows) == sorted(data.SOURCES)
  assert rows["cifar10"] == {
    "name": "cifar10",
    "ready": True,
    "where": str(folder),
    "how": "",
  }
  assert not rows["cifar100"]["ready"]
  assert rows["cifar100"]["how"] == "infomin data prepare cifar100"
  assert "ILSVRC2012_img_train.tar" in rows["imagenet2012"]["how"]
  assert rows["fashion_mnist"]["where"] == str(idx_files)
  rows = {r["name"]: r for r in data.describe(str(idx_files / "none"))}
  assert not rows["fashion_mnist"]["ready"]
  assert "apt-get install" in rows["fashion_mnist"]["how"]
  json.dumps(list(rows.values()))


def test_prepare_without_tensorflow_names_the_extra(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(UserError, match=r"pip install infomin-jax\[prepare\]"):
    data.prepare("cifar10", str(tmp_path))
  with pytest.raises(UserError, match="'cifra10': did you mean cifar10"):
    data.prepare("cifra10", str(tmp_path))
  with pytest.raises(UserError, match="folder needs no preparation"):
    data.prepare("folder", str(tmp_path))
  assert not list(tmp_path.iterdir())


def test_what_is_prepared_is_left_alone(idx_files):
  folder = data.prepare("fashion_mnist", str(idx_files))
  before = {path: path.stat().st_mtime_ns for path in idx_files.rglob("*")}
  assert data.prepare("fashion_mnist", str(idx_files)) == folder
  row = {"image": encoded(pixels(32, 32, 3)), "label": 1, "id": "x"}
  cifar = write_set("cifar10", idx_files / "c", {"train": [row]})
  assert data.prepare("cifar10", str(idx_files / "c")) == str(cifar)
  assert all(
    p.stat().st_mtime_ns == t for p, t in before.items() if p.is_file()
  )


class Offline:
  """Stands in for a registered builder whose preparation fails."""

  name, data_dir = "cifar10", "there"

  def __init__(self, error):
    self.error = error

  def is_prepared(self):
    return False

  def download_and_prepare(self, download_config):
    raise self.error


@pytest.mark.parametrize(
  "error, message",
  [
    (ConnectionError("Max retries exceeded\nmore"), "exceeded. Without a net"),
    (
      AssertionError("Manual directory\n  is empty"),
      "Manual directory is empty",
    ),
    (ModuleNotFoundError("no", name="pydub"), "needs the package pydub, which"),
  ],
)
def test_failing_preparations_are_one_line(
  tmp_path, monkeypatch, error, message
):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
  monkeypatch.setattr(catalog.tfds, "builder", lambda *a, **k: Offline(error))
  with pytest.raises(UserError, match=message) as caught:
    data.prepare("cifar10", str(tmp_path))
  assert "\n" not in str(caught.value)
  assert str(caught.value).count("could not") < 2
  with pytest.raises(
    UserError, match="must be downloaded by hand: give --manual"
  ):
    data.prepare("imagenet2012", str(tmp_path))


def test_tasks_have_one_order_whatever_that_of_the_features():
  classes = tfds.features.ClassLabel(num_classes=3)
  features = {"zoo": np.bool_, "label": classes, "coarse_label": classes}
  for names in itertools.permutations(features):
    read = tfds.features.FeaturesDict({name: features[name] for name in names})
    found = list(tfds_sources.task_fields(read))
    assert found == ["label", "coarse_label", "zoo"]
