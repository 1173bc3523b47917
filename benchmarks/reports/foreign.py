"""Reports on the weights of other tools: kinds 17 to 19."""

import importlib
import json
import pathlib
import pickle

import numpy as np
from report import Report, holds, infomin, one_line
from torch_file import Call, encoder_of, module, parameter, resnet18, save

FIRST, SECOND = resnet18(4), resnet18(4, seed=1)
CONV = "conv1.weight"


def behind(prefix: str, state: dict = FIRST) -> dict:
  return {f"{prefix}{name}": x for name, x in state.items()}


def found(path: pathlib.Path, prefix: str | None = None) -> dict:
  """Returns the arrays that `infomin import` takes from a file."""
  from infomin_jax.encoders.torchvision_names import encoder_arrays
  from infomin_jax.pretrained.read import read_checkpoint

  return encoder_arrays(read_checkpoint(path).arrays, prefix)


def taken(given: dict | list, prefix: str | None = None, old: bool = False):
  """Returns a check that the ResNet of an object is exactly FIRST."""

  def check(folder: pathlib.Path) -> None:
    arrays = found(save(folder / "given.pth", given, old), prefix)
    expected = encoder_of(FIRST)
    assert arrays.keys() == expected.keys()
    for name, x in expected.items():
      np.testing.assert_array_equal(arrays[name], np.float32(x))

  return check


def config(folder: pathlib.Path) -> pathlib.Path:
  """Writes a config with the encoder of FIRST and returns its path."""
  from infomin_jax import config_files

  path = config_files.find("configs/colorful_digits.py")
  (folder / "own.py").write_text(
    "import runpy\ndef get_config(variant=''):\n"
    f"  c = runpy.run_path({path!r})['get_config']('tiny')\n"
    "  c.encoder = dict(name='resnet18', stem='small', width=4)\n"
    "  return c\n"
  )
  return folder / "own.py"


def refused(given, *words: str, suffix: str = "pth"):
  """Returns a check that the import is refused in one line and writes nothing.

  Args:
    given: bytes of the file, or the object that is saved.
    *words: words of the line.
    suffix: suffix of the name of the file.
  """

  def check(folder: pathlib.Path) -> None:
    path = folder / f"given.{suffix}"
    if isinstance(given, bytes):
      path.write_bytes(given)
    else:
      save(path, given)
    said = infomin(
      *("import", "--from", path, "--config", config(folder)),
      *("--workdir", folder / "run"),
    )
    assert said.status == 2, said
    one_line(said.err, "infomin import: ", *words)
    assert not (folder / "run").exists()

  return check


def safetensors(state: dict, **metadata: str) -> bytes:
  """Returns the bytes of a safetensors file, by the specification."""
  kinds = {"float32": "F32", "bfloat16": "BF16", "int64": "I64"}
  header: dict = {"__metadata__": metadata} if metadata else {}
  at = 0
  for name, x in state.items():
    end = at + x.nbytes
    kind, shape = kinds[str(x.dtype)], list(x.shape)
    header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
    at = end
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)
  numbers = b"".join(x.tobytes() for x in state.values())
  return len(text).to_bytes(8, "little") + text + numbers


def converted(dtype: str) -> dict:
  import jax.numpy as jnp

  return {
    name: x.astype(jnp.dtype(dtype)) if x.dtype == np.float32 else x
    for name, x in FIRST.items()
  }


def rounded(dtype: str, tensors: bool = False):
  """Returns a check that numbers of a type are read as equal float32."""

  def check(folder: pathlib.Path) -> None:
    state, path = converted(dtype), folder / "given.bin"
    if tensors:
      path.write_bytes(safetensors(state))
    else:
      save(path, state)
    arrays = found(path)
    for name, x in encoder_of(state).items():
      np.testing.assert_array_equal(arrays[name], x.astype(np.float32))

  return check


