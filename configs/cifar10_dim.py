"""Deep InfoMax and what it is compared with, on CIFAR-10.

  infomin train --config configs/cifar10_dim.py --workdir runs/cifar_dim
  infomin train --config configs/cifar10_dim.py:vae --workdir runs/cifar_vae

The settings of table 1 of Hjelm et al. 2019: encoder basic32x32,
encode-and-dot critic of 2048 units, uniform prior, no augmentation, Adam 1e-4,
batch 64, 1000 epochs. Rows are those of `studies/deep_infomax/rows.py`; the
default is local_infonce. Published, 200-unit probe: conv 75.21, fc 75.57, Y
69.13. Not yet measured here. `:tiny` and `:vae,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.deep_infomax import rows


def get_config(variant: str = "local_infonce") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a row, or tiny, or both."""
  row, _, tiny = variants.parse(variant, rows.ROWS, "local_infonce")
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 781_000  # 1000 epochs
  config.batch_size = 16 if tiny else 64
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="cifar10",
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
    config.views = dict(name="occluded", size=32, block=10, fill=0.5)
  else:
    config.views = dict(name="none", size=32, count=1)
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="basic32x32",
    dim=rows.DIMS.get(row, 64),
    width=8 if tiny else 64,
    dtype="float32",
  )
  config.objective = rows.objective(
    row, width=2 if tiny else 64, classes=10, images=50_000
  )
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 7810,
    evaluate_every=2 if tiny else 7810,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear", "mlp"),
    taps=("y", "fc", "conv"),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 1000,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
