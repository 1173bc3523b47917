"""Reports on damaged, unsupported and huge images: kinds 6 and 7."""

import io
import tracemalloc

import numpy as np
import skimage.data
import tifffile
from PIL import Image
from report import Report, heard, holds, one_line, refused

from infomin_jax import data
from infomin_jax.data import decode, folder, listing

_PHOTO = Image.fromarray(skimage.data.coffee()[:200, :300])


def encoded(kind: str, **options) -> bytes:
  file = io.BytesIO()
  _PHOTO.save(file, kind, **options)
  return file.getvalue()


def damaged(kind: str, where: float, fill: bytes, **options):
  def check(root):
    content = encoded(kind, **options)
    start = int(len(content) * where)
    junk = (fill * 4096)[:4096]
    broken = content[:start] + junk + content[start + 4096 :]
    (root / "1.img.png").write_bytes(broken)
    source = folder.load("all", str(root))
    with heard() as said:
      try:
        source[0]
      except data.BrokenRecord as error:
        one_line(str(error), "1.img.png")
      else:
        raise AssertionError("read without a word")
    assert said == ["", ""], said

  name = f"{kind} {''.join(map(str, options.values()))}"
  given = f"{name}, 4 kB of {fill[:4]!r} at {where:.0%}"
  return Report(6, given, "a broken record, in one line", check)


def unsupported(kind: str, shape):
  def check(root):
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    pixels = np.ones(shape, kind)
    tifffile.imwrite(root / "1.tif", pixels, photometric=photometric)
    source = folder.load("all", str(root))
    line = refused(lambda: source[0], "1.tif", kind)
    assert "damaged" not in line
    try:
      source[0]
    except data.BrokenRecord as error:
      raise AssertionError("skipped as damage") from error
    except ValueError:
      pass

  return Report(6, f"TIFF of {kind} {shape}", "refused, not skipped", check)


def first_broken(root):
  (root / "0.jpg").write_bytes(b"nothing")
  _PHOTO.save(root / "1.png")
  source = folder.load("all", str(root))
  assert data.example(source, "skip")["index"] == 1
  refused(lambda: data.example(source, "stop"), "0.jpg")


def twelve_bits(root):
  image = np.full((8, 8), 2000, np.uint16)
  Image.fromarray(image).save(root / "1.png")
  listing.say_once.cache_clear()
  with heard() as said:
    folder.load("all", str(root), channels=1)
  holds(said[1], "16-bit images hold at most 2,000 of 65,535")


def bad_profile(root):
  (root / "1.png").write_bytes(encoded("png", icc_profile=b"junk" * 40))
  source = folder.load("all", str(root))
  with heard() as said:
    image = source[0]["image"]
  np.testing.assert_array_equal(image, np.asarray(_PHOTO))
  assert said == ["", ""], said


def long_image(height: int, width: int, size: int):
  def check(root):
    image = np.zeros((height, width, 3), np.uint8)
    tracemalloc.start()
    resized = decode.resize_crop(image, size, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert resized.shape == (size, size, 3)
    assert peak < 2**26, f"{peak / 2**20:.0f} MiB"

  given = f"{height} x {width} at {size}"
  return Report(7, given, "below 64 MiB", check)


REPORTS: tuple[Report, ...] = (
  damaged("jpeg", 0.5, b"\0"),
  damaged("jpeg", 0.4, b"<html>", quality=95),
  damaged("jpeg", 0.3, b"\0", progressive=True),
  damaged("webp", 0.5, b"\0", quality=90),
  damaged("png", 0.5, b"\0"),
  damaged("tiff", 0.5, b"\0", compression="tiff_lzw"),
  damaged("tiff", 0.6, b"text", compression="tiff_lzw"),
  damaged("tiff", 0.5, b"\0", compression="jpeg"),
  damaged("tiff", 0.4, b"\xff", compression="tiff_adobe_deflate"),
  damaged("jpeg2000", 0.5, b"\0"),
  damaged("avif", 0.5, b"\0"),
  unsupported("float32", (8, 9, 3)),
  unsupported("float64", (8, 9)),
  unsupported("int16", (8, 9)),
  Report(6, "the first file broken, skip", "the next is read", first_broken),
  Report(6, "12 bits in 16", "a line says so", twelve_bits),
  Report(28, "a PNG with a bad profile", "nothing is printed", bad_profile),
  long_image(1, 30_000, 224),
  long_image(30_000, 1, 224),
  long_image(3, 40_000, 224),
  long_image(2, 2**20, 64),
  long_image(400, 600, 224),
)
