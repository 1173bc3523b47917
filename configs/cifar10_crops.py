"""Deep InfoMax or CPC on overlapping 8 x 8 crops of CIFAR-10.

  infomin train --config configs/cifar10_crops.py:dim --workdir runs/crops_dim
  infomin train --config configs/cifar10_crops.py:cpc --workdir runs/crops_cpc

Table 3 of Hjelm et al. 2019. Each place of the local map encodes one crop.
There is no prior and no augmentation, and the encode-and-dot critics have 1024
units. The encoder is foldresnet19_32x32 as in the authors' instructions. The
one of the paper may be larger (foldresnet37_32x32). Published accuracies in
percent of the conv tap: 80.95 (one summary), 77.45 (CPC). Not yet measured
here. `:tiny` and `:cpc,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "dim") -> ml_collections.ConfigDict:
  """Returns the config of a variant: `dim` or `cpc`, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, ("dim", "cpc"), "dim")
  config = base.get_config()
  config.steps, config.batch_size = 781_000, 64  # 1,000 epochs
  config.data.name = "cifar10"
  config.views = dict(name="none", size=32, count=1)
  config.encoder = dict(
    name="foldresnet19_32x32",
    dim=64,
    width=4 if tiny else 64,
    hidden=32 if tiny else 1024,
    dtype="float32",
  )
  config.objective = deep_infomax.of_crops(row, units=64 if tiny else 1024)
  config.run.update(checkpoint_every=7810, evaluate_every=7810)
  config.evaluate.update(protocols=deep_infomax.PROBES, taps=deep_infomax.TAPS)
  return base.tiny(config) if tiny else config
