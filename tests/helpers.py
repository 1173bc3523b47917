"""Shared by tests: small encoders, configs, and records of public data sets."""

import contextlib
import importlib.util
import pathlib
import runpy
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds

from infomin_jax.data import tfds_sources
from infomin_jax.runs.writers import MetricWriter


def pixels(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image, kind=".png"):
  order = cv2.COLOR_RGB2BGR if image.shape[-1] == 3 else None
  image = image if order is None else cv2.cvtColor(image, order)
  return cv2.imencode(kind, image)[1].tobytes()


def write_set(builder, data_dir, splits):
  """Prepares the registered builder's set from our records, as array_record.

  Its features, name, version and files are TFDS's own; only the records,
  {split: [example, ...]}, are not the real ones.
  """
  made: Any = tfds.builder(
    builder, data_dir=data_dir, file_format="array_record"
  )
  made._split_generators = lambda dl_manager: {
    split: iter(enumerate(examples)) for split, examples in splits.items()
  }
  tfds_sources.write(made)
  return pathlib.Path(made.data_dir)


def abstract(encoder, shape, train=False):
  """Shapes of features and variables; nothing is computed or compiled."""
  return jax.eval_shape(
    lambda key, x: encoder.init_with_output(key, x, train),
    jax.random.key(0),
    jax.ShapeDtypeStruct(shape, jnp.float32),
  )


def variables_for(encoder, shape):
  """Numpy variables that keep activations near one; no start to compile."""
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    name, fan_in = path[-1].key, np.prod(leaf.shape[:-1])
    draws = {
      "kernel": lambda: rng.normal(0, (2 / fan_in) ** 0.5, leaf.shape),
      "scale": lambda: rng.uniform(0.5, 1.5, leaf.shape),
      "var": lambda: rng.uniform(0.5, 1.5, leaf.shape),
      "bias": lambda: rng.normal(0, 0.2, leaf.shape),
      "mean": lambda: rng.normal(0, 0.2, leaf.shape),
    }
    return draws[name]().astype(np.float32)

  return jax.tree_util.tree_map_with_path(draw, abstract(encoder, shape)[1])


def encode(encoder, variables, images):
  """Features in evaluation."""
  return jax.jit(encoder.apply, static_argnums=2)(variables, images, False)


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def assert_close(got, want, tolerance=1e-5):
  np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def tiny_config(seed=0, **evaluate):
  spec = importlib.util.spec_from_file_location(
    "c", "configs/colorful_digits.py"
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config("tiny")
  config.seed = seed
  config.encoder.widths, config.encoder.strides = (4, 4), (2, 2)
  config.evaluate.update(evaluate)
  return config


SMALL = (
  "--config.batch_size=8",
  "--config.data.image_size=16",
  "--config.views.size=16",
  "--config.encoder.widths=(8, 8)",
  "--config.encoder.strides=(2, 2)",
  "--config.run.monitor_examples=8",
)


COUNT = 80


def labelled(shape, kind=".png"):
  return [
    {"image": encoded(pixels(*shape, seed=i), kind), "label": i % 10}
    for i in range(COUNT)
  ]


def fake_cifar10(folder):
  rows = [row | {"id": "x"} for row in labelled((32, 32, 3))]
  write_set("cifar10", folder, {"train": rows, "test": rows})


def fake_cifar100(folder):
  rows = [
    row | {"id": "x", "coarse_label": row["label"] // 2}
    for row in labelled((32, 32, 3))
  ]
  write_set("cifar100", folder, {"train": rows, "test": rows})


def fake_tiny_imagenet(folder):
  rows = labelled((64, 64, 3), ".jpg")
  write_set("tiny_imagenet", folder, {"train": rows, "validation": rows})


def fake_celeb_a(folder):
  features = tfds.builder("celeb_a", data_dir=folder).info.features
  names, marks = list(features["attributes"]), list(features["landmarks"])
  rows = [
    {
      "image": encoded(pixels(218, 178, 3, seed=i), ".jpg"),
      "attributes": {name: (i + k) % 3 == 0 for k, name in enumerate(names)},
      "identity": {"Identity_No": i},
      "landmarks": dict.fromkeys(marks, i),
    }
    for i in range(COUNT)
  ]
  write_set("celeb_a", folder, {"train": rows, "test": rows})


def fake_stl10(folder):
  rows = labelled((96, 96, 3))
  rest = [row | {"label": -1} for row in rows[:16]]
  write_set("stl10", folder, {"train": rows, "test": rows, "unlabelled": rest})


def fake_imagenet2012(folder):
  rows = [
    {
      "image": encoded(pixels(40 + i % 3, 60, 3, seed=i), ".jpg"),
      "label": i % 10,
      "file_name": f"{i}.jpg",
    }
    for i in range(COUNT)
  ]
  write_set("imagenet2012", folder, {"train": rows, "validation": rows})


def fake_div2k(folder):
  rows = [
    {"hr": encoded(pixels(80 + i % 3, 90, 3, seed=i), ".png")}
    for i in range(COUNT)
  ]
  rows = [row | {"lr": row["hr"]} for row in rows]
  write_set("div2k/bicubic_x2", folder, {"train": rows, "validation": rows})


def fake_fashion_mnist(folder):
  rows = labelled((28, 28, 1))
  write_set("fashion_mnist", folder, {"train": rows, "test": rows})


def fake_folder(folder):
  """Images of several sizes, in the folders of ten classes."""
  for i in range(COUNT):
    path = folder / f"class{i // 8}" / f"{i}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels(40 + i % 5, 60, 3, seed=i), ".jpg"))


FAKES = {
  "celeb_a_dim": fake_celeb_a,
  "cifar100_dim": fake_cifar100,
  "cifar10_amdim": fake_cifar10,
  "cifar10_crops": fake_cifar10,
  "cifar10_dim": fake_cifar10,
  "cifar10_infomin": fake_cifar10,
  "colorful_digits": lambda folder: None,
  "colorful_digits_dim": lambda folder: None,
  "div2k_patches": fake_div2k,
  "fashion_mnist": fake_fashion_mnist,
  "fashion_mnist_dim": fake_fashion_mnist,
  "imagenet_infomin": fake_imagenet2012,
  "moving_digits": lambda folder: None,
  "own_images": fake_folder,
  "photo_patches": lambda folder: None,
  "stl10_crops": fake_stl10,
  "stl10_infomin": fake_stl10,
  "stl10_dim": fake_stl10,
  "stl10_views": fake_stl10,
  "tinted_fashion_views": fake_fashion_mnist,
  "tiny_imagenet_dim": fake_tiny_imagenet,
}


# Steps at which metrics are written.
STEPS = [1, 2, 3, 4, 5, 6]


def small_config(*writers):
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder.widths = (8, 8, 8, 8)
  config.steps = STEPS[-1]
  config.run.update(log_every=1, checkpoint_every=3, evaluate_every=5)
  config.run.writers = writers
  return config


@contextlib.contextmanager
def opened(workdir, step, *writers):
  workdir.mkdir(exist_ok=True)
  writer = MetricWriter(workdir, small_config(*writers), step)
  with writer.opened():
    yield writer
