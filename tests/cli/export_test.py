"""Every encoder in every format: what is written loads, the rest is refused."""

import pickle
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from infomin_jax import errors
from infomin_jax.cli import export
from infomin_jax.encoders import ENCODERS
from infomin_jax.encoders.features import named_taps
from infomin_jax.errors import UserError, build
from infomin_jax.pretrained.load import Trained
from infomin_jax.train.experiment import make_learner

# Options that make an encoder small, and the side of its images: 32 if none.
SMALL = {
  "alex64x64": (dict(width=4, hidden=8), 64),
  "basic28x28": (dict(width=4), 28),
  "basic32x32": (dict(width=4), 32),
  "basic64x64": (dict(width=4), 64),
  "convnet": (dict(widths=(4, 8), strides=(2, 2)), 8),
  "foldalex64x64": (dict(width=4, hidden=8), 64),
  "foldmultialex64x64": (dict(width=4), 64),
  "foldresnet19_32x32": (dict(width=4, hidden=8), 32),
  "mlp": (dict(hidden=(4,), dim=3), 8),
  "realnvp": (dict(size=48, width=4, couplings=2), 4),
  "resnet18": (dict(width=4, groups=2), 32),
  "resnet50": (dict(width=4), 32),
  "skip_mlp": ({}, 4),
  "split": (
    dict(parts=dict(name="learned"), encoder=dict(name="convnet")),
    8,
  ),
}
# The same code as others of the table.
SAME = {"foldresnet37_32x32", "resnet34", "resnet101", "resnet152"}


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - SAME))
def test_every_encoder_takes_any_number_of_images(name):
  """As StableHLO has it: the number is a symbol, from which no int can come."""
  options, side = SMALL.get(name, ({}, 32))
  encoder = build("encoder", dict(name=name, **options), ENCODERS)
  (count,) = jax.export.symbolic_shape("b")
  two, many = (
    jax.ShapeDtypeStruct((n, side, side, 3), jnp.float32) for n in (2, count)
  )
  key = jax.random.key(0)
  variables = jax.eval_shape(lambda x: encoder.init(key, x, False), two)
  found = jax.eval_shape(
    lambda v, x: encoder.apply(v, x, False), variables, many
  )
  assert {x.shape[0] for x in jax.tree.leaves(found)} == {count}


def trained(name, side, channels=3, **options):
  """An encoder of random numbers, as `infomin export` reads it of a run."""
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder = dict(name=name, **options)
  config.views.size = side
  learner = make_learner(config)
  shapes = jax.eval_shape(
    lambda x: learner.init(jax.random.key(0), x, method="encode"),
    jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32),
  )
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda x: rng.uniform(0.01, 0.2, x.shape).astype(np.float32), shapes
  )
  return Trained(config, learner, {"batch_stats": {}} | variables)


@pytest.mark.parametrize("name", ["convnet", "basic28x28", "mlp"])
def test_stablehlo_computes_the_features(name, tmp_path):
  options, side = SMALL[name]
  encoder = trained(name, side, channels=1, **options)
  said = export._stablehlo(encoder, tmp_path / "x")
  assert f"images [b, {side}, {side}, 1] in [0, 1]" in said
  exported = jax.export.deserialize(bytearray((tmp_path / "x").read_bytes()))
  images = np.random.default_rng(1).random((3, side, side, 1), np.float32)
  found = exported.call(images)
  encode = jax.jit(lambda v, x: encoder.learner.apply(v, x, method="encode"))
  wanted = named_taps(encode(encoder.variables, images))
  assert found.keys() == wanted.keys()
  for tap, features in wanted.items():
    np.testing.assert_allclose(found[tap], features, rtol=1e-4, err_msg=tap)


def test_torchvision_gets_a_resnet_and_what_to_change_in_its_own(tmp_path):
  small = trained("resnet18", 32, channels=1, stem="small")
  out = tmp_path / "r.safetensors"
  said = export._torchvision(small, out)
  assert load_file(out)["conv1.weight"].shape == (64, 1, 3, 3)
  assert (
    "model.conv1 = torch.nn.Conv2d(1, 64, 3, 1, 1, bias=False); "
    "model.maxpool = torch.nn.Identity(); model.fc = torch.nn.Identity()."
    in said
  )
  assert "(x - [0.5]) / [0.5]" in said
  usual = trained("resnet18", 32)
  said = export._torchvision(usual, out)
  assert "Before load_state_dict: model.fc = torch.nn.Identity()." in said
  assert load_file(out)["conv1.weight"].shape == (64, 3, 7, 7)


@pytest.mark.needs("torchvision")
@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_torchvision_loads_it_and_computes_the_same(stem, tmp_path):
  import torch
  import torchvision

  encoder = trained("resnet18", 32, stem=stem)
  out = tmp_path / "r.pth"
  said = export._torchvision(encoder, out)
  scope = {"torch": torch, "model": torchvision.models.resnet18()}
  exec(said.partition(": ")[2].partition(". Images")[0], scope)
  model = scope["model"]
  model.load_state_dict(torch.load(out, weights_only=True))
  images = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
  wanted = encoder.learner.apply(
    encoder.variables, images, method="encode"
  ).global_
  with torch.no_grad():
    x = torch.from_numpy((images.transpose(0, 3, 1, 2) - 0.5) / 0.5)
    found = model.eval()(x.contiguous())
  np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4)


def test_detectron2_s_settings_are_said(tmp_path):
  out = tmp_path / "r.pkl"
  said = export._detectron2(trained("resnet50", 32, width=8), out)
  record = pickle.loads(out.read_bytes())
  assert record["model"]["stem.conv1.weight"].shape == (8, 3, 7, 7)
  assert "STEM_OUT_CHANNELS 8, WIDTH_PER_GROUP 8, RES2_OUT_CHANNELS 32" in said
  assert "PIXEL_MEAN [127.5, 127.5, 127.5]" in said


@pytest.mark.parametrize(
  "write,options,words",
  [
    ("_torchvision", dict(width=8), "width is 8, but a ResNet in torchvision"),
    ("_detectron2", dict(width=8), "loads a ResNet-18 only with width 64"),
    ("_detectron2", dict(width=8, stem="small"), "stem is small"),
  ],
)
def test_a_resnet_that_cannot_be_loaded_there_is_not_written(
  write, options, words, tmp_path
):
  out = tmp_path / ("x.pkl" if "detectron" in write else "x.safetensors")
  with pytest.raises(UserError, match=words):
    getattr(export, write)(trained("resnet18", 32, **options), out)
  assert not out.exists()


def test_a_missing_dependency_of_a_library_is_not_the_library(
  tmp_path, monkeypatch
):
  (tmp_path / "has_needs.py").write_text("import is_not_here.part\n")
  monkeypatch.syspath_prepend(tmp_path)
  for library, words in {
    "has_needs": "has_needs is installed but cannot be imported (No module "
    "named 'is_not_here'): pip install --upgrade 'x[y]' is_not_here.",
    "is_nowhere": "is_nowhere is not installed: pip install 'x[y]'.",
  }.items():
    with pytest.raises(ImportError) as raised:
      __import__(library)
    assert str(errors.missing(library, "'x[y]'", raised.value)) == words
