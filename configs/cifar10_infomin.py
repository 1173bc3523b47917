"""CIFAR-10 with a small-stem ResNet-18: InfoMin's recipe, and the others.

  infomin train --config configs/cifar10_infomin.py --workdir runs/cifar10
  infomin train --config configs/cifar10_infomin.py:simclr --workdir runs/simclr

Variants are the recipes of `studies/good_views/recipes.py`: infomin, insdis,
cmc, moco, pirl, moco_v2, cmc_v2, simclr, byol, supcon; 1,000 epochs.

Settings of published CIFAR-10 recipes (solo-learn: SGD 0.3, queue of 32,768,
decay 0.99; LARS for simclr, byol and supcon). Published there, by a linear
probe that is trained along: moco_v2 with a symmetric loss 92.94, simclr 90.74,
byol 92.58, supcon 93.82. InfoMin's views may be too strong for images of 32
pixels: a user of SupContrast found 87.7 with RandAugment, 90.3 without. Not yet
measured here. A GPU is advised. `:tiny` and `:byol,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.good_views import recipes

IMAGES = 50_000
EPOCHS = 1000
# Learning rates of LARS, and what else differs from ImageNet's.
PEAKS = {"simclr": 0.4, "byol": 1.0, "supcon": 0.4}


def get_config(variant: str = "infomin") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a recipe, tiny, or both."""
  recipe, _, tiny = variants.parse(variant, recipes.RECIPES, "infomin")
  epoch = IMAGES // 256
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else EPOCHS * epoch
  config.batch_size = 16 if tiny else 256
  config.accumulate = 1
  config.grad_cache = 1
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
  config.update(
    recipes.sections(
      recipe,
      recipes.Sizes(
        image=32,
        pieces=(33, 8),
        images=IMAGES,
        memory=32 if tiny else 32768,
        hidden=8 if tiny else 2048,
        encoder=dict(
          name="resnet18",
          stem="small",
          width=8 if tiny else 64,
          groups=1,
          dtype="float32",
        ),
        decay=0.99,
        statistics=((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
      ),
    )
  )
  config.optimizer = dict(
    name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0
  )
  if recipe in PEAKS:
    config.optimizer = dict(
      name="lars",
      momentum=0.9,
      weight_decay=1e-5 if recipe == "byol" else 1e-4,
      decayed="kernels",
      trust_coefficient=0.02,
      clip=0.0,
    )
  config.schedule = dict(
    name="cosine", peak=PEAKS.get(recipe, 0.3), warmup=10 * epoch
  )
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 1950,
    evaluate_every=2 if tiny else 1950,
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
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 100,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
