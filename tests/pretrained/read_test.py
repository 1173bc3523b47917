"""Checkpoints of other tools: where their ResNet is, and what is no weight."""

import io
import pickle
import runpy
import sys
import types
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from infomin_jax.encoders import backbones, torchvision_names
from infomin_jax.errors import UserError
from infomin_jax.pretrained.read import read_checkpoint

torch_file = types.SimpleNamespace(
  **runpy.run_path("benchmarks/reports/torch_file.py")
)

FIRST, SECOND = torch_file.resnet18(4), torch_file.resnet18(4, seed=1)
CONV = "conv1.weight"


def behind(prefix, state=FIRST):
  return {f"{prefix}{name}": x for name, x in state.items()}


def places(state, first, stem=("0", "1")):
  """The names of a `Sequential` of a ResNet's parts; it has no classifier."""
  parts = {"conv1": stem[0], "bn1": stem[1]}
  parts |= {f"layer{i}": str(first + i - 1) for i in range(1, 5)}
  found = {}
  for name, x in state.items():
    part, _, rest = name.partition(".")
    if part in parts:
      found[f"{parts[part]}.{rest}"] = x
  return found


def renamed(old, new):
  return {name.replace(old, new): x for name, x in FIRST.items()}


HEADS = {"head.0.weight": np.zeros((2, 2)), "queue": np.zeros((8, 2))}
# What a tool saves -> the prefix of the ResNet in it.
WRAPPINGS = {
  "SwAV, Barlow Twins, DINO": (
    behind("module.backbone.") | behind("module.", HEADS),
    "module.backbone.",
  ),
  "MoCo v3": (
    behind("module.base_encoder.") | behind("module.momentum_encoder.", SECOND),
    "module.base_encoder.",
  ),
  "MoCo": (
    behind("module.encoder_k.", SECOND) | behind("module.encoder_q.") | HEADS,
    "module.encoder_q.",
  ),
  "SupContrast on several GPUs": (
    {
      f"encoder.module.{name}": x
      for name, x in renamed("downsample", "shortcut").items()
    },
    "encoder.module.",
  ),
  "torch.compile": (behind("_orig_mod."), ""),
  "torch.compile, of a part": (renamed("layer2.", "layer2._orig_mod."), ""),
  "Lightning": (
    {"state_dict": behind("model.backbone."), "callbacks": {}},
    "state_dict.model.backbone.",
  ),
  "a Sequential": (behind("encoder_q.0.", places(FIRST, 4)), "encoder_q.0."),
  "a Sequential without a pool": (behind("f.", places(FIRST, 3)), "f."),
  "a Sequential of stages": (places(FIRST, 1, ("0.0", "0.1")), ""),
  "nested": ({"a": {"b": [{"net": FIRST}]}}, "a.b.0.net."),
  "one network under two names": (behind("net.") | behind("online."), "net."),
  "with an optimizer": (
    {
      "model_state_dict": FIRST,
      "optimizer": {
        name: x for name, x in FIRST.items() if "running" not in name
      },
    },
    "model_state_dict.",
  ),
}


@pytest.mark.parametrize("tool", WRAPPINGS)
def test_a_resnet_is_found_behind_any_prefix(tool, tmp_path):
  found, prefix = WRAPPINGS[tool]
  arrays = read_checkpoint(torch_file.save(tmp_path / "x", found)).arrays
  assert backbones.chosen(arrays).prefix == prefix
  wanted = torch_file.encoder_of(FIRST)
  got = torchvision_names.encoder_arrays(arrays)
  assert got.keys() == wanted.keys()
  for name, x in wanted.items():
    np.testing.assert_array_equal(got[name], x)


def test_of_several_resnets_the_prefix_chooses():
  both = behind("teacher.backbone.") | behind("student.backbone.", SECOND)
  with pytest.raises(UserError, match=r"--prefix: teacher.*, student\.backbon"):
    torchvision_names.encoder_arrays(both)
  for prefix, state in {
    "teacher": FIRST,
    "student.": SECOND,
    "student.backbone": SECOND,
  }.items():
    found = torchvision_names.encoder_arrays(both, prefix)
    np.testing.assert_array_equal(found[CONV], state[CONV])
  for prefix in ("backbone", "nobody", ""):
    with pytest.raises(UserError, match=r"teacher\.backbone"):
      torchvision_names.encoder_arrays(both, prefix)
  mixed = FIRST | behind("ema.", SECOND)
  assert backbones.chosen(mixed, "").prefix == ""
  with pytest.raises(UserError, match=r"'' \(no prefix\), ema"):
    backbones.chosen(mixed)


