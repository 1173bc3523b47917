"""ResNet weights under others' names, and the verbs that carry them."""

import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from infomin_jax import cli
from infomin_jax.cli import export
from infomin_jax.encoders import ENCODERS, torchvision_names
from infomin_jax.errors import UserError
from infomin_jax.pretrained.load import trained_encoder
from infomin_jax.train.checkpoint import save_run
from infomin_jax.train.experiment import make_experiment, make_learner

CONFIG = """
import runpy

def get_config(variant="full"):
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder = dict(
    name="resnet18", stem="small", width=8, dtype="float32"
  )
  return config
"""


def random_resnet(depth, channels=3, **options):
  """Parameters and statistics of a ResNet, all numbers drawn at random."""
  encoder = ENCODERS[f"resnet{depth}"](**options)
  shapes = jax.eval_shape(
    lambda x: encoder.init(jax.random.key(0), x, True),
    jax.ShapeDtypeStruct((2, 32, 32, channels), jnp.float32),
  )
  rng = np.random.default_rng(depth)
  drawn = jax.tree.map(
    lambda x: rng.uniform(0.5, 1.5, x.shape).astype(np.float32), shapes
  )
  return encoder, drawn["params"], drawn["batch_stats"]


def published_names(depth):
  """torchvision's state dict of a ResNet by its rules, without `fc`."""
  counts = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}[depth]
  last = 2 if depth == 18 else 3
  layers = ["conv1", "bn1"]
  for stage, count in enumerate(counts, 1):
    for block in range(count):
      at = f"layer{stage}.{block}"
      layers += [
        f"{at}.{kind}{i}" for i in range(1, last + 1) for kind in ("conv", "bn")
      ]
      if block == 0 and (stage > 1 or depth >= 50):
        layers += [f"{at}.downsample.0", f"{at}.downsample.1"]
  norm = ("weight", "bias", "running_mean", "running_var")
  return {
    f"{layer}.{kind}"
    for layer in layers
    for kind in (
      norm if "bn" in layer or layer.endswith("downsample.1") else ("weight",)
    )
  }


@pytest.mark.parametrize("depth, width", [(18, 64), (50, 64), (152, 4)])
def test_names_are_torchvision_s_and_lead_back(depth, width):
  _, params, stats = random_resnet(depth, width=width)
  arrays = torchvision_names.to_torchvision(params, stats)
  assert set(arrays) == published_names(depth)
  assert arrays["conv1.weight"].shape == (width, 3, 7, 7)
  back = torchvision_names.from_torchvision(arrays, params, stats)
  jax.tree.map(np.testing.assert_array_equal, back, (params, stats))


def test_detectron2_s_names():
  _, params, stats = random_resnet(50)
  arrays = torchvision_names.to_torchvision(params, stats)
  found = torchvision_names.to_detectron2(arrays)
  assert len(found) == len(arrays)
  for theirs, ours in {
    "stem.conv1.weight": "conv1.weight",
    "stem.conv1.norm.running_mean": "bn1.running_mean",
    "res2.0.shortcut.weight": "layer1.0.downsample.0.weight",
    "res2.0.shortcut.norm.bias": "layer1.0.downsample.1.bias",
    "res5.2.conv3.norm.weight": "layer4.2.bn3.weight",
  }.items():
    np.testing.assert_array_equal(found[theirs], arrays[ours])


@pytest.mark.parametrize(
  "prefix", ["", "module.encoder_q.", "module.encoder.", "module."]
)
def test_foreign_checkpoints_give_their_encoder(prefix):
  _, params, stats = random_resnet(18, width=4)
  arrays = torchvision_names.to_torchvision(params, stats)
  foreign = {f"{prefix}{name}": x for name, x in arrays.items()}
  foreign |= {
    f"{prefix}fc.0.weight": np.zeros((2, 2)),
    f"{prefix}bn1.num_batches_tracked": np.zeros(()),
  }
  if "encoder" in prefix:  # these have a copy and a head beside it
    foreign |= {
      "module.encoder_k.conv1.weight": np.zeros((1, 1, 1, 1)),
      "module.head.0.weight": np.zeros((2, 2)),
    }
  found = torchvision_names.encoder_arrays(foreign)
  assert set(found) == set(arrays)
  np.testing.assert_array_equal(found["conv1.weight"], arrays["conv1.weight"])


