"""Contrasts views of Fashion-MNIST in colors, on two CPU cores.

  infomin train --config configs/tinted_fashion_views.py:ydbdr --workdir runs/v
  infomin train --config configs/tinted_fashion_views.py:augment \\
    --config.views.strength=1.0 --workdir runs/jittered

Rows:
  augment    two augmented views, for sweeps of crops and jitter
  A to E, simclr, infomin, crop
             two views of an augmentation recipe
  rgb, lab, ycbcr, ypbpr, ydbdr, yiq, hsv
             a color space, first channel against the other two
  frequency  the blurred image against the residual
  unsupervised, supervised, semi, floor
             views that are being learned
  frozen     learned views of another run,
             `--config.encoder.generator_from=WORKDIR`
`infomin study good_views --preset local` trains them all. A run takes about
half a minute. `:tiny` and `:semi,tiny` are for tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, learned_views, variants


def get_config(variant: str = "augment") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, learned_views.ROWS, "augment")
  width = 4 if tiny else 16
  network = dict(
    name="convnet", widths=(width, 2 * width, 4 * width), strides=(2, 2, 2)
  )
  config = base.get_config()
  config.steps, config.batch_size = 300, 128
  split = "train" if tiny else "train[:10000]"
  config.data.update(
    name="tinted_fashion_mnist", split=split, probe_split=split
  )
  config.views = learned_views.views(row, 28)
  config.normalize = learned_views.statistics(row)
  config.encoder = learned_views.encoder(row, network, depth=3, hidden=16)
  shared = row in learned_views.AUGMENTED
  config.objective = learned_views.objective(
    row,
    network,
    contrastive.head(8 * width, shared),
    classes=10,
    labelled=1000,
  )
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=2e-3, warmup=0 if tiny else 40)
  config.run.update(monitor_examples=2048, keep=1)
  config.evaluate.update(
    batch_size=500,
    train_examples=5000,
    test_examples=5000,
    k=20,
    epochs=15,
    decoder_width=8,
  )
  return base.tiny(config) if tiny else config
