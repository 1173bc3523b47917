"""Deep InfoMax and its baselines on CIFAR-100.

  infomin train --config configs/cifar100_dim.py --workdir runs/cifar100_dim
  infomin train --config configs/cifar100_dim.py:vae --workdir runs/cifar100_vae

The settings are those of table 1 of Hjelm et al. 2019: encoder basic32x32,
encode-and-dot critic of 2048 units, uniform prior, no augmentation, Adam 1e-4,
batch 64, 1,000 epochs. The rows are those of
`infomin_jax/recipes/deep_infomax.py`. The default is local_infonce. Published
accuracies in percent of the 200-unit probe: conv 49.74, fc 47.72, Y 41.61. Not
yet measured here. `:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, deep_infomax.ROWS, "local_infonce")
  config = base.get_config()
  config.steps, config.batch_size = 781_000, 64  # 1,000 epochs
  config.data.name = "cifar100"
  config.update(
    deep_infomax.sections(
      row, size=32, classes=100, images=50_000, width=2 if tiny else 64
    )
  )
  width = 8 if tiny else 64
  config.encoder = deep_infomax.basic(row, 32, width)
  config.run.update(checkpoint_every=7810, evaluate_every=7810)
  config.evaluate.update(
    protocols=deep_infomax.probes(tiny), taps=deep_infomax.TAPS
  )
  return base.tiny(config) if tiny else config
