"""Deep InfoMax, local objective with InfoNCE, on CIFAR-10.

  infomin train --config configs/cifar10_dim.py --workdir runs/cifar_dim

The settings of table 1 of Hjelm et al. 2019 without the prior term: encoder
basic32x32, encode-and-dot critic of 2048 units, no augmentation, Adam 1e-4,
batch 64, 1000 epochs. Published, with prior, 200-unit probe: conv 75.21, fc
75.57, Y 69.13. Not yet measured here. `:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is full or tiny."""
  tiny = {"full": False, "tiny": True}[variant]
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 781_000  # 1000 epochs
  config.batch_size = 16 if tiny else 64
  config.accumulate = 1
  config.ema = 0.0
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
  config.views = dict(name="none", size=32, count=1)
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(name="basic32x32", dim=64, dtype="float32")
  config.objective = dict(
    deep_infomax_local=dict(
      weight=1.0,
      estimator="infonce",
      stream="auto",
      critic=dict(name="encode_and_dot", units=64 if tiny else 2048),
    )
  )
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 7810,
    evaluate_every=2 if tiny else 7810,
    monitor_examples=64 if tiny else 1024,
    keep=2,
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("y", "fc", "conv"),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
  )
  return config
