"""Deep InfoMax and its baselines on colorful digits: which factors are learned?

  infomin train --config configs/colorful_digits_dim.py --workdir runs/cd_dim
  infomin train --config configs/colorful_digits_dim.py:vae --workdir runs/vae

The rows are those of `infomin_jax/recipes/deep_infomax.py`. The default is
local_infonce. The encoder basic32x32 has an eighth of the published width,
critics and decoders a sixteenth. A run takes half a minute. `infomin study
deep_infomax --preset local` trains these rows, and docs/studies.md has the
results. `:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, deep_infomax, variants


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, deep_infomax.ROWS, "local_infonce")
  config = base.get_config()
  config.steps, config.batch_size = 300, 64
  config.data.name = "colorful_digits"
  config.update(
    deep_infomax.sections(
      row, size=32, classes=10, images=11_200, width=2 if tiny else 4
    )
  )
  width = 4 if tiny else 8
  config.encoder = deep_infomax.basic(row, 32, width)
  config.schedule.peak = 1e-3
  config.run.update(checkpoint_every=300, evaluate_every=300)
  config.evaluate.update(
    protocols=deep_infomax.probes(tiny),
    taps=deep_infomax.TAPS,
    k=20,
    epochs=15,
    train_examples=2000,
    test_examples=5000,
    decoder_width=8,
  )
  return base.tiny(config) if tiny else config
