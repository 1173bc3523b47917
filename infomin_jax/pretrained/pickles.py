"""Reads PyTorch's files without PyTorch, and runs nothing in them.

Such a file is a pickle that describes tensors, and their numbers. A class in
the pickle that is no plain container becomes a stand-in, which only keeps what
the object holds; a call of a function is not made.
"""

import dataclasses
import functools
import io
import pathlib
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from infomin_jax.errors import UserError

_MAGIC = 0x1950A86A20F9469CFC6C  # begins PyTorch's files before 1.6
# PyTorch's storages and safetensors' types, where NumPy has another name.
_DTYPES = {
  **{"DoubleStorage": "float64", "FloatStorage": "float32"},
  **{"HalfStorage": "float16", "BFloat16Storage": "bfloat16"},
  **{"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16"},
  **{"CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool"},
  **{"ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128"},
  **{"QInt8Storage": "int8", "QUInt8Storage": "uint8"},
  **{"QInt32Storage": "int32", "UntypedStorage": "uint8"},
  **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
  **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
  **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8"},
  **{"U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8"},
}
# A pickle that calls one of these is made to do harm where it is loaded.
_HARMFUL = re.compile(
  r"(os|posix|nt|subprocess|shutil|socket)\.[a-z]\w*"
  r"|(builtins|_?io)\.(eval|exec|compile|open|__import__)"
)


@dataclasses.dataclass(frozen=True)
class Tensor:
  """An array in a file. `np.asarray` reads it.

  Attributes:
    shape: of the array; () where it is not known.
    read: returns the array.
    wrong: what it is instead of a plain array, and what to do; mostly empty.
  """

  shape: tuple[int, ...]
  read: Callable[[], np.ndarray]
  wrong: str = ""

  def __array__(self, dtype=None, copy=None) -> np.ndarray:
    del copy  # of numbers that nobody else has
    return np.asarray(self.read(), dtype)


class Storage(NamedTuple):
  """Numbers of one type; tensors are windows on them."""

  kind: str
  read: Callable[[], bytes]


class Other(dict):
  """Stands for an object whose class is not made; keeps what it holds."""

  kind = ""
  state: Any = None

  def __hash__(self):  # it may be a key
    return id(self)

  def __eq__(self, other):
    return self is other

  def __init__(self, *args, **kwargs):
    super().__init__()

  def __call__(self, *args, **kwargs):
    return Other()

  def __setstate__(self, state):
    self.state = state

  def append(self, value):
    self[len(self)] = value

  def extend(self, values):
    for value in values:
      self.append(value)

  add = append


class Array(Other):
  """Stands for a NumPy array."""

  def tensor(self) -> Tensor:
    """Returns the array that its pickle describes."""
    _, shape, dtype, by_columns, content = self.state
    return _of_buffer(content, dtype, shape, "F" if by_columns else "C")


def _of_buffer(content, dtype, shape, order) -> Tensor:
  return Tensor(
    tuple(shape),
    lambda: np.frombuffer(content, dtype).reshape(shape, order=order),
  )


def tensor(
  storage: Any, offset: int, shape: Any, strides: Any, *rest: Any, kind=""
) -> Tensor:
  """Returns a tensor as its pickle describes it.

  Args:
    storage: of its numbers.
    offset: of the first one, in numbers.
    shape: of the tensor.
    strides: in numbers; None for rows one after the other.
    *rest: whether it needs a gradient, hooks, and marks of complex numbers.
    kind: of the numbers, if not as of the storage.
  """
  if not isinstance(storage, Storage):
    return wrong("is no plain tensor")
  kind = kind or storage.kind
  if any(isinstance(x, dict) and x for x in rest[2:]):
    return wrong("is conjugated or negated lazily: save `.clone()` of it")
  try:
    dtype = jnp.dtype(_DTYPES.get(kind, kind))
  except TypeError:
    return wrong(f"has numbers of the type {kind}: save `.float()` of it")

  def read() -> np.ndarray:
    size = dtype.itemsize
    steps = None if strides is None else [size * step for step in strides]
    return np.ndarray(shape, dtype, storage.read(), size * offset, steps)

  return Tensor(tuple(shape), read)


def _typed_tensor(storage, offset, shape, strides, grad, hooks, dtype, *rest):
  kind = dtype.kind.removeprefix("torch.")
  return tensor(storage, offset, shape, strides, grad, hooks, *rest, kind=kind)


def wrong(why: str) -> Tensor:
  """Returns what stands for an array that cannot be read, and why."""

  def read():
    raise UserError(f"a tensor {why}.")

  return Tensor((), read, why)


def _kept(tensor, *rest):
  return tensor


def _subclass(make, kind, args, state):
  return make(*args) if callable(make) else wrong("is no plain tensor")


def _of_bytes(content: bytes) -> Any:
  """A storage within a pickle that `pickle.dump` has made."""
  return pickled(io.BytesIO(content))


