"""Writes PyTorch's files without PyTorch, for inputs that need such files.

A file is a pickle of calls of PyTorch's functions, and the numbers of storages.
Here the pickle is written opcode by opcode, since the functions are not here.
"""

import io
import pathlib
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

_STORAGES = {
  **{"float64": "DoubleStorage", "float32": "FloatStorage"},
  **{"float16": "HalfStorage", "bfloat16": "BFloat16Storage"},
  **{"int64": "LongStorage", "int8": "CharStorage", "uint8": "ByteStorage"},
}
_MAGIC = 0x1950A86A20F9469CFC6C


class Global(NamedTuple):
  """A function or class of a module, `torch._utils._rebuild_parameter`."""

  name: str


class Call(NamedTuple):
  """What a function returns; `state` is what the object is set to then."""

  function: str
  args: tuple = ()
  state: Any = None


class _Persistent(NamedTuple):
  pid: tuple


def parameter(array: np.ndarray) -> Call:
  """Returns `torch.nn.Parameter(array)`, which has a gradient."""
  hooks = Call("collections.OrderedDict")
  return Call("torch._utils._rebuild_parameter", (array, True, hooks))


def module(kind: str, **parts: Any) -> Call:
  """Returns a whole `torch.nn.Module` with these attributes."""
  state = {"_parameters": {}, "_buffers": {}, "_modules": {}, **parts}
  return Call("copyreg._reconstructor", (Global(kind), None, None), state)


def save(path: pathlib.Path, found: Any, old: bool = False) -> pathlib.Path:
  """Writes an object, in which NumPy's arrays are tensors; returns the path.

  Args:
    path: of the file.
    found: dicts, lists, texts, numbers, arrays, and `Call`s.
    old: as PyTorch wrote before version 1.6.
  """
  numbers: list[np.ndarray] = []
  view = (None,) if old else ()  # an entry that is always None
  content = b"\x80\x02" + _pickled(found, numbers, view) + b"."
  if old:
    keys = [str(i) for i in range(len(numbers))]
    first = [
      pickle.dumps(x, 2) for x in (_MAGIC, 1001, {"little_endian": True})
    ]
    rest = [struct.pack("<q", x.size) + x.tobytes() for x in numbers]
    path.write_bytes(b"".join([*first, content, pickle.dumps(keys, 2), *rest]))
    return path
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("archive/data.pkl", content)
    archive.writestr("archive/version", "3\n")
    archive.writestr("archive/byteorder", "little")
    for i, array in enumerate(numbers):
      archive.writestr(f"archive/data/{i}", array.tobytes())
  return path


def _pickled(x: Any, numbers: list[np.ndarray], view: tuple) -> bytes:
  """The opcodes that make an object."""

  def many(values) -> bytes:
    return b"(" + b"".join(_pickled(value, numbers, view) for value in values)

  if x is None or isinstance(x, bool):
    return {None: b"N", True: b"\x88", False: b"\x89"}[x]
  if isinstance(x, Call):
    made = _pickled(Global(x.function), numbers, view) + many(x.args) + b"tR"
    return (
      made
      if x.state is None
      else made + _pickled(x.state, numbers, view) + b"b"
    )
  if isinstance(x, Global):
    name, _, last = x.name.rpartition(".")
    return f"c{name}\n{last}\n".encode()
  if isinstance(x, _Persistent):
    return many(x.pid) + b"tQ"
  if isinstance(x, dict):
    return b"}" + many(y for item in x.items() for y in item) + b"u"
  if isinstance(x, list):
    return b"]" + many(x) + b"e"
  if isinstance(x, tuple):
    return many(x) + b"t"
  if isinstance(x, np.ndarray):
    return _pickled(_tensor(x, numbers, view), numbers, view)
  # Texts and numbers: Python's own, but for the frame.
  file = io.BytesIO()
  pickler = pickle.Pickler(file, 2)
  pickler.fast = True  # no memo, since several are written into one pickle
  pickler.dump(x)
  return file.getvalue()[2:-1]


def _tensor(x: np.ndarray, numbers: list[np.ndarray], view: tuple) -> Call:
  """The call that makes a tensor of a new storage."""
  x = np.copy(x, order="K")  # dense, in the order of memory
  dtype, key = str(x.dtype), str(len(numbers))
  numbers.append(x.ravel(order="K"))
  strides = tuple(step // x.itemsize for step in x.strides)
  kind = _STORAGES.get(dtype, "UntypedStorage")
  module = "torch.storage" if kind == "UntypedStorage" else "torch"
  pid = ("storage", Global(f"{module}.{kind}"), key, "cpu", x.size, *view)
  rest = (0, x.shape, strides, False, Call("collections.OrderedDict"))
  if kind == "UntypedStorage":
    made = (_Persistent(pid), *rest, Global(f"torch.{dtype}"))
    return Call("torch._utils._rebuild_tensor_v3", made)
  return Call("torch._utils._rebuild_tensor_v2", (_Persistent(pid), *rest))


def resnet18(width: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns a ResNet-18 of a 3x3 stem under the names that torchvision has."""
  rng = np.random.default_rng(seed)
  found: dict[str, np.ndarray] = {}

  def layers(conv: str, norm: str, out: int, inner: int, kernel: int) -> None:
    shape = (out, inner, kernel, kernel)
    found[f"{conv}.weight"] = rng.normal(0, 0.1, shape).astype(np.float32)
    for kind in ("weight", "bias", "running_mean", "running_var"):
      drawn = rng.uniform(0.5, 1.5, out).astype(np.float32)
      found[f"{norm}.{kind}"] = drawn
    found[f"{norm}.num_batches_tracked"] = np.asarray(7)

  layers("conv1", "bn1", width, 3, 3)
  inner = width
  for stage in range(1, 5):
    out = width * 2 ** (stage - 1)
    for block in range(2):
      at = f"layer{stage}.{block}."
      layers(f"{at}conv1", f"{at}bn1", out, inner, 3)
      layers(f"{at}conv2", f"{at}bn2", out, out, 3)
      if inner != out:
        layers(f"{at}downsample.0", f"{at}downsample.1", out, inner, 1)
      inner = out
  found["fc.weight"] = rng.normal(size=(10, inner)).astype(np.float32)
  found["fc.bias"] = np.zeros(10, np.float32)
  return found


def encoder_of(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns what an import must find in such a state dict."""
  left = ("fc.weight", "fc.bias")
  return {
    name: x
    for name, x in state.items()
    if name not in left and not name.endswith("num_batches_tracked")
  }
