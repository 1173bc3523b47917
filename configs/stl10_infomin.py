"""InfoMin and other contrastive methods on STL-10, small-stem ResNet-18.

  infomin train --config configs/stl10_infomin.py --workdir runs/stl10
  infomin train --config configs/stl10_infomin.py:simclr --workdir runs/simclr

Variants are the recipes of `infomin_jax/recipes/contrastive.py`: infomin,
insdis, cmc, moco, pirl, moco_v2, cmc_v2, simclr, byol, supcon. A run has 1,000
epochs. A GPU is advised. `:tiny` and `:byol,tiny` are for tests.

The settings are those for CIFAR-10, with the channel statistics that other
libraries use for STL-10. Published linear accuracies in percent of other
encoders: 83.2 (AlexNet for 64 pixels, alignment and uniformity) and 86.6 (YDbDr
as views, `stl10_views.py`). None is known for this encoder. Not yet measured
here.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants

IMAGES, EPOCHS = 105_000, 1000


def get_config(variant: str = "infomin") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a recipe, `tiny`, or both."""
  recipe, _, tiny = variants.parse(variant, contrastive.RECIPES, "infomin")
  epoch = IMAGES // 256
  config = base.get_config()
  config.steps = EPOCHS * epoch
  config.data.update(name="stl10", split="train+unlabelled")
  config.update(
    contrastive.sections(
      recipe,
      contrastive.Sizes(
        image=64,
        pieces=(66, 20),
        images=IMAGES,
        memory=32 if tiny else 32768,
        hidden=8 if tiny else 2048,
        encoder=contrastive.small_resnet18(8 if tiny else 64),
        decay=0.99,
        statistics=contrastive.STL10,
      ),
    )
  )
  training = contrastive.training_small(recipe, epoch)
  config.optimizer = training["optimizer"]
  config.schedule = training["schedule"]
  config.run.update(checkpoint_every=1950, evaluate_every=1950)
  config.evaluate.epochs = 100
  return base.tiny(config) if tiny else config