def test_what_does_not_fit_is_named():
  _, params, stats = random_resnet(18, width=4)
  arrays = torchvision_names.to_torchvision(params, stats)
  _, wide_params, wide_stats = random_resnet(18, width=8)
  with pytest.raises(UserError, match="has shape"):
    torchvision_names.from_torchvision(arrays, wide_params, wide_stats)
  _, gray_params, gray_stats = random_resnet(18, width=4, channels=1)
  with pytest.raises(UserError, match=r"images of 3 channels, and .* have 1"):
    torchvision_names.from_torchvision(arrays, gray_params, gray_stats)
  with pytest.raises(UserError, match=r"has no bn1\.weight"):
    few = {k: x for k, x in arrays.items() if k != "bn1.weight"}
    torchvision_names.from_torchvision(few, params, stats)
  with pytest.raises(UserError, match=r"extra.weight ... without a place"):
    more = arrays | {"extra.weight": np.zeros(1)}
    torchvision_names.from_torchvision(more, params, stats)
  with pytest.raises(UserError, match="has no ResNet"):
    torchvision_names.encoder_arrays({"block.w": np.zeros(1)})


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.needs("torchvision")
def test_features_are_torchvision_s(depth):
  """On two real photographs, within 1e-4 of the features' size."""
  import torch
  import torchvision

  theirs = getattr(torchvision.models, f"resnet{depth}")(torchvision_names=None)
  theirs.fc = torch.nn.Identity()
  theirs.eval()
  encoder, params, stats = random_resnet(depth)
  arrays = torchvision_names.encoder_arrays(
    {name: x.numpy() for name, x in theirs.state_dict().items()}
  )
  params, stats = torchvision_names.from_torchvision(arrays, params, stats)
  photos = np.stack(load_sample_images().images)[:, :224, :224] / 255
  images = np.asarray(photos, np.float32)
  found = encoder.apply(
    {"params": params, "batch_stats": stats}, images, False
  ).global_
  with torch.no_grad():
    wanted = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)).contiguous())
  np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run of a small ResNet, as training leaves it."""
  folder = tmp_path_factory.mktemp("weights")
  path = folder / "config.py"
  path.write_text(CONFIG)
  config = runpy.run_path(str(path))["get_config"]()
  save_run(folder / "run", config, make_experiment(config).init())
  return folder


def call(verb, **flags):
  cli.main([verb, *(f"--{name}={value}" for name, value in flags.items())])


@pytest.mark.slow
def test_an_exported_encoder_comes_back(run, capsys):
  """Imported as a run of its own, whose momentum copy is the import too."""
  out, back = run / "encoder.safetensors", run / "back"
  call("export", workdir=run / "run", format="safetensors", out=out)
  path = run / "config.py"
  averaged = {"config.ema": 0.9, "config.evaluate.weights": "ema"}
  call("import", **{"from": out, "config": path, "workdir": back, **averaged})
  assert "(0.5,), the value of the file." in capsys.readouterr().err
  first, second = (trained_encoder(run / name) for name in ("run", "back"))
  for kind in ("params", "batch_stats"):
    jax.tree.map(
      np.testing.assert_array_equal,
      first.variables[kind]["encoder"],
      second.variables[kind]["encoder"],
    )
  with pytest.raises(SystemExit):
    call("import", **{"from": out, "config": path, "workdir": back})


def test_a_folder_s_images_are_embedded(run):
  """As evaluation cuts them, whatever their size; classes are sub-folders."""
  rng = np.random.default_rng(0)
  for name, shape in {"a/x.png": (32, 32, 3), "b/y.png": (40, 64, 3)}.items():
    path = run / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(path)
  out = run / "feats.npz"
  call("embed", workdir=run / "run", images=run / "images", out=out)
  with np.load(out) as found:
    assert list(found["files"]) == ["a/x.png", "b/y.png"]
    assert list(found["label"]) == [0, 1]
    features = found["features"]
  _, learner, variables = trained_encoder(run / "run")
  image = np.asarray(Image.open(run / "images/a/x.png"))[None]
  wanted = learner.apply(variables, image, method="encode").taps["pool"]
  np.testing.assert_allclose(features[:1], wanted, atol=1e-5)


@pytest.mark.parametrize(
  "verb,flags,words",
  [
    ("embed", dict(images="nowhere", out="x.npz"), "expected a folder"),
    ("embed", dict(images=".", out="x.npy"), "ends in .npz"),
    ("export", dict(format="onnx", out="x"), "Unknown format"),
    ("export", dict(format="detectron2", out="x.pth"), "expects a .pkl"),
    ("export", dict(format="safetensors", out="no/x.safetensors"), "no folder"),
  ],
)
def test_a_mistake_gets_one_line(verb, flags, words, run, capsys):
  with pytest.raises(SystemExit) as error:
    call(verb, workdir=run / "run", **flags)
  assert error.value.code == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line.startswith(f"infomin {verb}: ") and words in line


def test_other_encoders_are_not_exported_as_resnets(run):
  read = trained_encoder(run / "run")
  config = read.config.copy_and_resolve_references()
  config.encoder = dict(name="convnet")
  trained = read._replace(config=config, learner=make_learner(config))
  with pytest.raises(UserError, match="convnet: this format is for ResNets"):
    export.resnet_arrays(trained)
