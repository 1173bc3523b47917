"""ImageNet: InfoMin's recipe, and the other ways to train of its paper.

  infomin train --config configs/imagenet_infomin.py:800 --workdir runs/imagenet
  infomin train --config configs/imagenet_infomin.py:moco_v2,200 --workdir ...

Variants, separated by commas: a recipe of `studies/good_views/recipes.py`
(infomin; insdis, cmc, moco, pirl, moco_v2, cmc_v2, simclr, byol, supcon),
epochs (200; 100, 800), an encoder (resnet50; resnet101, resnet152), and `large`
for batches of 4,096 at 16 times the learning rate with a warm-up.

Published top-1, of the protocol imagenet_linear (200 epochs, ResNet-50): insdis
59.5, moco 60.8, pirl 61.7, moco_v2 67.5, cmc 58.6 (two half-width encoders),
infomin 70.1; infomin 67.4 at 100 epochs, 73.0 at 800; 73.4 with resnet101 at
300 and with resnet152 at 200. None of them measured here. For accelerators; the
host decodes and crops. `:tiny` and `:cmc,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.good_views import recipes

IMAGES = 1_281_167
EPOCHS = ("100", "200", "300", "800")
ENCODERS = ("resnet50", "resnet101", "resnet152")


def get_config(variant: str = "infomin") -> ml_collections.ConfigDict:
  """The resolved configuration; see the module's text for variants."""
  recipe, words, tiny = variants.parse(
    variant, recipes.RECIPES, "infomin", (*EPOCHS, *ENCODERS, "large")
  )
  epochs = next((int(word) for word in words if word in EPOCHS), 200)
  encoder = next((word for word in words if word in ENCODERS), "resnet50")
  batch = 4096 if "large" in words else 256
  epoch = IMAGES // batch
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else epochs * epoch
  config.batch_size = 16 if tiny else batch
  config.accumulate = 1
  config.grad_cache = 1
  config.init_from = ""  # a run whose weights training starts from
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
  config.update(
    recipes.sections(
      recipe,
      recipes.Sizes(
        image=32 if tiny else 224,
        pieces=(48, 16) if tiny else (255, 64),
        images=IMAGES,
        memory=32 if tiny else 65536,
        hidden=8 if tiny else 2048,
        encoder=dict(
          name="resnet18" if tiny else encoder,
          stem="imagenet",
          width=8 if tiny else 64,
          groups=1,
          remat=False,
          dtype="bfloat16",
        ),
      ),
    )
  )
  config.update(recipes.training(recipe, batch, epoch, epochs))
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 5004,
    evaluate_every=2 if tiny else 25020,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear") if tiny else ("imagenet_linear",),
    taps=("pool",),
    weights="online",
    resize=40 if tiny else 256,
    batch_size=64 if tiny else 256,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 60,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
