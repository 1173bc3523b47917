"""Deep InfoMax and its baselines on CelebA.

  infomin train --config configs/celeb_a_dim.py --workdir runs/celeb_a_dim
  infomin train --config configs/celeb_a_dim.py:vae --workdir runs/celeb_a_vae

The settings are those of table 2 of Hjelm et al. 2019, which has no CelebA row:
encoder alex64x64, encode-and-dot critic of 2048 units, uniform prior, no
augmentation, Adam 1e-4, batch 64, 200 epochs. The rows are those of
`infomin_jax/recipes/deep_infomax.py`. The default is local_infonce. The paper
has the error over the 40 attributes in a figure only. Not yet measured here.
`:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, deep_infomax.ROWS, "local_infonce")
  config = base.get_config()
  config.steps, config.batch_size = 508_600, 64  # 200 epochs
  config.data.name = "celeb_a"
  config.update(
    deep_infomax.sections(
      row, size=64, classes=2, images=162_770, width=2 if tiny else 64
    )
  )
  if row not in deep_infomax.OCCLUDED:
    # Not a random crop: the largest centered square, resized.
    config.views = dict(
      name="crop",
      size=64,
      count=1,
      crop_scale=(1.0, 1.0),
      crop_ratio=(1.0, 1.0),
      flip=0.0,
    )
  config.encoder = deep_infomax.alex64(row, tiny)
  config.run.update(checkpoint_every=25430, evaluate_every=25430)
  config.evaluate.update(
    protocols=("attributes",), taps=deep_infomax.TAPS, resize=64
  )
  return base.tiny(config) if tiny else config
