"""Two patches of a photograph at a distance, on two CPU cores.

  infomin train --config configs/photo_patches.py \\
    --config.views.distance=32 --workdir runs/patches_32

Patches of 32 x 32 pixels in windows of eight photographs; the probe tells of
which photograph a window is. Stands for `div2k_patches.py` in `infomin study
good_views --preset local`; a run takes half a minute. `:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "patches") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is patches or tiny."""
  tiny = "tiny" in variant.split(",")
  width = 4 if tiny else 32
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 400
  config.batch_size = 16 if tiny else 128
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="photo_windows",
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
  config.views = dict(name="patches", size=32, distance=32)
  config.normalize = dict(mean=(0.5,), std=(0.25,))
  config.encoder = dict(
    name="convnet", widths=(width, 2 * width, 4 * width), strides=(2, 2, 2)
  )
  config.objective = dict(
    contrastive=dict(
      weight=1.0,
      estimator="infonce",
      symmetric=True,
      within=False,
      stream="auto",
      critic=dict(
        name="separable",
        dim=64,
        hidden=(8 * width,),
        temperature=0.2,
        normalize=True,
        shared=True,
        batch_norm=True,
      ),
    )
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=0.0)
  config.schedule = dict(name="cosine", peak=2e-3, warmup=0 if tiny else 40)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 400,
    evaluate_every=2 if tiny else 400,
    monitor_examples=64 if tiny else 1000,
    keep=1,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("pool",),
    weights="online",
    resize=128,
    batch_size=64 if tiny else 500,
    train_examples=64 if tiny else 2000,
    test_examples=64 if tiny else 1000,
    k=20,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 15,
    label_share=1.0,
    decoder_width=8,
  )
  return config