def test_what_is_left_out_is_named():
  arrays = behind("m.encoder_q.") | behind("m.encoder_k.", SECOND)
  arrays |= behind("m.", HEADS) | {"step": np.zeros(1)}
  left = backbones.left_out(arrays, backbones.chosen(arrays))
  assert left == ["fc", "encoder_k", "head", "queue", "step"]


@pytest.mark.parametrize(
  "change,words",
  [
    ({"conv2.weight": np.zeros((4, 4, 3, 3))}, r"has conv2\.weight, which no"),
    ({"layer5.0.conv1.weight": np.zeros((4, 4, 3, 3))}, r"has layer5"),
    ({CONV: np.arange(300.0).reshape(4, 3, 5, 5)}, "5x5 convolution first"),
    ({"layer1.2.conv1.weight": np.zeros(1)}, r"\(3, 2, 2, 2\) blocks"),
  ],
)
def test_a_network_of_other_layers_is_refused(change, words):
  """Without them its features would be others."""
  with pytest.raises(UserError, match=words):
    torchvision_names.architecture(
      torchvision_names.encoder_arrays(FIRST | change)
    )
  known = torchvision_names.architecture(
    torchvision_names.encoder_arrays(FIRST)
  )
  assert known == {"depth": 18, "stem": "small", "width": 4}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
  "dtype", ["float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"]
)
def test_other_floating_points_become_float32(dtype, old, tmp_path):
  if old and "float8" in dtype:
    return  # younger than these files
  state = {
    name: x.astype(jnp.dtype(dtype)) if x.dtype == np.float32 else x
    for name, x in FIRST.items()
  }
  path = torch_file.save(tmp_path / "x.pth", state, old)
  found = torchvision_names.encoder_arrays(read_checkpoint(path).arrays)
  for name, x in found.items():
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, state[name].astype(np.float32))
  state = {name: np.asarray(x) for name, x in state.items()}
  if dtype != "float8_e5m2":
    return
  save_file(state, tmp_path / "x.safetensors")
  found = read_checkpoint(tmp_path / "x.safetensors").arrays
  np.testing.assert_array_equal(
    torchvision_names.encoder_arrays(found)[CONV],
    state[CONV].astype(np.float32),
  )


def test_parameters_and_strided_and_numpy_arrays_are_read(tmp_path):
  state = {
    name: torch_file.parameter(x) if "running" not in name else x
    for name, x in FIRST.items()
  }
  arrays = read_checkpoint(torch_file.save(tmp_path / "p", state)).arrays
  np.testing.assert_array_equal(arrays[CONV], FIRST[CONV])
  channels_last = FIRST[CONV].transpose(0, 2, 3, 1).copy()
  given = FIRST | {CONV: channels_last.transpose(0, 3, 1, 2)}
  arrays = read_checkpoint(torch_file.save(tmp_path / "c", given)).arrays
  np.testing.assert_array_equal(arrays[CONV], FIRST[CONV])
  for protocol in (2, 4, 5):
    (tmp_path / "n").write_bytes(pickle.dumps({"model": FIRST}, protocol))
    arrays = read_checkpoint(tmp_path / "n").arrays
    np.testing.assert_array_equal(arrays[f"model.{CONV}"], FIRST[CONV])
  columns = np.asfortranarray(FIRST["fc.weight"])
  (tmp_path / "n").write_bytes(pickle.dumps([columns], 2))
  np.testing.assert_array_equal(
    read_checkpoint(tmp_path / "n").arrays["0"], columns
  )


def call(function, *args):
  return torch_file.Call(f"torch._utils._rebuild_{function}", args)


