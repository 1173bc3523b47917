"""Deep InfoMax and its baselines on Tiny ImageNet.

  infomin train --config configs/tiny_imagenet_dim.py --workdir runs/tin_dim
  infomin train --config configs/tiny_imagenet_dim.py:vae --workdir runs/tin_vae

The settings are those of table 2 of Hjelm et al. 2019: encoder alex64x64,
encode-and-dot critic of 2048 units, uniform prior, no augmentation, Adam 1e-4,
batch 64, 200 epochs. The rows are those of
`infomin_jax/recipes/deep_infomax.py`. The default is local_infonce. Published
accuracies in percent of the 200-unit probe: conv 34.21, fc 38.09, Y 33.33. Not
yet measured here. `:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, deep_infomax, variants


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, deep_infomax.ROWS, "local_infonce")
  config = base.get_config()
  config.steps, config.batch_size = 312_400, 64  # 200 epochs
  config.data.update(name="tiny_imagenet", test_split="validation")
  config.update(
    deep_infomax.sections(
      row, size=64, classes=200, images=100_000, width=2 if tiny else 64
    )
  )
  config.encoder = deep_infomax.alex64(row, tiny)
  config.normalize.mean, config.normalize.std = contrastive.IMAGENET
  config.run.update(checkpoint_every=15620, evaluate_every=15620)
  config.evaluate.update(
    protocols=deep_infomax.probes(tiny), taps=deep_infomax.TAPS
  )
  return base.tiny(config) if tiny else config
