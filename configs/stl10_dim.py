"""Deep InfoMax and its baselines on the 105,000 training images of STL-10.

  infomin train --config configs/stl10_dim.py --workdir runs/stl_dim
  infomin train --config configs/stl10_dim.py:vae --workdir runs/stl_vae

The settings are those of table 2 of Hjelm et al. 2019: encoder alex64x64,
encode-and-dot critic of 2048 units, uniform prior, random 64 x 64 crops and
flips, Adam 1e-4, batch 64, 200 epochs. The rows are those of
`infomin_jax/recipes/deep_infomax.py`. The default is local_infonce. Published
accuracies in percent of the 200-unit probe: conv 72.57, fc 70.00, Y 67.08. Not
yet measured here. `:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, deep_infomax.ROWS, "local_infonce")
  config = base.get_config()
  config.steps, config.batch_size = 328_000, 64  # 200 epochs
  config.data.update(name="stl10", split="train+unlabelled")
  config.update(
    deep_infomax.sections(
      row, size=64, classes=10, images=105_000, width=2 if tiny else 64
    )
  )
  if row not in deep_infomax.OCCLUDED:
    config.views = deep_infomax.stl10_crop()
  config.encoder = deep_infomax.alex64(row, tiny)
  config.run.update(checkpoint_every=3280, evaluate_every=3280)
  config.evaluate.update(
    protocols=deep_infomax.probes(tiny),
    taps=deep_infomax.TAPS,
    resize=64,
    label_share=1.0,
  )
  return base.tiny(config) if tiny else config
