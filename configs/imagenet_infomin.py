"""InfoMin and other contrastive methods on ImageNet.

  infomin train --config configs/imagenet_infomin.py:800 --workdir runs/imagenet
  infomin train --config configs/imagenet_infomin.py:moco_v2,200 --workdir ...

A variant is a list of words separated by commas:
  recipe   of `infomin_jax/recipes/contrastive.py`: infomin (default), insdis,
           cmc, moco, pirl, moco_v2, cmc_v2, simclr, byol, supcon
  epochs   200 (default), 100, 300, 800
  encoder  resnet50 (default), resnet101, resnet152
  large    batches of 4,096 images, 16 times the learning rate, and a warm-up
The config is for accelerators. The host decodes and crops. `:tiny` and
`:cmc,tiny` are for tests.

Published top-1 accuracies in percent of the protocol imagenet_linear (200
epochs, ResNet-50): insdis 59.5, moco 60.8, pirl 61.7, moco_v2 67.5, cmc 58.6
(two half-width encoders), infomin 70.1. Infomin has 67.4 at 100 epochs and 73.0
at 800. With resnet101 at 300 epochs, and with resnet152 at 200, it has 73.4.
None of these was measured here.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants

IMAGES = 1_281_167
EPOCHS = ("100", "200", "300", "800")
ENCODERS = ("resnet50", "resnet101", "resnet152")


def get_config(variant: str = "infomin") -> ml_collections.ConfigDict:
  """Returns the config of a variant: words as above."""
  recipe, words, tiny = variants.parse(
    variant, contrastive.RECIPES, "infomin", (*EPOCHS, *ENCODERS, "large")
  )
  epochs = next((int(word) for word in words if word in EPOCHS), 200)
  encoder = next((word for word in words if word in ENCODERS), "resnet50")
  batch = 4096 if "large" in words else 256
  epoch = IMAGES // batch
  config = base.get_config()
  config.steps, config.batch_size = epochs * epoch, batch
  config.data.update(
    name="imagenet2012",
    test_split="validation",
    resident=False,
    host_crops=True,
    workers=0 if tiny else 12,
  )
  config.update(
    contrastive.sections(
      recipe,
      contrastive.Sizes(
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
  training = contrastive.training(recipe, batch, epoch, epochs)
  config.optimizer, config.schedule = (
    training["optimizer"],
    training["schedule"],
  )
  config.run.update(checkpoint_every=5004, evaluate_every=25020)
  config.evaluate.update(
    protocols=("knn", "linear") if tiny else ("imagenet_linear",),
    resize=40 if tiny else 256,
    batch_size=256,
    epochs=60,
  )
  return base.tiny(config) if tiny else config
