"""Views of Fashion-MNIST in colours, on two CPU cores.

  infomin train --config configs/tinted_fashion_views.py:ydbdr --workdir runs/v
  infomin train --config configs/tinted_fashion_views.py:augment \\
    --config.views.strength=1.0 --workdir runs/jittered

Rows: `augment`, two augmented views of one encoder, whose crops and jitter can
be swept, and recipes of views (A to E, simclr, infomin, crop); a colour space
(rgb, lab, ycbcr, ypbpr, ydbdr, yiq, hsv), its first channel against the other
two; `frequency`, blurred against the rest; `unsupervised`, `supervised`, `semi`
and `floor`, views that are being learned, and `frozen`, which takes them from
another run (`--config.encoder.generator_from=WORKDIR`). `infomin study
good_views --preset local` trains them all; a run takes about half a minute.
`:tiny` and `:semi,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.good_views import rows


def get_config(variant: str = "augment") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a row, or tiny, or both."""
  row, _, tiny = variants.parse(variant, rows.ROWS, "augment")
  width = 4 if tiny else 16
  network = dict(
    name="convnet", widths=(width, 2 * width, 4 * width), strides=(2, 2, 2)
  )
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 300
  config.batch_size = 16 if tiny else 128
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="tinted_fashion_mnist",
    data_dir="",
    split="train" if tiny else "train[:10000]",
    probe_split="train" if tiny else "train[:10000]",
    test_split="test",
    resident=True,
    host_crops=False,
    workers=0,
    threads=4,
    broken="stop",
  )
  config.views = rows.views(row, 28)
  config.normalize = rows.statistics(row)
  config.encoder = rows.encoder(row, network, depth=3, hidden=16)
  critic = dict(
    name="separable",
    dim=64,
    hidden=(8 * width,),
    temperature=0.2,
    normalize=True,
    shared=row in rows.AUGMENTED,
    batch_norm=True,
  )
  config.objective = rows.objective(
    row, network, critic, classes=10, labelled=1000
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=0.0)
  config.schedule = dict(name="cosine", peak=2e-3, warmup=0 if tiny else 40)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 300,
    evaluate_every=2 if tiny else 300,
    monitor_examples=64 if tiny else 2048,
    keep=1,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("pool",),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 500,
    train_examples=64 if tiny else 5000,
    test_examples=64 if tiny else 5000,
    k=20,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 15,
    label_share=0.1,
    decoder_width=8,
  )
  return config
