"""Deep InfoMax and what it is compared with, on CelebA.

  infomin train --config configs/celeb_a_dim.py --workdir runs/celeb_a_dim
  infomin train --config configs/celeb_a_dim.py:vae --workdir runs/celeb_a_vae

The settings of table 2 of Hjelm et al. 2019, which has no CelebA row: encoder
alex64x64, encode-and-dot critic of 2048 units, uniform prior, no augmentation,
Adam 1e-4, batch 64, 200 epochs. Rows are those of
`studies/deep_infomax/rows.py`; the default is local_infonce. The paper shows
the error over the 40 attributes as a figure only. Not yet measured here.
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
  config.steps = 2 if tiny else 508_600  # 200 epochs
  config.batch_size = 16 if tiny else 64
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="celeb_a",
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
    config.views = dict(name="occluded", size=64, block=10, fill=0.5)
  else:
    # The largest square in the middle, made smaller.
    config.views = dict(
      name="crop",
      size=64,
      count=1,
      crop_scale=(1.0, 1.0),
      crop_ratio=(1.0, 1.0),
      flip=0.0,
    )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="alex64x64",
    dim=rows.DIMS.get(row, 64),
    width=4 if tiny else 96,
    hidden=32 if tiny else 4096,
    dtype="float32",
  )
  config.objective = rows.objective(
    row, width=2 if tiny else 64, classes=2, images=162_770
  )
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 25430,
    evaluate_every=2 if tiny else 25430,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("attributes",),
    taps=("y", "fc", "conv"),
    weights="online",
    resize=64,
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
