"""Local-to-local Deep InfoMax over two augmented views, on CIFAR-10.

  infomin train --config configs/cifar10_amdim.py --workdir runs/amdim

After AMDIM (Bachman et al. 2019): the summary of one view is compared with the
places of two maps of the other, 8 x 8 and 4 x 4, and the places of the smaller
map with each other, each with a critic of its own, in both directions.

Differs from AMDIM: an ordinary ResNet-18 instead of its own encoder, whose
places see little of each other; no clipping of scores. Not yet measured here.
`:tiny` is for tests.
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
  config.views = dict(
    name="simclr",
    size=32,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=0.5,
    blur=0.0,
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="resnet18",
    stem="small",
    local="layer4",
    width=4 if tiny else 64,
    remat=False,
    dtype="float32",
  )
  config.objective = {
    f"{summary}_{features}_{view}": dict(
      term="deep_infomax_local",
      weight=0.5,
      estimator="infonce",
      summary=summary,
      features=features,
      summary_view=view,
      features_view=1 - view,
      stream="auto",
      critic=dict(name="encode_and_dot", units=32 if tiny else 1024),
    )
    for view in (0, 1)
    for summary, features in (
      ("global", "layer3"),
      ("global", "conv"),
      ("conv", "conv"),
    )
  }
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
    taps=("pool", "conv"),
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
