"""Reads PyTorch's files without PyTorch, and runs no code in them.

Such a file holds a pickle that describes tensors, and the numbers of the
tensors. A class in the pickle that is not a plain container is replaced by a
stand-in, which stores the object's content. Functions in the pickle are not
called.
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
# A pickle that calls one of these is made to attack the machine that loads it.
_HARMFUL = re.compile(
  r"(os|posix|nt|subprocess|shutil|socket)\.[a-z]\w*"
  r"|(builtins|_?io)\.(eval|exec|compile|open|__import__)"
)


@dataclasses.dataclass(frozen=True)
class Tensor:
  """An array in a file. `np.asarray` reads it.

  Attributes:
    shape: of the array; () if it is unknown.
    read: returns the array.
    wrong: why the array cannot be read, and a remedy; empty if it can.
  """

  shape: tuple[int, ...]
  read: Callable[[], np.ndarray]
  wrong: str = ""

  def __array__(self, dtype=None, copy=None) -> np.ndarray:
    del copy  # no other code holds these numbers
    return np.asarray(self.read(), dtype)


class Storage(NamedTuple):
  """A block of numbers of one type; tensors are views of it."""

  kind: str
  read: Callable[[], bytes]


class Other(dict):
  """A stand-in for an object of an unknown class, with the object's content."""

  kind = ""
  state: Any = None

  def __hash__(self):  # a dict has none, but the object may be a key of one
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
  """A stand-in for a NumPy array."""

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
  """Returns a tensor from its description in a pickle.

  Args:
    storage: its numbers.
    offset: position of the first number, counted in numbers.
    shape: of the tensor.
    strides: counted in numbers; None for row-major order.
    *rest: whether it needs a gradient, hooks, and flags of complex numbers.
    kind: type of the numbers, if it differs from the storage's.
  """
  if not isinstance(storage, Storage):
    return wrong("is not a plain tensor")
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
  """Returns a stand-in for an array that cannot be read, with the reason."""

  def read():
    raise UserError(f"a tensor {why}.")

  return Tensor((), read, why)


def _parameter_data(tensor, *rest):
  return tensor


def _subclass(make, kind, args, state):
  return make(*args) if callable(make) else wrong("is not a plain tensor")


def _of_bytes(content: bytes) -> Any:
  """Reads a storage inside a pickle that `pickle.dump` wrote."""
  return pickled(io.BytesIO(content))


_UTILS = {
  "_rebuild_tensor": tensor,
  "_rebuild_tensor_v2": tensor,
  "_rebuild_tensor_v3": _typed_tensor,
  "_rebuild_parameter": _parameter_data,
  "_rebuild_parameter_with_state": _parameter_data,
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
  """Reads the objects of a pickle without calling functions it names.

  Args:
    file: open at the start of the pickle.
    numbers: returns the bytes of a storage by its key.
  """

  def __init__(self, file: Any, numbers: Callable[[str], bytes]):
    # Python 2 pickled byte strings as text, and Latin-1 decodes any byte.
    super().__init__(file, encoding="latin1")
    self._numbers = numbers
    self.sizes: dict[str, int] = {}  # of one number, in bytes, by key

  def find_class(self, module: str, name: str) -> Any:
    """Returns the entry of `_KNOWN` for a class or function, or a stand-in."""
    # Python 2 names of these modules.
    old = {"__builtin__": "builtins", "copy_reg": "copyreg"}
    path = f"{old.get(module, module)}.{name}"
    path = path.replace("numpy.core.", "numpy._core.")
    if _HARMFUL.fullmatch(path):
      raise UserError(
        f"it cannot be read as tensors alone: it calls {path}, as malicious "
        "files do. Nothing in it was run."
      )
    if path in _KNOWN:
      return _KNOWN[path]
    return type(name, (Other,), {"kind": path})

  def persistent_load(self, pid: Any) -> Any:
    """Returns the storage or the model's class that a pickle refers to."""
    what, kind, key, *_ = pid
    if what == "module":
      return kind
    name = kind.kind.rpartition(".")[2]
    self.sizes[str(key)] = jnp.dtype(_DTYPES[name]).itemsize
    return Storage(name, functools.partial(self._numbers, str(key)))


def zipped(path: pathlib.Path) -> Any:
  """Returns the object in a file of PyTorch 1.6 or later.

  Raises:
    UserError: it is another kind of zip file, or has big-endian numbers.
    ValueError: it is truncated.
  """
  try:
    archive = zipfile.ZipFile(path)
  except zipfile.BadZipFile as error:
    raise ValueError("its end is missing") from error
  names = archive.namelist()
  # PyTorch puts all files into one folder of any name.
  folder, *others = {name.partition("/")[0] for name in names} or {""}
  if f"{folder}/constants.pkl" in names:
    raise UserError(
      "it is a TorchScript program. Where PyTorch is installed, run torch.save("
      "torch.jit.load(FILE).state_dict(), 'weights.pth'), then pass that file "
      "to --from."
    )
  if others or f"{folder}/data.pkl" not in names:
    raise UserError(
      f"it is a zip archive of {', '.join(names[:3])} ..., not a PyTorch file: "
      "unpack it, and pass the file in it."
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

  The former consists of five pickles and the numbers of each storage. The
  pickles are a magic number, a version, facts on the machine, the object, and
  the keys of the storages.

  Raises:
    EOFError: the file is truncated.
  """
  numbers: dict[str, bytes] = {}

  def load() -> tuple[Any, dict[str, int]]:
    unpickler = _Unpickler(file, numbers.__getitem__)
    return unpickler.load(), unpickler.sizes

  first, _ = load()
  if not (isinstance(first, int) and first == _MAGIC):
    return first
  load(), load()  # skips the version, and facts on the machine
  content, sizes = load()
  for key in load()[0]:
    count = int.from_bytes(file.read(8), "little") * sizes[key]
    numbers[key] = file.read(count)
    if len(numbers[key]) < count:
      raise EOFError("its end is missing")
  return content
