"""Detects damage in image files that decoders ignore.

If a format has checksums, or a decoder that detects errors, these decide. WebP
and JPEG 2000 have neither. For them only runs of zeros are detected, which
incomplete writes and downloads leave.
"""

import io
import logging
import struct
import zlib

import numpy as np
import simplejpeg
import tifffile

from infomin_jax.errors import UserError

# Our error names the record; tifffile's log does not.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
JP2 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_PIXELS = 2**27  # 400 MB: the header of a small file may claim any size
_ZEROS, _ONES = bytes(64), b"\xff" * 64
# False: lossy WebP, where a zero byte encodes 10,000 or more pixels that equal
# their neighbors. True: lossless WebP, where it encodes 2.7 or more.
_FLAT_PER_ZERO = {False: 5000.0, True: 2.0}
_DEFLATE, _LZW, _JPEG, _PACKBITS = (8, 32946), 5, 7, 32773
# Warnings of libjpeg about files whose pixels are all intact.
_HARMLESS = (
  *("Invalid SOS parameters", "Unknown Adobe color transform"),
  *("unknown JFIF revision", "bad ICC marker"),
)


class BrokenRecord(UserError):
  """A record that cannot be read; the pipeline can skip such records."""


def jpeg_space(data: bytes) -> str:
  """Returns a JPEG's color space: `Gray`, `YCbCr`, `RGB`, `CMYK` or `YCCK`.

  Raises:
    BrokenRecord: the file is damaged or has too many pixels.
    UserError: libjpeg does not support this kind of JPEG.
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
  """Decodes a JPEG; refuses files that libjpeg decodes with a warning.

  Args:
    data: content of the file.
    space: `RGB`, `GRAY` or `CMYK`.

  Returns:
    uint8 `[h, w, c]`.

  Raises:
    BrokenRecord: the file is damaged.
    UserError: libjpeg does not support this kind of JPEG.
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
  """Returns UserError for an unsupported kind of JPEG, else BrokenRecord."""
  reason = str(error)
  if reason.startswith("Unsupported") and "marker" not in reason:
    return UserError(
      f"this kind of JPEG is not supported ({reason}); convert it"
    )
  return BrokenRecord(f"libjpeg reports: {reason}")


def _harmless(why: str, data: bytes) -> bool:
  # Some programs write extra bytes after the last pixel. Damage may leave such
  # bytes too, but those are zeros. Codes never have a long run of zeros.
  if "extraneous bytes before marker 0xd9" in why:
    return _ZEROS not in data
  return any(words in why for words in _HARMLESS)


def png(data: bytes) -> bytes:
  """Returns a PNG without the chunks that decoding does not need.

  libpng would print warnings about some of them.

  Raises:
    BrokenRecord: a checksum differs, or the end is missing.
  """
  chunks, start = [PNG], len(PNG)
  while start + 12 <= len(data):
    (length,) = struct.unpack_from(">I", data, start)
    end = start + 12 + length
    kind = data[start + 4 : start + 8]
    if end > len(data):
      break
    (stored,) = struct.unpack_from(">I", data, end - 4)
    if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != stored:
      raise BrokenRecord(
        f"its part {kind.decode('latin1')!r} at byte {start} is damaged: the "
        "checksum differs"
      )
    # A capital first letter marks chunks that decoding needs. tRNS has the
    # transparency, and its first letter is small.
    if kind[:1].isupper() or kind == b"tRNS":
      chunks.append(data[start:end])
    if kind == b"IEND":
      return b"".join(chunks)
    start = end
  raise BrokenRecord(f"its {len(data)} bytes end too early")


def tiff(data: bytes) -> tifffile.TiffPage:
  """Checks the first page's pixels; returns its description.

  Raises:
    BrokenRecord: the file is damaged.
    UserError: an unsupported data type or number of channels.
  """
  try:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
      page = file.pages.first
      about, bits = (page.compression, page.jpegtables), page.bitspersample
      segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
  except Exception as error:  # a damaged header may raise anything
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
  for start, count in segments:
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
      # The tables are a complete JPEG file without pixels. Its end marker and
      # the start marker of the data are dropped to join the two.
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
  """Refuses a JPEG 2000 or WebP file if a part of it is zeros.

  Args:
    data: content of the file.
    image: the decoded image, `[h, w, c]`.

  Raises:
    BrokenRecord: a run of zeros that the pixels do not explain.
  """
  start = data.find(_ZEROS)
  if data.startswith(JP2) and start < 0:
    start = data.find(_ONES)
  if start < 0:
    return
  if data.startswith(b"RIFF"):
    lossless = b"VP8L" in data[12:64]  # also behind VP8X
    # Uniform areas are encoded as zeros too: enough of them explain the run.
    flat = (image[:, 1:] == image[:, :-1]).all(-1).sum()
    if flat >= _FLAT_PER_ZERO[lossless] * _longest_zeros(data):
      return
  raise BrokenRecord(
    f"its bytes from {start} on are all the same: a part is missing"
  )


def _longest_zeros(data: bytes) -> int:
  nonzero = np.flatnonzero(np.frombuffer(data, np.uint8))
  return int(np.diff(nonzero, prepend=-1, append=len(data)).max()) - 1


def _line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
