"""Fashion-MNIST on two CPU cores: contrast crops of 28 x 28 images.

  infomin train --config configs/fashion_mnist.py --workdir runs/fm
  infomin evaluate --workdir runs/fm

The images come from Debian's package dataset-fashion-mnist, or from TFDS.
docs/evaluate.md has the time it takes and its accuracies. `:tiny` is for tests.
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
    name="fashion_mnist",
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
    size=28,
    count=2,
    crop_scale=(0.3, 1.0),
    strength=0.5,
    grayscale=0.0,
    blur=0.0,
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="convnet", widths=(64, 128, 256), strides=(2, 2, 2)
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
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 500,
    evaluate_every=2 if tiny else 1000,
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
