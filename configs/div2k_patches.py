"""Contrasts two patches of a DIV2K photograph at a given distance.

  infomin train --config configs/div2k_patches.py \\
    --config.views.distance=128 --workdir runs/patches_128

Tian et al. 2020, section 3.3. Patches have 64 x 64 pixels and are 64 to 384
pixels apart along both axes. The features are probed on STL-10 and CIFAR-10.
The results are published as a figure: the best distance is 128 on both. Not yet
measured here. `:tiny` is for tests.

Differs from the paper: it does not give encoder, schedule and temperature in
full. Here they are the encoder of CMC for 64 pixels at full width, SGD with
three drops, temperature 0.1, and negatives from the batch.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants


def get_config(variant: str = "patches") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("patches",), "patches")
  config = base.get_config()
  config.steps = 9_400  # 3,000 epochs of 800 photographs
  config.data.update(
    name="div2k",
    test_split="validation",
    resident=False,
    host_crops=True,
    workers=0 if tiny else 8,
  )
  config.views = dict(name="patches", size=64, distance=8 if tiny else 128)
  config.normalize.mean, config.normalize.std = contrastive.STL10
  config.encoder = dict(
    name="alex64x64",
    dim=8 if tiny else 128,
    width=4 if tiny else 96,
    hidden=32 if tiny else 4096,
    dtype="float32",
  )
  config.objective = contrastive.within_batch(contrastive.COSINES)
  config.optimizer = contrastive.SGD
  config.schedule = dict(
    name="step", peak=0.03, at=(0.6, 0.8, 0.9), factor=0.1, warmup=0
  )
  config.run.update(
    checkpoint_every=1000, evaluate_every=4700, monitor_examples=100
  )
  config.evaluate.update(
    protocols=("linear",), taps=("fc",), resize=64, epochs=100, label_share=1.0
  )
  return base.tiny(config) if tiny else config