NO_ARRAYS = {
  "is sparse: save `.to_dense()`": call("sparse_tensor", 0, (0, 0, 0)),
  "is quantized: save `.dequantize()`": call("qtensor", 0),
  "is on the meta device": call("meta_tensor_no_storage", 0, (4,), (1,), False),
  "is of a class of its own": call("wrapper_subclass", 0),
  "is of the class mine.Tensor": torch_file.Call("mine.Tensor"),
  "is of int8, expected floating point": np.zeros((4, 3, 3, 3), np.int8),
  "are not finite": np.full((4, 3, 3, 3), np.nan, np.float32),
  "108 of the 108 numbers": np.full((4, 3, 3, 3), 1e39),
}


@pytest.mark.parametrize("words", NO_ARRAYS)
def test_what_is_no_plain_array_is_named(words, tmp_path):
  path = torch_file.save(tmp_path / "x", FIRST | {CONV: NO_ARRAYS[words]})
  arrays = read_checkpoint(path).arrays
  with pytest.raises(UserError, match=r"conv1\.weight") as error:
    torchvision_names.encoder_arrays(arrays)
  assert words in str(error.value)


def test_another_stem_is_named():
  stem = {"conv1.0.weight": FIRST[CONV]}
  rest = {name: x for name, x in FIRST.items() if name != CONV}
  for arrays in (rest | stem, rest | {CONV: FIRST[CONV][:, :, None]}):
    with pytest.raises(UserError, match="another kind of stem"):
      torchvision_names.encoder_arrays(arrays)


def test_variances_below_0_are_refused():
  name = "layer1.0.bn1.running_var"
  with pytest.raises(UserError, match=name):
    torchvision_names.encoder_arrays(FIRST | {name: -FIRST[name]})


def test_weights_that_were_never_loaded_are_refused():
  with pytest.raises(UserError, match=r"all numbers of .*conv1\.weight are"):
    torchvision_names.encoder_arrays(FIRST | {CONV: np.zeros_like(FIRST[CONV])})


def test_keys_that_are_numbers_are_named(tmp_path):
  path = torch_file.save(tmp_path / "x", dict(enumerate(FIRST.values())))
  with pytest.raises(UserError, match="keys are numbers"):
    torchvision_names.encoder_arrays(read_checkpoint(path).arrays)


def zip_of(**files):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return file.getvalue()


NO_CHECKPOINTS = {
  "empty (0 bytes)": b"",
  "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:",
  "HTML": b"\n<!DOCTYPE html><html>",
  "JSON": b'{"weight_map": {}}',
  "gzip archive": b"\x1f\x8b\x08",
  "nothing but zeros": bytes(100),
  "something else": b"hello",
  "cut short or damaged (15 bytes)": b"PK\x03\x04 and no end",
  "zip archive of model.pth": zip_of(**{"model.pth": ""}),
  "TorchScript": zip_of(**{"m/constants.pkl": "", "m/data.pkl": ""}),
  "big-endian": zip_of(**{"m/byteorder": "big", "m/data.pkl": ""}),
  "pickle data was truncated": pickle.dumps(FIRST)[:1000],
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_that_are_no_checkpoints_are_named(suffix, tmp_path):
  path = tmp_path / f"x.{suffix}"
  for words, content in NO_CHECKPOINTS.items():
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
      read_checkpoint(path)
    text = str(error.value)
    assert words in text and len(text.splitlines()) == 1


def test_cut_files_are_refused(tmp_path):
  path = tmp_path / "x"
  files = [torch_file.save(tmp_path / f"{old}", FIRST, old) for old in (0, 1)]
  save_file(FIRST, tmp_path / "s")
  for whole in (*files, tmp_path / "s"):
    content = whole.read_bytes()
    for part in (50, 700, len(content) // 2, len(content) - 9):
      path.write_bytes(content[:part])
      with pytest.raises(UserError, match="cut short or damaged"):
        read_checkpoint(path)
  content = bytearray(files[0].read_bytes())
  at = content.index(FIRST["layer4.1.conv2.weight"].tobytes())
  content[at] ^= 1
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"layer4\.1\.conv2.*CRC"):
    torchvision_names.encoder_arrays(read_checkpoint(path).arrays)


def test_safetensors_that_is_not_installed_is_named(tmp_path, monkeypatch):
  save_file(FIRST, tmp_path / "x")
  monkeypatch.setitem(sys.modules, "safetensors", None)
  with pytest.raises(UserError, match="pip install"):
    read_checkpoint(tmp_path / "x")
