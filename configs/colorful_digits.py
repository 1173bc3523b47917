"""The quickstart: learns digits but neither their position nor background.

  infomin train --config configs/colorful_digits.py --workdir runs/quickstart

The views of an image share only its handwriting. Each view draws its own
position, photograph and color (Tian et al. 2020, section 4.1). A run takes a
few minutes on 2 cores. `make run` trains and evaluates it. `:tiny` is for
tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("full",), "full")
  config = base.get_config()
  config.steps, config.batch_size = 2200, 128
  config.data.name = "colorful_digits"
  config.views = dict(
    name="shared_factors",
    share=("digit",),
    size=32,
    count=2,
    warp=1.0,
    flat=0.5,
  )
  config.encoder = dict(
    name="convnet",
    widths=(32, 64, 128, 128),
    strides=(2, 2, 2, 1),
    # bfloat16 is faster on GPUs and TPUs, and takes half the memory.
    dtype="float32",
  )
  config.objective = contrastive.within_batch(contrastive.head(256))
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=2e-3, warmup=50)
  config.run.update(checkpoint_every=550, evaluate_every=275)
  config.evaluate.update(k=20, epochs=20, iterations=30)
  return base.tiny(config) if tiny else config
