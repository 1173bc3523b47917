"""Reads files of other libraries: PyTorch checkpoints and safetensors.

PyTorch is not needed, and no code in a file is run (see `pickles`).
"""

import functools
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infomin_jax.errors import UserError, missing
from infomin_jax.pretrained.pickles import (
  Array,
  Other,
  Storage,
  Tensor,
  pickled,
  tensor,
  wrong,
  zipped,
)

# An entry with such a name is an array. If it cannot be read, it is reported
# instead of skipped.
_LAYER = re.compile(r"\.(weight|bias|running_mean|running_var)$")


class Checkpoint(NamedTuple):
  """The content of a file.

  Attributes:
    arrays: by name; keys of nested dicts are joined by dots.
    metadata: the metadata of a safetensors file.
    models: class by name, of modules that were pickled as objects.
  """

  arrays: dict[str, Tensor]
  metadata: dict[str, str]
  models: dict[str, str]


def read_checkpoint(path: pathlib.Path) -> Checkpoint:
  """Reads a PyTorch file or a safetensors file.

  The content decides which of the two it is, not the suffix.

  Raises:
    UserError: the file is neither, or damaged.
  """
  size = 0
  try:
    size = path.stat().st_size
    with path.open("rb") as file:
      head = file.read(512)
      # Safetensors: 8 bytes with the length of a JSON header, then the header.
      # A length below 2^48 ends in two zero bytes.
      if head[6:9] == b"\0\0{":
        return _safetensors(path, head)
      if head.startswith(b"PK\x03\x04"):
        content = zipped(path)
      elif head.startswith(b"\x80"):
        file.seek(0)
        content = pickled(file)
      else:
        raise UserError(
          f"it is {seems(head)}: expected a PyTorch file or safetensors."
        )
    return Checkpoint(*_flat(content))
  except UserError as error:
    raise UserError(f"--from {path}: {error}") from error
  except OSError as error:
    why = error.strerror or error
    raise UserError(f"--from {path} cannot be read: {why}.") from error
  except Exception as error:  # a hostile or broken file may raise anything
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise UserError(
      f"--from {path} cannot be read as tensors alone ({why[:200]}): it is cut "
      f"short or damaged ({size:,} bytes). Download or copy it again."
    ) from error


def seems(head: bytes) -> str:
  """Returns what a file is by its first bytes, for messages."""
  text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
  if not head:
    return "empty (0 bytes)"
  if head.startswith(b"version https://git-lfs"):
    return "a Git LFS pointer, not the file itself (run `git lfs pull`)"
  if text[:1] == b"<":
    return "an HTML or XML page, as from a download that needs a login"
  if text[:1] in (b"{", b"["):
    return "JSON"
  if head[257:262] == b"ustar":
    return "a tar archive (unpack it; PyTorch wrote such files before 0.2)"
  kinds = {
    b"\x1f\x8b": "a gzip archive (unpack it)",
    b"BZh": "a bzip2 archive (unpack it)",
    b"\xfd7zXZ": "an xz archive (unpack it)",
    b"\x28\xb5\x2f\xfd": "a zstd archive (unpack it)",
    b"7z\xbc\xaf": "a 7z archive (unpack it)",
    b"\x89HDF": "HDF5 (Keras)",
    b"\x93NUMPY": "a NumPy array",
    b"GGUF": "GGUF",
    b"%PDF": "a PDF",
  }
  for start, name in kinds.items():
    if head.startswith(start):
      return name
  if not head.strip(b"\0"):
    return "nothing but zeros (an interrupted copy)"
  return f"something else (it begins with {head[:12]!r})"


def _safetensors(path: pathlib.Path, head: bytes) -> Checkpoint:
  try:
    import safetensors
  except ImportError as error:
    raise missing("safetensors", "'infomin-jax[export]'", error) from error
  content = path.read_bytes()
  arrays = {}
  for name, entry in safetensors.deserialize(content):
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    storage = Storage(dtype, functools.partial(bytes, entry["data"]))
    arrays[name] = tensor(storage, 0, shape, None)
  header = json.loads(content[8 : 8 + int.from_bytes(head[:8], "little")])
  return Checkpoint(arrays, header.get("__metadata__") or {}, {})


def _flat(found: Any) -> tuple[dict[str, Tensor], dict, dict]:
  """Returns the fields of a `Checkpoint` from the object in a file."""
  arrays: dict[str, Tensor] = {}
  models: dict[str, str] = {}
  visited: set[int] = set()
  pending: list[tuple[str, Any]] = [("", found)]
  while pending:
    name, value = pending.pop()
    if isinstance(value, Tensor):
      arrays.setdefault(name, value)
    elif isinstance(value, Array):
      arrays.setdefault(name, value.tensor())
    elif isinstance(value, Other) and _is_model(value):
      models[name] = value.kind
    elif isinstance(value, Other) and not value and _LAYER.search(name):
      arrays[name] = wrong(f"is of the class {value.kind}, not a plain tensor")
    elif id(value) not in visited:  # a pickle may contain reference cycles
      visited.add(id(value))
      pending += reversed(
        [
          (f"{name}.{key}" if name else str(key), part)
          for key, part in _parts(value)
        ]
      )
  return arrays, {}, models


def _is_model(value: Other) -> bool:
  return isinstance(value.state, dict) and "_modules" in value.state


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
  """Yields the items of a container, and the attributes of an object."""
  if isinstance(value, Mapping):
    yield from value.items()
  elif isinstance(value, list | tuple):
    yield from enumerate(value)
  if isinstance(value, Other) and isinstance(value.state, dict):
    yield from value.state.items()