def places(first: int) -> dict:
  """Returns FIRST as a `Sequential` whose stages start at the index `first`."""
  parts = {"conv1": "0", "bn1": "1"}
  parts |= {f"layer{i}": f"{first + i - 1}" for i in range(1, 5)}
  split = ((*name.partition("."), x) for name, x in FIRST.items())
  return {f"{parts[a]}.{b}": x for a, _, b, x in split if a in parts}


def normalized(mean, std, *words: str, stem="imagenet", arrays=(), about=""):
  """Returns a check of the printed line on mean and std of a config."""

  def check(folder: pathlib.Path) -> None:
    import ml_collections

    from infomin_jax.pretrained.read import read_checkpoint

    path = folder / "given.safetensors"
    metadata = {"normalize": about} if about else {}
    path.write_bytes(safetensors(FIRST | dict(arrays), **metadata))
    verb = importlib.import_module("infomin_jax.cli.import_")
    options = ml_collections.ConfigDict(dict(mean=mean, std=std))
    line = verb.normalization(options, read_checkpoint(path), stem)
    one_line(line, *words)

  return check


def one_warns(folder: pathlib.Path) -> None:
  """Checks that the import prints the line before it saves anything."""
  import unittest.mock

  path = save(folder / "given.pth", {"state_dict": behind("module.")})
  with unittest.mock.patch(
    "infomin_jax.train.experiment.make_experiment", side_effect=SystemExit
  ):
    said = infomin(
      *("import", "--from", path, "--config", config(folder)),
      *("--workdir", folder / "run"),
    )
  holds(said.err, "Normalization differs", "--config.normalize.mean='(0.49")


def floats(*values: float) -> np.ndarray:
  return np.asarray(values, np.float32)


MOCO = behind("module.encoder_k.", SECOND) | behind("module.encoder_q.")
TWO = behind("teacher.backbone.", SECOND) | behind("student.backbone.")
SUPCON = {
  f"encoder.module.{name.replace('downsample', 'shortcut')}": x
  for name, x in FIRST.items()
}
MODEL = module("mine.ResNet", _modules={"fc": module("torch.nn.Linear")})
SPARSE = Call("torch._utils._rebuild_sparse_tensor", (0, (0, 0, (4,))))
QUANTIZED = Call("torch._utils._rebuild_qtensor", (0,))
META = Call("torch._utils._rebuild_meta_tensor_no_storage", (0, (4,), (1,), 0))
NAN = np.full((4, 3, 3, 3), np.nan, np.float32)
PARAMETERS = {
  name: parameter(x) if "running" not in name else x
  for name, x in FIRST.items()
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,), (0.5,))
BUFFERS = (("norm.mean", floats(0.1, 0.2, 0.3)), ("norm.std", floats(1, 1, 1)))