_UTILS = {
  "_rebuild_tensor": tensor,
  "_rebuild_tensor_v2": tensor,
  "_rebuild_tensor_v3": _typed_tensor,
  "_rebuild_parameter": _kept,
  "_rebuild_parameter_with_state": _kept,
  **{
    f"_rebuild_{kind}": functools.partial(lambda why, *args: wrong(why), why)
    for kind, why in {
      "sparse_tensor": "is sparse: save `.to_dense()` of it",
      "sparse_csr_tensor": "is sparse: save `.to_dense()` of it",
      "qtensor": "is quantized: save `.dequantize()` of it",
      "meta_tensor_no_storage": "is on the meta device, so it has no numbers: "
      "save the model after its weights are loaded",
      "nested_tensor": "is a nested tensor",
      "wrapper_subclass": "is of a class of its own: save `.full_tensor()` or "
      "a plain copy of it",
    }.items()
  },
}
_KNOWN: dict[str, Any] = {
  **{f"torch._utils.{name}": make for name, make in _UTILS.items()},
  "torch._tensor._rebuild_from_type_v2": _subclass,
  "torch.storage._load_from_bytes": _of_bytes,
  "torch.Size": tuple,
  "copyreg._reconstructor": lambda kind, base, state: kind(),
  "collections.OrderedDict": OrderedDict,
  **{f"builtins.{x.__name__}": x for x in (set, frozenset, complex, slice)},
  "_codecs.encode": lambda text, name: text.encode(name),
  "numpy.dtype": np.dtype,
  "numpy._core.multiarray._reconstruct": lambda *args: Array(),
  "numpy._core.numeric._frombuffer": _of_buffer,
}


class _Unpickler(pickle.Unpickler):
  """Reads what a pickle describes; what it would call is not called.

  Args:
    file: at the pickle's beginning.
    numbers: returns the bytes of the storage that has this key.
  """

  def __init__(self, file: Any, numbers: Callable[[str], bytes]):
    # Latin-1 reads every byte of Python 2's strings.
    super().__init__(file, encoding="latin1")
    self._numbers = numbers
    self.sizes: dict[str, int] = {}  # of one number, in bytes, by key

  def find_class(self, module: str, name: str) -> Any:
    """Returns one of `_KNOWN`, or a stand-in."""
    old = {"__builtin__": "builtins", "copy_reg": "copyreg"}
    known = f"{old.get(module, module)}.{name}"
    known = known.replace("numpy.core.", "numpy._core.")
    if _HARMFUL.fullmatch(known):
      raise UserError(
        f"it cannot be read as tensors alone: it calls {known}, as files do "
        "that are made to do harm. Nothing in it was run."
      )
    if known in _KNOWN:
      return _KNOWN[known]
    return type(name, (Other,), {"kind": known})

  def persistent_load(self, pid: Any) -> Any:
    """Returns the storage, or the class of a model, that a pickle refers to."""
    what, kind, key, *_ = pid
    if what == "module":
      return kind
    name = kind.kind.rpartition(".")[2]
    self.sizes[str(key)] = jnp.dtype(_DTYPES[name]).itemsize
    return Storage(name, functools.partial(self._numbers, str(key)))


def zipped(path: pathlib.Path) -> Any:
  """Returns the object in a file of PyTorch 1.6 or later."""
  try:
    archive = zipfile.ZipFile(path)
  except zipfile.BadZipFile as error:
    raise ValueError("its end is missing") from error
  names = archive.namelist()
  folder, *others = {name.partition("/")[0] for name in names} or {""}
  if f"{folder}/constants.pkl" in names:
    raise UserError(
      "it is a TorchScript program: where PyTorch is, torch.save("
      "torch.jit.load(FILE).state_dict(), 'weights.pth'), then --from that."
    )
  if others or f"{folder}/data.pkl" not in names:
    raise UserError(
      f"it is a zip archive of {', '.join(names[:3])} ..., no PyTorch file: "
      "unpack it, and name the file in it."
    )
  order = f"{folder}/byteorder"
  if order in names and archive.read(order) == b"big":
    raise UserError("its numbers are big-endian: save it on another machine.")
  content = io.BytesIO(archive.read(f"{folder}/data.pkl"))
  return _Unpickler(
    content, lambda k: archive.read(f"{folder}/data/{k}")
  ).load()


def pickled(file: Any) -> Any:
  """Returns the object in a file of PyTorch before 1.6, or in a plain pickle.

  The former is several pickles, and then the numbers of each storage.
  """
  numbers: dict[str, bytes] = {}

  def load() -> tuple[Any, dict[str, int]]:
    unpickler = _Unpickler(file, numbers.__getitem__)
    return unpickler.load(), unpickler.sizes

  first, _ = load()
  if not (isinstance(first, int) and first == _MAGIC):
    return first
  load(), load()  # the version, and facts on the machine
  found, sizes = load()
  for key in load()[0]:
    count = int.from_bytes(file.read(8), "little") * sizes[key]
    numbers[key] = file.read(count)
    if len(numbers[key]) < count:
      raise EOFError("its end is missing")
  return found
