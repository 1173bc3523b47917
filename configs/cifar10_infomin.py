"""InfoMin and other contrastive methods on CIFAR-10, small-stem ResNet-18.

  infomin train --config configs/cifar10_infomin.py --workdir runs/cifar10
  infomin train --config configs/cifar10_infomin.py:simclr --workdir runs/simclr

Variants are the recipes of `infomin_jax/recipes/contrastive.py`: infomin,
insdis, cmc, moco, pirl, moco_v2, cmc_v2, simclr, byol, supcon. A run has 1,000
epochs. A GPU is advised. `:tiny` and `:byol,tiny` are for tests.

The settings are those of published CIFAR-10 recipes (solo-learn: SGD 0.3, queue
of 32,768, decay 0.99, LARS for simclr, byol and supcon). Accuracies published
there, in percent, of a linear probe that is trained with the encoder: moco_v2
with a symmetric loss 92.94, simclr 90.74, byol 92.58, supcon 93.82. The views
of InfoMin may be too strong for images of 32 pixels: a user of SupContrast
reports 87.7 with RandAugment and 90.3 without. Not yet measured here.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants

IMAGES, EPOCHS = 50_000, 1000


def get_config(variant: str = "infomin") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a recipe, `tiny`, or both."""
  recipe, _, tiny = variants.parse(variant, contrastive.RECIPES, "infomin")
  epoch = IMAGES // 256
  config = base.get_config()
  config.steps = EPOCHS * epoch
  config.data.name = "cifar10"
  config.update(
    contrastive.sections(
      recipe,
      contrastive.Sizes(
        image=32,
        pieces=(33, 8),
        images=IMAGES,
        memory=32 if tiny else 32768,
        hidden=8 if tiny else 2048,
        encoder=contrastive.small_resnet18(8 if tiny else 64),
        decay=0.99,
        statistics=((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
      ),
    )
  )
  training = contrastive.training_small(recipe, epoch)
  config.optimizer = training["optimizer"]
  config.schedule = training["schedule"]
  config.run.update(checkpoint_every=1950, evaluate_every=1950)
  config.evaluate.epochs = 100
  return base.tiny(config) if tiny else config
