"""Damaged files: what decoders fill in without a word is a broken record."""

import io
import struct
import zlib

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image

from infomin_jax.data import decode
from infomin_jax.errors import UserError

PHOTO = skimage.data.coffee()[:200, :300]
# Pillow's format and options.
KINDS = {
  "jpeg": ("jpeg", {"quality": 90}),
  "progressive": ("jpeg", {"quality": 90, "progressive": True}),
  "gray": ("jpeg", {"quality": 90}),
  "cmyk": ("jpeg", {"quality": 90}),
  "webp": ("webp", {"quality": 90}),
  "lossless": ("webp", {"lossless": True}),
  "png": ("png", {}),
  "lzw": ("tiff", {"compression": "tiff_lzw"}),
  "deflate": ("tiff", {"compression": "tiff_adobe_deflate"}),
  "jpeg in tiff": ("tiff", {"compression": "jpeg"}),
  "jp2": ("jpeg2000", {"quality_mode": "rates", "quality_layers": [10]}),
  "avif": ("avif", {}),
  "gif": ("gif", {}),
}
# Formats without checksums, whose decoders take any bytes.
UNCHECKED = {("webp", "text"), ("jp2", "text"), ("lossless", "text")}
UNCHECKED |= {("progressive", "text")}  # all of it may be valid codes
JPEGS = {"jpeg", "progressive", "gray", "cmyk", "jpeg in tiff"}


def encoded(kind, pixels=PHOTO):
  name, options = KINDS[kind]
  image = Image.fromarray(pixels)
  image = image.convert({"gray": "L", "cmyk": "CMYK"}.get(kind, "RGB"))
  file = io.BytesIO()
  image.save(file, name, **options)
  return file.getvalue()


def damaged(content, fill, where=0.5, length=4096):
  start = int(len(content) * where)
  fills = {"zeros": b"\0", "ones": b"\xff", "text": b"<b>404 Not Found</b>"}
  junk = (fills[fill] * length)[:length]
  return content[:start] + junk + content[start + length :]


@pytest.mark.parametrize("fill", ["zeros", "ones", "text"])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_in_the_middle_is_noticed(kind, fill, capfd):
  content = encoded(kind)
  intact_pixels = decode.decode(content, 3)
  assert intact_pixels.shape == PHOTO.shape
  for where in (0.4, 0.7):
    try:
      got = decode.decode(damaged(content, fill, where), 3)
    except decode.BrokenRecord:
      continue
    same = np.abs(got.astype(int) - intact_pixels).max() <= 2
    assert same or (kind, fill) in UNCHECKED
  # What libraries print has no file's name.
  assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fill", [255, 0, 77])
@pytest.mark.parametrize("kind", KINDS)
def test_flat_parts_are_no_damage(kind, fill, capfd):
  image = np.full((600, 600, 3), fill, np.uint8)
  image[:150, :150] = PHOTO[:150, :150]
  got = decode.decode(encoded(kind, image), 3)
  assert (np.abs(got[200:].astype(int) - fill) <= 2).all()
  assert capfd.readouterr().err == ""


def test_large_flat_webp_holds_zeros_and_is_whole():
  image = np.full((2000, 2000, 3), 255, np.uint8)
  content = encoded("webp", image)
  assert bytes(64) in content
  assert decode.decode(content, 3).min() >= 254


def test_what_programs_leave_in_a_jpeg_is_no_damage():
  content = encoded("jpeg")
  expected = decode.decode(content, 3)
  # Bytes behind the last pixel, and behind the end.
  for whole in (content[:-2] + b"\x12\x34" * 40 + content[-2:], content + b"x"):
    np.testing.assert_array_equal(decode.decode(whole, 3), expected)


def test_lines_of_libpng_are_held_back(capfd):
  file = io.BytesIO()
  Image.fromarray(PHOTO).save(file, "png", icc_profile=b"no profile" * 20)
  np.testing.assert_array_equal(decode.decode(file.getvalue()), PHOTO)
  assert capfd.readouterr() == ("", "")


def test_a_png_says_which_part_is_damaged():
  content = bytearray(encoded("png"))
  content[-30] ^= 1
  with pytest.raises(decode.BrokenRecord, match=r"'IDAT' at byte \d+"):
    decode.decode(bytes(content))
  whole = encoded("png")
  text = b"tEXt" + b"a\0b"
  part = struct.pack(">I", 3) + text + struct.pack(">I", zlib.crc32(text))
  both = whole[:33] + part + whole[33:]
  np.testing.assert_array_equal(decode.decode(both), PHOTO)


@pytest.mark.parametrize(
  "pixels, message",
  [
    (np.ones((8, 8, 3), np.float32), "got float32"),
    (np.ones((8, 8), np.float64), "got float64"),
    (np.ones((8, 8), np.float16), "got float16"),
    (np.ones((8, 8), np.uint32), "got uint32"),
    (np.ones((8, 8), np.int16), "got int16"),
    (np.ones((8, 9, 5), np.uint8), "1 to 4 channels, got 5"),
  ],
)
@pytest.mark.parametrize("channels", [0, 1, 3])
def test_a_kind_that_is_not_read_is_no_damage(pixels, message, channels):
  file = io.BytesIO()
  rgb = pixels.ndim == 3 and pixels.shape[2] == 3
  tifffile.imwrite(
    file,
    pixels,
    photometric="rgb" if rgb else "minisblack",
    planarconfig="contig" if pixels.ndim == 3 else None,
  )
  with pytest.raises(UserError, match=message) as caught:
    decode.decode(file.getvalue(), channels)
  assert not isinstance(caught.value, decode.BrokenRecord)


def test_heic_is_named():
  with pytest.raises(UserError, match="HEIC") as caught:
    decode.decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
  assert not isinstance(caught.value, decode.BrokenRecord)
