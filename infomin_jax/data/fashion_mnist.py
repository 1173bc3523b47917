"""Fashion-MNIST from its four original files, which are in a Debian package.

The registered TFDS builder needs TensorFlow for preparation, and its checksums
do not match Debian's recompressed files. The builder here has neither limit.
"""

import gzip
import math
import pathlib
import struct
import sys
import zlib
from typing import IO

import cv2
import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data import tfds_sources
from infomin_jax.errors import UserError
from infomin_jax.paths import local

FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
NAME = "fashion_mnist_idx"
_STEMS = {"train": "train", "test": "t10k"}
_CLASSES = (
  *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
  *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class FashionMnistIdx(tfds.core.GeneratorBasedBuilder):
  """TFDS builder of Fashion-MNIST from IDX files, in their order."""

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "The four *-ubyte.gz files of Fashion-MNIST."

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description="Fashion-MNIST: 28 x 28 gray images of clothes, 10 classes.",
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(
            shape=(28, 28, 1), encoding_format="png"
          ),
          "label": tfds.features.ClassLabel(names=_CLASSES),
        }
      ),
      supervised_keys=("image", "label"),
      # Without shuffling, a record's index is its row in the original files.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    folder = pathlib.Path(dl_manager.manual_dir)
    return {split: self._generate_examples(folder, split) for split in _STEMS}

  def _generate_examples(self, folder, split):
    for i, (image, label) in enumerate(zip(*read(folder, split), strict=True)):
      png = cv2.imencode(".png", image)[1].tobytes()
      yield i, {"image": png, "label": int(label)}


def load(split: str, data_dir: str = "") -> tfds_sources.TfdsSource:
  """Makes a source of Fashion-MNIST; prepares it on first use (30 seconds).

  It uses the first of these: the registered TFDS set, prepared in `data_dir`;
  our set, prepared there; the original files in `data_dir`; the files of the
  Debian package.

  Args:
    split: a TFDS split string over `train` (60,000) and `test` (10,000).
    data_dir: the folder of the prepared sets; "" is TFDS's default.

  Raises:
    UserError: none of these exist; the message says what to install.
  """
  folder = prepared(data_dir) or prepare(data_dir)
  return tfds_sources.TfdsSource("fashion_mnist", folder, split)


def prepared(data_dir: str = "") -> pathlib.Path | None:
  """Returns the folder of a prepared, readable Fashion-MNIST, or None."""
  for name in ("fashion_mnist", NAME):
    folder = tfds_sources.find(name, data_dir)
    if folder and tfds_sources.file_format(folder) == "array_record":
      return folder
  return None


def prepare(data_dir: str = "", manual_dir: str = "") -> pathlib.Path:
  """Prepares the set from the original files; returns its folder."""
  source = idx_folder(data_dir, manual_dir)
  for split in _STEMS:
    read(source, split)  # a damaged file fails here, not halfway
  top = tfds_sources.default_dir(data_dir)
  print(f"Preparing Fashion-MNIST from {source} in {top}.", file=sys.stderr)
  builder = FashionMnistIdx(data_dir=str(top), file_format="array_record")
  return tfds_sources.write(builder, str(source))


def idx_folder(data_dir: str = "", manual_dir: str = "") -> pathlib.Path:
  """Returns the folder with the four original files; UserError if none."""
  names = [n for stem in _STEMS.values() for n in file_names(stem)]
  folders = [tfds_sources.default_dir(data_dir), FOLDER]
  if manual_dir:
    folders = [local("--manual_dir", manual_dir)]
  for folder in folders:
    if all((folder / name).is_file() for name in names):
      return folder
  raise UserError(
    f"Fashion-MNIST is missing: expected {', '.join(names)} in "
    f"{' or '.join(str(p) for p in folders)}. On Debian and Ubuntu: apt-get "
    "install dataset-fashion-mnist"
  )


def file_names(stem: str) -> tuple[str, str]:
  """Returns the names of the image and label files of `train` or `t10k`."""
  return f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz"


def read(folder: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
  """Reads images uint8 `[n, 28, 28]` and labels uint8 `[n]` of a split."""
  names = file_names(_STEMS[split])
  images, labels = (read_idx(folder / name) for name in names)
  if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
    raise UserError(
      f"{folder / names[0]}: expected images [n, 28, 28] and n labels; got "
      f"{list(images.shape)} and {list(labels.shape)}."
    )
  return images, labels


def read_idx(path: pathlib.Path) -> np.ndarray:
  """Reads a gzipped IDX file: a uint8 array of any rank."""
  try:
    with gzip.open(path) as file:
      shape = idx_shape(file, path)
      data = np.frombuffer(file.read(), np.uint8)
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f"{path} is damaged: {error}; fetch it again.") from error
  if data.size != math.prod(shape):
    raise UserError(
      f"{path} is damaged: expected {math.prod(shape)} bytes of data, got "
      f"{data.size}; fetch it again."
    )
  return data.reshape(shape)


def idx_shape(
  file: IO[bytes] | gzip.GzipFile, path: pathlib.Path
) -> tuple[int, ...]:
  """Reads the header of an uncompressed IDX file: the shape of its array."""
  magic = file.read(4)
  if len(magic) != 4 or magic[:3] != b"\0\0\x08":
    raise UserError(
      f"{path}: expected an IDX file of unsigned bytes (it starts with "
      f"00 00 08), got {magic.hex(' ') or 'nothing'}."
    )
  header = file.read(4 * magic[3])
  if len(header) != 4 * magic[3]:
    raise UserError(f"{path} is damaged: its header is cut; fetch it again.")
  return struct.unpack(f">{magic[3]}I", header)