REPORTS: tuple[Report, ...] = tuple(
  Report(*row)
  for row in (
    (
      *(17, "SwAV, DINO, Barlow Twins: module.backbone.", "the weights"),
      taken({"state_dict": behind("module.backbone."), "epoch": 3}),
    ),
    (
      *(17, "MoCo v2: encoder_q next to encoder_k", "encoder_q's weights"),
      taken({"state_dict": MOCO}),
    ),
    (
      *(17, "SupContrast on several GPUs", "the weights"),
      taken({"model": SUPCON, "optimizer": {"state": {0: FIRST["fc.bias"]}}}),
    ),
    (
      *(17, "Lightning around torch.compile", "the weights"),
      taken({"state_dict": behind("model._orig_mod.backbone.")}),
    ),
    (
      *(
        17,
        "VISSL: dicts in dicts, behind trunk._feature_blocks.",
        "the weights",
      ),
      taken({"m": {"base": {"trunk": behind("_feature_blocks.")}}}),
    ),
    (
      *(17, "Sequential(*children): encoder_q.0.4.0.conv1", "the weights"),
      taken(behind("encoder_q.0.", places(4))),
    ),
    (
      *(17, "a file of PyTorch 1.4: {net, ema}", "what --prefix says"),
      taken({"net": FIRST, "ema": SECOND}, "net", old=True),
    ),
    (
      *(17, "{teacher, student}", "one line that names both, and --prefix"),
      refused(TWO, "--prefix: teacher.backbone, student.backbone"),
    ),
    (
      *(17, "a whole pickled model", "one line: save its state_dict"),
      refused({"model": MODEL}, "mine.ResNet", "['model'].state_dict()"),
    ),
    (18, "bfloat16", "the same numbers in float32", rounded("bfloat16")),
    (
      *(18, "bfloat16 safetensors named .bin", "the same numbers in float32"),
      rounded("bfloat16", tensors=True),
    ),
    (18, "float8", "the same numbers in float32", rounded("float8_e4m3fn")),
    (18, "parameters with gradients", "the weights", taken(PARAMETERS)),
    (
      *(18, "a sparse tensor", "one line that names it"),
      refused(FIRST | {CONV: SPARSE}, CONV, "sparse"),
    ),
    (
      *(18, "a quantized tensor", "one line that names it"),
      refused(FIRST | {CONV: QUANTIZED}, CONV, "quantized"),
    ),
    (
      *(18, "a tensor on the meta device", "one line that names it"),
      refused(FIRST | {CONV: META}, CONV, "meta device"),
    ),
    (
      *(18, "integer keys", "one line"),
      refused(dict(enumerate(FIRST.values())), "keys are numbers"),
    ),
    (
      *(18, "NaN in one array of a MoCo file", "one line that names it"),
      refused(
        {"state_dict": MOCO | {f"module.encoder_q.{CONV}": NAN}},
        f"state_dict.module.encoder_q.{CONV} are not finite",
      ),
    ),
    (18, "an empty file", "one line", refused(b"", "empty (0 bytes)")),
    (
      *(18, "safetensors cut in the middle", "one line"),
      refused(
        safetensors(FIRST)[:9000], "cut short or damaged", suffix="safetensors"
      ),
    ),
    (
      *(18, "a Git LFS pointer", "one line"),
      refused(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
        "Git LFS pointer",
      ),
    ),
    (
      *(18, "a login page that was saved as .pth", "one line"),
      refused(b"<!doctype html><title>Sign in</title>", "HTML"),
    ),
    (
      *(18, "half of a pickle", "one line"),
      refused(pickle.dumps(FIRST)[:5000], "cut short or damaged"),
    ),
    (
      *(19, "a config of (0.5,), weights without a word", "a line with both"),
      normalized(*HALF, "differs", "(0.5,)", "(0.485, 0.456, 0.406)"),
    ),
    (
      *(19, "a config of ImageNet's", "a line without a doubt"),
      normalized(*IMAGENET, "Normalization: mean (0.485, 0.456, 0.406)"),
    ),
    (
      *(19, "weights of a 3x3 stem", "a line with CIFAR-10's"),
      normalized(*IMAGENET, "CIFAR-10", "0.4914", "differs", stem="small"),
    ),
    (
      *(19, "our own export of another mean", "a line with the file's"),
      normalized(
        *(*HALF, "the value of the file is mean (0.1,), std (0.5,)"),
        about='{"mean": [0.1], "std": [0.5]}',
      ),
    ),
    (
      *(19, "our own export of the same mean, per channel", "no doubt"),
      normalized(
        *(*HALF, "Normalization: mean (0.5,), std (0.5,), the value of the"),
        about='{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}',
      ),
    ),
    (
      *(19, "a model with buffers norm.mean, norm.std", "a line with these"),
      normalized(
        *(*HALF, "value of the file is mean (0.1, 0.2, 0.3), std (1, 1, 1)"),
        arrays=BUFFERS,
      ),
    ),
    (19, "`infomin import` of a DINO file", "the line comes first", one_warns),
  )
)
