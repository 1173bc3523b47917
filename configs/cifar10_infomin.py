"""CIFAR-10 with InfoMin views, a momentum queue and a small-stem ResNet-18.

  infomin train --config configs/cifar10_infomin.py --workdir runs/cifar

Not yet measured here. Views D of Tian et al. 2020; queue, temperature and
head as in their ImageNet recipe, sized for 50,000 images. A GPU is advised.
`:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is full or tiny."""
  tiny = {"full": False, "tiny": True}[variant]
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 39_000  # 200 epochs
  config.batch_size = 16 if tiny else 256
  config.accumulate = 1
  config.ema = 0.99
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
  config.views = dict(name="infomin", size=32, count=2, crop_scale=(0.2, 1.0))
  config.normalize = dict(
    mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
  )
  config.encoder = dict(
    name="resnet18", stem="small", width=8 if tiny else 64, dtype="float32"
  )
  config.objective = dict(
    queue=dict(
      weight=1.0,
      estimator="infonce",
      size=32 if tiny else 4096,
      critic=dict(
        name="separable",
        dim=128,
        hidden=(512,),
        temperature=0.15,
        normalize=True,
        shared=True,
        batch_norm=False,
      ),
    )
  )
  config.optimizer = dict(
    name="sgd", momentum=0.9, weight_decay=5e-4, decayed="all", clip=0.0
  )
  config.schedule = dict(name="cosine", peak=0.06, warmup=0)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 1950,
    evaluate_every=2 if tiny else 1950,
    monitor_examples=64 if tiny else 1024,
    keep=2,
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("pool",),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 100,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
