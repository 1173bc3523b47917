"""Deep InfoMax or CPC on overlapping 16 x 16 crops of STL-10.

  infomin train --config configs/stl10_crops.py:dim --workdir runs/stl_one
  infomin train --config configs/stl10_crops.py:multi --workdir runs/stl_many
  infomin train --config configs/stl10_crops.py:cpc --workdir runs/stl_cpc

Table 3 of Hjelm et al. 2019. Each place of the local map encodes one crop. The
places are compared with one summary (`dim`), with the summaries of 25 blocks
(`multi`), or with the summaries of the rows above (`cpc`). There is no prior.
Published accuracies in percent: 76.97, 78.21, 77.81. Not yet measured here.
`:tiny` and `:multi,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "dim") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, ("dim", "multi", "cpc"), "dim")
  config = base.get_config()
  config.steps, config.batch_size = 328_000, 64  # 200 epochs
  config.data.update(name="stl10", split="train+unlabelled")
  config.views = deep_infomax.stl10_crop()
  network = dict(width=8 if tiny else 96, dtype="float32")
  if row == "multi":
    config.encoder = network | dict(name="foldmultialex64x64")
  else:
    hidden = 32 if tiny else 4096
    config.encoder = network | dict(
      name="foldalex64x64", dim=64, hidden=hidden, dropout=0.1
    )
  config.objective = deep_infomax.of_crops(row, units=64 if tiny else 1024)
  config.run.update(checkpoint_every=3280, evaluate_every=3280)
  config.evaluate.update(
    protocols=deep_infomax.PROBES,
    taps=("conv", "glob") if row == "multi" else deep_infomax.TAPS,
    resize=64,
    label_share=1.0,
  )
  return base.tiny(config) if tiny else config
