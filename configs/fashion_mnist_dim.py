"""Deep InfoMax and its baselines on Fashion-MNIST, on two CPU cores.

  infomin train --config configs/fashion_mnist_dim.py --workdir runs/fm_dim
  infomin train --config configs/fashion_mnist_dim.py:vae --workdir runs/fm_vae

The rows are those of `infomin_jax/recipes/deep_infomax.py`. The default is
local_infonce. The encoder basic28x28 has a quarter of the published width,
critics and decoders an eighth. A run takes half a minute. `infomin study
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
  config.data.name = "fashion_mnist"
  config.update(
    deep_infomax.sections(
      row, size=28, classes=10, images=60_000, width=2 if tiny else 8
    )
  )
  width = 4 if tiny else 16
  config.encoder = deep_infomax.basic(row, 28, width)
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
