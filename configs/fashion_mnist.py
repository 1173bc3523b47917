"""Contrasts crops of Fashion-MNIST images (28 x 28) on two CPU cores.

  infomin train --config configs/fashion_mnist.py --workdir runs/fm
  infomin evaluate --workdir runs/fm

The images come from the Debian package dataset-fashion-mnist, or from TFDS.
docs/evaluate.md has the time of a run and its accuracies. `:tiny` is for tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("full",), "full")
  config = base.get_config()
  config.steps = 1500
  config.data.name = "fashion_mnist"
  config.views = dict(
    name="simclr",
    size=28,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=0.5,
    grayscale=0.0,
    blur=0.0,
  )
  config.encoder = dict(
    name="convnet",
    widths=(64, 128, 256),
    strides=(2, 2, 2),
    # bfloat16 is faster on GPUs and TPUs, and takes half the memory.
    dtype="float32",
  )
  config.objective = contrastive.within_batch(contrastive.head(256))
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=1e-3, warmup=50)
  config.run.update(checkpoint_every=500, evaluate_every=250)
  config.evaluate.update(k=20, epochs=20)
  return base.tiny(config) if tiny else config
