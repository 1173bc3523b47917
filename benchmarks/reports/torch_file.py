"""Writes files of PyTorch without PyTorch, as inputs of reports.

A file is a pickle with calls of PyTorch's functions, and the numbers of the
storages. The pickle is written opcode by opcode, because `pickle` needs the
functions, which are not installed.
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
  """A function or class, such as `torch._utils._rebuild_parameter`."""

  name: str


class Call(NamedTuple):
  """The result of a call of a function, whose state is then set to `state`."""

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
  """Writes an object, with NumPy arrays as tensors, and returns the path.

  Args:
    path: path of the file.
    found: nested dicts, lists, texts, numbers, arrays, and `Call`s.
    old: whether to write the format before PyTorch 1.6.
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
  """Returns the opcodes that build an object."""

  def many(values) -> bytes:
    return b"(" + b"".join(_pickled(value, numbers, view) for value in values)

  if x is None or isinstance(x, bool):
    return {None: b"N", True: b"\x88", False: b"\x89"}[x]
  if isinstance(x, Call):
    call = _pickled(Global(x.function), numbers, view) + many(x.args) + b"tR"
    return (
      call
      if x.state is None
      else call + _pickled(x.state, numbers, view) + b"b"
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
  # Texts and numbers are pickled by Python, without header and end.
  file = io.BytesIO()
  pickler = pickle.Pickler(file, 2)
  pickler.fast = True  # no memo, because parts are joined into one pickle
  pickler.dump(x)
  return file.getvalue()[2:-1]


def _tensor(x: np.ndarray, numbers: list[np.ndarray], view: tuple) -> Call:
  """Returns the call that builds a tensor on a new storage."""
  x = np.copy(x, order="K")  # dense, in the order of memory
  dtype, key = str(x.dtype), str(len(numbers))
  numbers.append(x.ravel(order="K"))
  strides = tuple(step // x.itemsize for step in x.strides)
  kind = _STORAGES.get(dtype, "UntypedStorage")
  module = "torch.storage" if kind == "UntypedStorage" else "torch"
  pid = ("storage", Global(f"{module}.{kind}"), key, "cpu", x.size, *view)
  rest = (0, x.shape, strides, False, Call("collections.OrderedDict"))
  if kind == "UntypedStorage":
    arguments = (_Persistent(pid), *rest, Global(f"torch.{dtype}"))
    return Call("torch._utils._rebuild_tensor_v3", arguments)
  return Call("torch._utils._rebuild_tensor_v2", (_Persistent(pid), *rest))


def resnet18(width: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns random weights of a ResNet-18 (3x3 stem) by torchvision's names."""
  rng = np.random.default_rng(seed)
  arrays: dict[str, np.ndarray] = {}

  def layers(conv: str, norm: str, out: int, inner: int, kernel: int) -> None:
    shape = (out, inner, kernel, kernel)
    arrays[f"{conv}.weight"] = rng.normal(0, 0.1, shape).astype(np.float32)
    for kind in ("weight", "bias", "running_mean", "running_var"):
      drawn = rng.uniform(0.5, 1.5, out).astype(np.float32)
      arrays[f"{norm}.{kind}"] = drawn
    arrays[f"{norm}.num_batches_tracked"] = np.asarray(7)

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
  arrays["fc.weight"] = rng.normal(size=(10, inner)).astype(np.float32)
  arrays["fc.bias"] = np.zeros(10, np.float32)
  return arrays


def encoder_of(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns the weights that an import must take from such a state dict."""
  left = ("fc.weight", "fc.bias")
  return {
    name: x
    for name, x in state.items()
    if name not in left and not name.endswith("num_batches_tracked")
  }
