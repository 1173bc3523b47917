"""Your own images, in a folder: no labels needed, any size, any shape.

  infomin train --config configs/own_images.py --config.data.path=PHOTOS \\
      --workdir runs/mine
  infomin report runs/mine

All image files below the folder are read, cut to squares of `data.image_size`
and kept in memory where they fit (1 GiB); every tenth is held out, or whole
groups of them (`data.group`). Folders of the first level, where there are
several, are classes, and are probed. For grey images or more than three
channels set `data.channels`; for arrays see `infomin_jax/data/arrays.py`.
`:tiny` is for tests.
"""

import ml_collections


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is full or tiny."""
  tiny = {"full": False, "tiny": True}[variant]
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 1500
  config.batch_size = 16 if tiny else 256
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="folder",
    data_dir="",
    path="",
    image_size=64,
    channels=3,
    # RGB behind transparent pixels, such as (0, 0, 0); () is white.
    background=(),
    ignore_orientation=False,  # True: pixels as stored, not as EXIF says
    # What stays on one side of the split: "folder", "blocks" or a pattern whose
    # first (...) names the group, such as "(clip[0-9]+)"; "": every tenth file.
    group="",
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
    size=64,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=1.0,
    grayscale=0.2,
    blur=0.0,
    # Of the views D, E, infomin and randaugment; others have none of it.
    randaugment=dict(count=2, p=0.5, magnitude=10.0, spread=0.5),
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="convnet", widths=(32, 64, 128, 256), strides=(2, 2, 2, 2)
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
  config.schedule = dict(name="cosine", peak=1e-3, warmup=50)
  config.run = dict(
    log_every=1 if tiny else 20,
    checkpoint_every=1 if tiny else 100,
    evaluate_every=2 if tiny else 250,
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
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 20,
    label_share=0.1,
    decoder_width=8 if tiny else 64,
  )
  return config
