"""Deep InfoMax or CPC on CIFAR-10's overlapping 8 x 8 crops.

  infomin train --config configs/cifar10_crops.py:dim --workdir runs/crops_dim
  infomin train --config configs/cifar10_crops.py:cpc --workdir runs/crops_cpc

Table 3 of Hjelm et al. 2019: places of the local map see one crop each; no
prior, no augmentation, encode-and-dot critics of 1024 units. The encoder is
that of the authors' instructions, foldresnet19_32x32; the paper's is said to be
larger (foldresnet37_32x32). Published, conv tap: 80.95 (one global), 77.45
(CPC). Not yet measured here. `:tiny` and `:cpc,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants


def get_config(variant: str = "dim") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is dim or cpc, or tiny, or both."""
  row, _, tiny = variants.parse(variant, ("dim", "cpc"), "dim")
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
  config.views = dict(name="none", size=32, count=1)
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="foldresnet19_32x32",
    dim=64,
    width=4 if tiny else 64,
    hidden=32 if tiny else 1024,
    dtype="float32",
  )
  critic = dict(name="encode_and_dot", units=64 if tiny else 1024)
  config.objective = {
    "dim": dict(
      deep_infomax_local=dict(
        weight=1.0, estimator="infonce", stream="auto", critic=critic
      )
    ),
    "cpc": dict(
      cpc=dict(weight=1.0, estimator="infonce", ahead=3, critic=critic)
    ),
  }[row]
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
