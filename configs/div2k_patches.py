"""Two patches of a DIV2K photograph, at a distance from each other.

  infomin train --config configs/div2k_patches.py \\
    --config.views.distance=128 --workdir runs/patches_128

Tian et al. 2020, section 3.3: patches of 64 x 64 pixels, 64 to 384 apart along
both axes; features are probed on STL-10 and CIFAR-10. Published as a figure:
best at 128, on both. Not yet measured here. `:tiny` is for tests.

Differs from the paper: which does not publish encoder, schedule and temperature
in full; these are CMC's encoder for 64 pixels at full width, SGD with three
drops, temperature 0.1, negatives from the batch.
"""

import ml_collections


def get_config(variant: str = "patches") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is patches or tiny."""
  tiny = "tiny" in variant.split(",")
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 9_400  # 3,000 epochs of 800 photographs
  config.batch_size = 16 if tiny else 256
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="div2k",
    data_dir="",
    split="train",
    probe_split="train",
    test_split="validation",
    resident=False,
    host_crops=True,
    workers=0 if tiny else 8,
    threads=4,
    broken="stop",
  )
  config.views = dict(name="patches", size=64, distance=8 if tiny else 128)
  config.normalize = dict(
    mean=(0.4409, 0.4279, 0.3868), std=(0.2683, 0.2610, 0.2687)
  )
  config.encoder = dict(
    name="alex64x64",
    dim=8 if tiny else 128,
    width=4 if tiny else 96,
    hidden=32 if tiny else 4096,
    dtype="float32",
  )
  config.objective = dict(
    contrastive=dict(
      weight=1.0,
      estimator="infonce",
      symmetric=True,
      within=False,
      stream="auto",
      critic=dict(name="inner_product", temperature=0.1, normalize=True),
    )
  )
  config.optimizer = dict(
    name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0
  )
  config.schedule = dict(
    name="step", peak=0.03, at=(0.6, 0.8, 0.9), factor=0.1, warmup=0
  )
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 1000,
    evaluate_every=2 if tiny else 4700,
    monitor_examples=64 if tiny else 100,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("linear",),
    taps=("fc",),
    weights="online",
    resize=64,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 100,
    label_share=1.0,
    decoder_width=8 if tiny else 64,
  )
  return config
