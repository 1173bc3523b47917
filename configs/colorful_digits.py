"""The quickstart: learn digits, and not where or on what they stand.

  infomin train --config configs/colorful_digits.py --workdir runs/quickstart

Views of an image share its handwriting only: place, photograph and colour are
drawn anew (Tian et al. 2020, section 4.1). A few minutes on 2 cores; `make run`
trains and evaluates it. `:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is full or tiny."""
  tiny = {"full": False, "tiny": True}[variant]
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 2200
  config.batch_size = 16 if tiny else 128
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="colorful_digits",
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
  config.views = dict(
    name="shared_factors",
    share=("digit",),
    size=32,
    count=2,
    warp=1.0,
    flat=0.5,
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="convnet", widths=(32, 64, 128, 128), strides=(2, 2, 2, 1)
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
        hidden=(256,),
        temperature=0.2,
        normalize=True,
        shared=True,
        batch_norm=True,
      ),
    )
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=0.0)
  config.schedule = dict(name="cosine", peak=2e-3, warmup=50)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 550,
    evaluate_every=2 if tiny else 1100,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("pool",),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=20,
    temperature=0.07,
    iterations=5 if tiny else 30,
    epochs=1 if tiny else 20,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
