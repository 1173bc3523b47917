"""Trains on your own images in a folder, of any size and without labels.

  infomin train --config configs/own_images.py --config.data.path=PHOTOS \\
      --workdir runs/mine
  infomin report runs/mine

All image files below the folder are read and cut to squares of
`data.image_size` pixels. They stay in memory if they fit (1 GiB). Every tenth
file is held out, or whole groups of files (`data.group`). If the folder has
several subfolders, each is a class, and probes are fitted. For gray images, or
more than three channels, set `data.channels`. For arrays see
`infomin_jax/data/arrays.py`. `:tiny` is for tests.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, variants


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """Returns the full config, or a tiny one for tests."""
  _, _, tiny = variants.parse(variant, ("full",), "full")
  config = base.get_config()
  config.steps = 1500
  config.data.update(
    name="folder",
    path="",
    image_size=64,
    channels=3,
    # RGB color behind transparent pixels, such as (0, 0, 0). () is white.
    background=(),
    ignore_orientation=False,  # True ignores the orientation in EXIF data
    # Groups of files that are held out as a whole: "folder", "blocks", or a
    # pattern whose first (...) is the name of the group, such as
    # "(clip[0-9]+)". "" holds out every tenth file.
    group="",
  )
  config.views = dict(
    name="simclr",
    size=64,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=1.0,
    grayscale=0.2,
    blur=0.0,
    # Only the views infomin, cmc_v2 and randaugment use it.
    randaugment=dict(count=2, p=0.5, magnitude=10.0, spread=0.5),
  )
  config.encoder = dict(
    name="convnet",
    widths=(32, 64, 128, 256),
    strides=(2, 2, 2, 2),
    # bfloat16 is faster on GPUs and TPUs, and takes half the memory.
    dtype="float32",
  )
  config.objective = contrastive.within_batch(contrastive.head(256))
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=1e-3, warmup=50)
  config.run.update(log_every=20, checkpoint_every=100, evaluate_every=250)
  config.evaluate.update(k=20, epochs=20)
  return base.tiny(config) if tiny else config
