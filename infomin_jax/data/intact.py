"""Finds damage that decoders pass over: checksums, codes, runs of zeros.

Where a format has a checksum or a decoder that notices, that decides. WebP and
JPEG 2000 have neither: there only a run of zeros, which an unwritten part of a
disk or of a download leaves, is noticed.
"""

import io
import logging
import struct
import zlib

import numpy as np
import simplejpeg
import tifffile

from infomin_jax.errors import UserError

# What it would log is in the error that names the record.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
JP2 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_PIXELS = 2**27  # a small file may claim to be huge: 400 MB are the most
_ZEROS, _ONES = bytes(64), b"\xff" * 64
# In WebP a byte of zeros stands for 10,000 or more pixels that are like their
# neighbors, in lossless WebP for 2.7 or more.
_FLAT_PER_ZERO = {False: 5000.0, True: 2.0}
_DEFLATE, _LZW, _JPEG, _PACKBITS = (8, 32946), 5, 7, 32773
# What libjpeg warns of although every pixel is there.
_HARMLESS = (
  *("Invalid SOS parameters", "Unknown Adobe color transform"),
  *("unknown JFIF revision", "bad ICC marker"),
)


class BrokenRecord(UserError):
  """One record that cannot be read: the pipeline can skip these, if asked."""


def jpeg_space(data: bytes) -> str:
  """Returns the colors of a JPEG: `Gray`, `YCbCr`, `RGB`, `CMYK` or `YCCK`.

  Raises:
    BrokenRecord: damaged, or with too many pixels.
    UserError: of a kind that libjpeg does not read.
  """
  try:
    height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
  except KeyError as error:
    raise BrokenRecord(f"its {len(data)} bytes hold no image") from error
  except ValueError as error:
    raise _jpeg_error(error) from error
  if int(height) * int(width) > MOST_PIXELS:
    raise BrokenRecord(f"it has more than {MOST_PIXELS} pixels")
  return space


def jpeg(data: bytes, space: str) -> np.ndarray:
  """Decodes a JPEG, and refuses one of which libjpeg says that it guesses.

  Args:
    data: the file's content.
    space: `RGB`, `GRAY` or `CMYK`.

  Returns:
    uint8 `[h, w, c]`.

  Raises:
    BrokenRecord: damaged.
    UserError: of a kind that libjpeg does not read.
  """
  try:
    return simplejpeg.decode_jpeg(data, space)
  except ValueError as error:
    if not _harmless(str(error), data):
      raise _jpeg_error(error) from error
  try:
    return simplejpeg.decode_jpeg(data, space, strict=False)
  except ValueError as error:
    raise _jpeg_error(error) from error


def _jpeg_error(error: ValueError) -> UserError:
  """The error of a JPEG: damage, or a kind that libjpeg does not read."""
  why = str(error)
  if why.startswith("Unsupported") and "marker" not in why:
    return UserError(f"this kind of JPEG is not supported ({why}); convert it")
  return BrokenRecord(f"libjpeg says: {why}")


def _harmless(why: str, data: bytes) -> bool:
  # Some programs leave bytes behind the last pixel. Damage leaves some too, but
  # then of zeros, which codes hold no long run of.
  if "extraneous bytes before marker 0xd9" in why:
    return _ZEROS not in data
  return any(words in why for words in _HARMLESS)


def png(data: bytes) -> bytes:
  """The PNG without what is no pixel, of which libpng would warn.

  Raises:
    BrokenRecord: a chunk with a wrong checksum, or the end is missing.
  """
  kept, place = [PNG], len(PNG)
  while place + 12 <= len(data):
    (length,) = struct.unpack_from(">I", data, place)
    end = place + 12 + length
    kind = data[place + 4 : place + 8]
    if end > len(data):
      break
    (stored,) = struct.unpack_from(">I", data, end - 4)
    if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != stored:
      raise BrokenRecord(
        f"its part {kind.decode('latin1')!r} at byte {place} is damaged: the "
        "checksum differs"
      )
    # Parts with a capital are needed to decode; tRNS is transparency.
    if kind[:1].isupper() or kind == b"tRNS":
      kept.append(data[place:end])
    if kind == b"IEND":
      return b"".join(kept)
    place = end
  raise BrokenRecord(f"its {len(data)} bytes end too early")


def tiff(data: bytes) -> tifffile.TiffPage:
  """The first page's description, once its pixels are checked.

  Raises:
    BrokenRecord: damaged.
    UserError: numbers or channels that no decoder here reads.
  """
  try:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
      page = file.pages.first
      about, bits = (page.compression, page.jpegtables), page.bitspersample
      places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
  except Exception as error:  # a hostile header may raise anything
    raise BrokenRecord(
      f"its {len(data)} bytes are no intact TIFF ({_line(error)})"
    ) from error
  kinds = {8: "u", 16: "u"}
  if bits > 16 or (bits in kinds and np.dtype(page.dtype).kind not in "ub"):
    raise UserError(
      f"expected an image of 8 or 16 bits per channel, got {page.dtype}; "
      "convert it, or store it as arrays (data.name=arrays)"
    )
  if page.samplesperpixel > 4:
    raise UserError(
      f"expected 1 to 4 channels, got {page.samplesperpixel}: store the images "
      "as arrays (data.name=arrays)"
    )
  if page.imagewidth * page.imagelength > MOST_PIXELS:
    raise BrokenRecord(f"it has more than {MOST_PIXELS} pixels")
  for start, count in places:
    if start + count > len(data):
      raise BrokenRecord(f"its {len(data)} bytes end too early")
    _check_segment(data[start : start + count], *about)
  return page


def _check_segment(data: bytes, compression: int, tables: bytes | None):
  """Checks one strip or tile of a TIFF."""
  try:
    if compression in _DEFLATE:
      zlib.decompressobj().decompress(data)
    elif compression == _JPEG:
      # The tables are a file of their own, without pixels.
      whole = tables[:-2] + data[2:] if tables else data
      gray = jpeg_space(whole) == "Gray"
      jpeg(whole, "GRAY" if gray else "RGB")
    elif compression in (_LZW, _PACKBITS) and (_ZEROS in data or _ONES in data):
      raise BrokenRecord("its pixels are damaged: a run of one byte")
  except (zlib.error, ValueError) as error:
    if isinstance(error, UserError):
      raise
    raise BrokenRecord(f"its pixels are damaged ({_line(error)})") from error


def check_zeros(data: bytes, image: np.ndarray) -> None:
  """Refuses a JPEG 2000 or WebP file of which a part is zeros.

  Args:
    data: the file's content.
    image: what it was decoded to, `[h, w, c]`.
  """
  start = data.find(_ZEROS)
  if data.startswith(JP2) and start < 0:
    start = data.find(_ONES)
  if start < 0:
    return
  if data.startswith(b"RIFF"):
    lossless = b"VP8L" in data[12:64]  # also behind VP8X
    flat = (image[:, 1:] == image[:, :-1]).all(-1).sum()
    if flat >= _FLAT_PER_ZERO[lossless] * _longest_zeros(data):
      return
  raise BrokenRecord(
    f"its bytes from {start} on are all the same: a part is missing"
  )


def _longest_zeros(data: bytes) -> int:
  places = np.flatnonzero(np.frombuffer(data, np.uint8))
  return int(np.diff(places, prepend=-1, append=len(data)).max()) - 1


def _line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
