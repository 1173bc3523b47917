"""ImageNet with InfoMin views, a momentum queue and ResNet-50.

  infomin train --config configs/imagenet_infomin.py --workdir runs/imagenet

After Tian et al. 2020, section 3.4 of the spec, at 200 epochs, without the
JigSaw branch: views D, queue of 65,536, temperature 0.15, MLP head, SGD 0.03,
batch 256. Published without JigSaw and with a linear head, 100 epochs: 63.6;
in full: 70.1. Not yet measured here. For accelerators; the host decodes and
crops. `:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is full or tiny."""
  tiny = {"full": False, "tiny": True}[variant]
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 1_000_800  # 200 epochs
  config.batch_size = 16 if tiny else 256
  config.accumulate = 1
  config.ema = 0.999
  config.data = dict(
    name="imagenet2012",
    data_dir="",
    split="train",
    probe_split="train",
    test_split="validation",
    resident=False,
    host_crops=True,
    workers=0 if tiny else 12,
    threads=4,
    broken="stop",
  )
  config.views = dict(
    name="infomin",
    size=32 if tiny else 224,
    count=2,
    crop_scale=(0.2, 1.0),
  )
  config.normalize = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
  config.encoder = dict(
    name="resnet50",
    stem="imagenet",
    width=8 if tiny else 64,
    remat=False,
    dtype="bfloat16",
  )
  config.objective = dict(
    queue=dict(
      weight=1.0,
      estimator="infonce",
      size=32 if tiny else 65536,
      critic=dict(
        name="separable",
        dim=128,
        hidden=(2048,),
        temperature=0.15,
        normalize=True,
        shared=True,
        batch_norm=False,
      ),
    )
  )
  config.optimizer = dict(
    name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0
  )
  config.schedule = dict(name="cosine", peak=0.03, warmup=0, floor=1e-3)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 5004,
    evaluate_every=2 if tiny else 25020,
    monitor_examples=64 if tiny else 1024,
    keep=2,
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("pool",),
    weights="online",
    resize=40 if tiny else 256,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 100_000,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 100,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
