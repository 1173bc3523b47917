"""Contrasts two patches of a photograph at a given distance, on two CPU cores.

  infomin train --config configs/photo_patches.py \\
    --config.views.distance=32 --workdir runs/patches_32

The patches have 32 x 32 pixels and lie in windows of eight photographs. The
probe predicts the photograph of a window. The config replaces
`div2k_patches.py` in `infomin study good_views --preset local`. A run takes
half a minute. `:tiny` is for tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants


def get_config(variant: str = "patches") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("patches",), "patches")
  width = 4 if tiny else 32
  config = base.get_config()
  config.steps, config.batch_size = 400, 128
  config.data.name = "photo_windows"
  config.views = dict(name="patches", size=32, distance=32)
  config.normalize.std = (0.25,)
  config.encoder = dict(
    name="convnet", widths=(width, 2 * width, 4 * width), strides=(2, 2, 2)
  )
  config.objective = contrastive.within_batch(contrastive.head(8 * width))
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=2e-3, warmup=0 if tiny else 40)
  config.run.update(
    checkpoint_every=400, evaluate_every=400, monitor_examples=1000, keep=1
  )
  config.evaluate.update(
    resize=128,
    batch_size=500,
    train_examples=2000,
    test_examples=1000,
    k=20,
    epochs=15,
    label_share=1.0,
    decoder_width=8,
  )
  return base.tiny(config) if tiny else config
