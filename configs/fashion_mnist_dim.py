"""Deep InfoMax and what it is compared with, on two CPU cores.

  infomin train --config configs/fashion_mnist_dim.py --workdir runs/fm_dim
  infomin train --config configs/fashion_mnist_dim.py:vae --workdir runs/fm_vae

Rows are those of `studies/deep_infomax/rows.py`; the default is local_infonce.
The encoder, basic28x28, is a quarter as wide as published, critics and decoders
an eighth; a run takes half a minute. `infomin study
deep_infomax --preset local` trains these rows; docs/studies.md has its numbers.
`:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.deep_infomax import rows


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a row, or tiny, or both."""
  row, _, tiny = variants.parse(variant, rows.ROWS, "local_infonce")
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 300
  config.batch_size = 16 if tiny else 64
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="fashion_mnist",
    data_dir="",
    split="train",
    probe_split="train",
    test_split="test",
    resident=True,
    host_crops=False,
    workers=0,
    threads=4,
    broken="stop",
  )
  if row in rows.OCCLUDED:
    config.views = dict(name="occluded", size=28, block=10, fill=0.5)
  else:
    config.views = dict(name="none", size=28, count=1)
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="basic28x28",
    dim=rows.DIMS.get(row, 64),
    width=4 if tiny else 16,
    dtype="float32",
  )
  config.objective = rows.objective(
    row, width=2 if tiny else 8, classes=10, images=60_000
  )
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  config.schedule = dict(name="constant", peak=1e-3)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 300,
    evaluate_every=2 if tiny else 300,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear") if tiny else ("knn", "linear", "mlp"),
    taps=("y", "fc", "conv"),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 2000,
    test_examples=64 if tiny else 5000,
    k=20,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 15,
    label_share=0.1,
    decoder_width=8,
  )
  return config
