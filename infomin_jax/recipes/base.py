"""Every key of a config once, with its default and its meaning.

The comment above a key is its meaning; `docs/config.md` is made from them. A
section that names a function (views, encoder, objective, optimizer, schedule)
takes the arguments of that function, so its keys are documented there.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns a config with every key; a file in `configs/` changes some."""
  config = ml_collections.ConfigDict()
  # Seed of the initial parameters, of the order of images and of their views.
  config.seed = 0
  # Training steps; a step is one update of the parameters.
  config.steps = 1000
  # Images per step, over all devices.
  config.batch_size = 256
  # Slices of a batch that are computed one after another, each with its own
  # negatives; their gradients are averaged. Saves memory.
  config.accumulate = 1
  # Slices of a batch whose features are computed one after another, with the
  # negatives of the whole batch. Saves memory, costs a second forward pass.
  config.grad_cache = 1
  # Decay per step of the momentum copy of the parameters; 0 keeps no copy.
  config.ema = 0.0
  # Working directory of a run whose weights training starts from; "" is none.
  config.init_from = ""
  config.data = dict(
    # A data set of `infomin data list`.
    name="",
    # Folder of prepared data; "" is the default of tensorflow-datasets.
    data_dir="",
    # Images that are trained on, as tensorflow-datasets names them.
    split="train",
    # Labeled images that probes are fitted to.
    probe_split="train",
    # Labeled images that probes are tested on.
    test_split="test",
    # Whether training images stay on the accelerator, where they fit (1 GiB).
    resident=True,
    # Whether the host cuts the crops, from images of different sizes.
    host_crops=False,
    # Processes that read and decode images; 0 does it in threads.
    workers=0,
    # Threads per process that read and decode.
    threads=4,
    # What a record that cannot be decoded does: "stop" the run, or "skip" it,
    # which takes the next one.
    broken="stop",
  )
  # Views of an image: a name of `infomin_jax/views`, and its arguments.
  config.views = dict()
  # Per-channel mean and standard deviation of images in [0, 1].
  config.normalize = dict(
    # Subtracted; one number for all channels, or one per channel.
    mean=(0.5,),
    # Divided by.
    std=(0.5,),
  )
  # The encoder: a name of `infomin_jax/encoders`, and its arguments.
  config.encoder = dict()
  # Terms of the loss: name -> its `weight` and arguments. A key that is no
  # term's name has the name in `term`. See `infomin_jax/objectives`.
  config.objective = dict()
  # The optimizer: a name of `infomin_jax/train/optimizers.py`, and its
  # arguments.
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  # The learning rate over the steps: `peak` is its highest value.
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    # Steps between two lines of the log.
    log_every=100,
    # Steps between two checkpoints.
    checkpoint_every=300,
    # Steps between two evaluations while training: the bound of held-out pairs,
    # and quick probes.
    evaluate_every=300,
    # Test images of these evaluations.
    monitor_examples=1024,
    # Checkpoints that are kept.
    keep=2,
    # Where metrics go besides metrics.jsonl: "tensorboard", "wandb", "mlflow".
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    # Ways to evaluate; `infomin evaluate --help` lists them.
    protocols=("knn", "linear"),
    # Outputs of the encoder that are evaluated.
    taps=("pool",),
    # Parameters that are evaluated: "online", or "ema", the momentum copy.
    weights="online",
    # Pixels that the shorter side of an image is resized to before the middle
    # is cut out; 0 resizes the largest square in the middle.
    resize=0,
    # Images per batch of features.
    batch_size=512,
    # Labeled images that probes are fitted to at most; 0 is all.
    train_examples=0,
    # Images that probes are tested on at most; 0 is all.
    test_examples=0,
    # Neighbors that vote in `knn`.
    k=200,
    # Temperature of their weights, of cosine similarities.
    temperature=0.07,
    # L-BFGS iterations of linear probes.
    iterations=100,
    # Epochs of probes that are trained by SGD or Adam.
    epochs=1000,
    # Share of the labels that `semi_supervised` is tuned with, 0 to 1.
    label_share=0.1,
    # Channels of the decoder of `reconstruction` before its last layer.
    decoder_width=64,
  )
  return config


def tiny(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Returns the config of a test: two steps of 16 images, few to probe."""
  config.update(
    steps=2,
    batch_size=16,
    run=dict(
      log_every=1, checkpoint_every=1, evaluate_every=2, monitor_examples=64
    ),
    evaluate=dict(
      batch_size=64,
      train_examples=64,
      test_examples=64,
      iterations=5,
      epochs=1,
      decoder_width=8,
    ),
  )
  return config
