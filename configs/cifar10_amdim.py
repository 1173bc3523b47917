"""Local-to-local Deep InfoMax over two augmented views, on CIFAR-10.

  infomin train --config configs/cifar10_amdim.py --workdir runs/amdim

After AMDIM (Bachman et al. 2019). The summary of one view is compared with the
places of two feature maps of the other view, 8 x 8 and 4 x 4. The places of the
smaller maps of both views are compared with each other, too. Each comparison
has its own critic and is made in both directions. Not yet measured here.
`:tiny` is for tests.

Differs from the paper: an ordinary ResNet-18 replaces the encoder of AMDIM,
whose places have small receptive fields, and scores are not clipped.
"""

import ml_collections

from infomin_jax.recipes import base, variants


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("full",), "full")
  config = base.get_config()
  config.steps, config.batch_size = 781_000, 64  # 1,000 epochs
  config.data.name = "cifar10"
  config.views = dict(
    name="simclr",
    size=32,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=0.5,
    blur=0.0,
  )
  config.encoder = dict(
    name="resnet18",
    stem="small",
    local="layer4",
    width=4 if tiny else 64,
    remat=False,
    dtype="float32",
  )
  pairs = (("global", "layer3"), ("global", "conv"), ("conv", "conv"))
  config.objective = {
    f"{summary}_{features}_{view}": dict(
      term="deep_infomax_local",
      weight=0.5,
      estimator="infonce",
      summary=summary,
      features=features,
      summary_view=view,
      features_view=1 - view,
      stream="auto",
      critic=dict(name="encode_and_dot", units=32 if tiny else 1024),
    )
    for view in (0, 1)
    for summary, features in pairs
  }
  config.run.update(checkpoint_every=7810, evaluate_every=7810)
  config.evaluate.update(
    protocols=("knn", "linear", "mlp"), taps=("pool", "conv")
  )
  return base.tiny(config) if tiny else config
