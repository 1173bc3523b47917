"""A TFDS builder of Tiny ImageNet, which TFDS itself lacks."""

import pathlib
import re
import zipfile
from collections.abc import Callable

import tensorflow_datasets as tfds

from infomin_jax.data import tfds_sources
from infomin_jax.errors import UserError
from infomin_jax.paths import local

_FOLDER = "tiny-imagenet-200"
_LAYOUT = (
  f"{_FOLDER}.zip, or the folder {_FOLDER} from it with wnids.txt, "
  "train/*/images/*.JPEG, val/images/*.JPEG and val/val_annotations.txt"
)


class TinyImagenet(tfds.core.GeneratorBasedBuilder):
  """64 x 64 images of 200 ImageNet classes: 100,000 train, 10,000 validation.

  A label is the position of the WordNet id in sorted order. The test images
  have no labels and are left out.
  """

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = f"Expected {_LAYOUT}."

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description="Tiny ImageNet: 64 x 64 images of 200 ImageNet classes.",
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(
            shape=(64, 64, 3), encoding_format="jpeg"
          ),
          "label": tfds.features.ClassLabel(num_classes=200),
        }
      ),
      supervised_keys=("image", "label"),
    )

  def _split_generators(self, dl_manager):
    names, read = open_files(str(dl_manager.manual_dir))
    return {
      split: self._generate_examples(rows, read)
      for split, rows in labelled(names, read).items()
    }

  def _generate_examples(self, rows, read):
    for name, label in rows:
      yield name, {"image": read(name), "label": label}


def prepare(data_dir: str = "", manual_dir: str = "") -> pathlib.Path:
  """Prepares the set from files in `manual_dir`; returns its folder."""
  if not manual_dir:
    raise UserError(
      f"tiny_imagenet: give --manual_dir, a folder with {_LAYOUT}."
    )
  labelled(*open_files(manual_dir))  # a wrong layout fails before writing
  builder = TinyImagenet(
    data_dir=str(tfds_sources.default_dir(data_dir)), file_format="array_record"
  )
  return tfds_sources.write(builder, manual_dir)


def open_files(manual_dir: str) -> tuple[list[str], Callable[[str], bytes]]:
  """Returns the names below `tiny-imagenet-200`, and a function to read one."""
  top = local("--manual_dir", manual_dir)
  folder, archive = top / _FOLDER, top / f"{_FOLDER}.zip"
  if folder.is_dir():
    files = [p for p in folder.rglob("*") if p.is_file()]
    names = [p.relative_to(folder).as_posix() for p in files]
    return names, lambda name: (folder / name).read_bytes()
  if archive.is_file():
    try:
      zip_file = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
      raise UserError(f"{archive} is damaged: {error}.") from error
    start = f"{_FOLDER}/"
    names = [n.removeprefix(start) for n in zip_file.namelist()]
    return names, lambda name: zip_file.read(start + name)
  raise UserError(f"tiny_imagenet: expected {_LAYOUT} in {top}.")


def labelled(
  names: list[str], read: Callable[[str], bytes]
) -> dict[str, list[tuple[str, int]]]:
  """Returns `{split: [(name, label), ...]}` from the original layout.

  Raises:
    UserError: files are missing, or names and classes do not match.
  """
  needed = ("wnids.txt", "val/val_annotations.txt")
  if missing := [name for name in needed if name not in names]:
    raise UserError(
      f"tiny_imagenet: {missing[0]} is missing; expected {_LAYOUT}."
    )
  wnids = sorted(read("wnids.txt").decode().split())
  label = {wnid: i for i, wnid in enumerate(wnids)}
  train = [
    (name, match[1])
    for name in sorted(names)
    if (match := re.fullmatch(r"train/(n\d+)/images/[^/]+\.JPEG", name))
  ]
  lines = read("val/val_annotations.txt").decode().splitlines()
  rows = [line.split("\t")[:2] for line in lines if line.strip()]
  val = [(f"val/images/{name}", wnid) for name, wnid in rows]
  unknown = {w for _, w in train + val} - set(wnids)
  absent = {name for name, _ in val} - set(names)
  if not train or not val or unknown or absent:
    raise UserError(
      f"tiny_imagenet: expected {_LAYOUT}; found {len(train)} training and "
      f"{len(val)} validation images, {len(unknown)} classes that are not in "
      f"wnids.txt, {len(absent)} validation files missing."
    )
  return {
    "train": [(name, label[wnid]) for name, wnid in train],
    "validation": [(name, label[wnid]) for name, wnid in val],
  }
